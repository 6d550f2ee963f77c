// The arena for somebody who watches: the picture, clock, scores and kills, and no ship of one's own.
import type { Spectator } from "@scenehost/client";
import { useEffect, useRef, useState } from "preact/hooks";
import type { App } from "../app.js";
import { WatchedNote } from "../ui/watched-note.js";
import { Name, RoundClock, Scoreboard, Standings } from "./arena.js";
import { Session, type Hud } from "./session.js";

export function ArenaWatched({ app, spectator }: { app: App; spectator: Spectator }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [hud, setHud] = useState<Hud | null>(null);
  useEffect(() => new Session(spectator, canvas.current!, setHud).run(), [spectator]);
  const names = new Map(hud?.rows.map(({ seat, name }) => [seat, name]));
  const over = hud?.over ?? null;
  return (
    <div class="arena" data-testid="arena-watched" data-tick={hud?.tick}>
      <canvas
        ref={canvas}
        class="arena-canvas"
        role="img"
        aria-label="The arena seen from above, as its players fly and shoot."
      />
      {hud && !over && (
        <>
          <RoundClock leftMs={hud.leftMs} />
          <aside class="arena-side">
            <p class="scores-head" aria-hidden="true">
              <span>Player</span> <span>Kills</span> <span>Deaths</span>
            </p>
            <Scoreboard rows={hud.rows} me={undefined} />
            <ul class="kills" data-testid="kills" aria-live="polite">
              {hud.kills.map(({ id, shooter, target }) => (
                <li key={id}>
                  <Name seat={shooter} names={names} /> <span aria-label="shot down">✕</span>{" "}
                  <Name seat={target} names={names} />
                </li>
              ))}
            </ul>
          </aside>
        </>
      )}
      {!hud && !spectator.end && (
        <p class="arena-wait" role="status">
          One moment…
        </p>
      )}
      {over || spectator.end ? (
        <Standings
          app={app}
          standings={over ?? []}
          me={undefined}
          text={spectator.end?.text ?? ""}
        />
      ) : (
        <WatchedNote app={app} spectator={spectator} />
      )}
    </div>
  );
}

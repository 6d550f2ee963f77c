// The arena for somebody who watches: the picture, clock, scores and kills, and no ship of one's own.
import type { Spectator } from "@scenehost/client";
import { useEffect, useRef, useState } from "preact/hooks";
import type { App } from "../app.js";
import { WatchedNote } from "../ui/watched-note.js";
import { AfterRound } from "./arena.js";
import { Kills, RoundClock, Scoreboard, Standings } from "./hud.js";
import type { Hud } from "./picture.js";
import { Session } from "./session.js";

export function ArenaWatched({ app, spectator }: { app: App; spectator: Spectator }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [hud, setHud] = useState<Hud | null>(null);
  useEffect(() => new Session(spectator, canvas.current!, setHud).run(), [spectator]);
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
            <Kills hud={hud} />
          </aside>
        </>
      )}
      {!hud && !spectator.end && (
        <p class="arena-wait" role="status">
          One moment…
        </p>
      )}
      {over || spectator.end ? (
        <Standings standings={over ?? []} me={undefined} text={spectator.end?.text ?? ""}>
          <AfterRound app={app} again="Play" />
        </Standings>
      ) : (
        <WatchedNote app={app} spectator={spectator} />
      )}
    </div>
  );
}

// The arena's view: the picture, and around it clock, scores, kills, and the way out.
import type { Scene } from "@scenehost/client";
import { useEffect, useRef, useState } from "preact/hooks";
import type { App } from "../app.js";
import { Confirm } from "../ui/dialog.js";
import { RatingNote } from "../ui/rating.js";
import { Health, Kills, Respawn, RoundClock, Scoreboard, Standings } from "./hud.js";
import type { Hud } from "./picture.js";
import { Session } from "./session.js";
import { Touch } from "./touch.js";

export function Arena({ app, scene }: { app: App; scene: Scene }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [session, setSession] = useState<Session | null>(null);
  const [hud, setHud] = useState<Hud | null>(null);
  const [leaving, setLeaving] = useState(false);
  useEffect(() => {
    const session = new Session(scene, canvas.current!, setHud);
    setSession(session);
    return session.run();
  }, [scene]);
  const over = hud?.over ?? null;
  return (
    <div
      class="arena"
      data-testid="arena"
      data-seat={scene.seat}
      data-tick={hud?.tick}
      data-x={hud?.at.x}
      data-y={hud?.at.y}
      data-shots={hud?.shotsSeen}
    >
      <canvas
        ref={canvas}
        class="arena-canvas"
        role="img"
        aria-label="The arena seen from above. Move with W A S D or the arrow keys, aim with the mouse, fire with a click or the space bar."
      />
      {hud && !over && (
        <>
          <RoundClock leftMs={hud.leftMs} />
          <aside class="arena-side">
            <p class="scores-head" aria-hidden="true">
              <span>Player</span> <span>Kills</span> <span>Deaths</span>
            </p>
            <Scoreboard rows={hud.rows} me={scene.seat} />
            <Kills hud={hud} />
            <dl class="keys">
              <dt>
                <kbd>W</kbd> <kbd>A</kbd> <kbd>S</kbd> <kbd>D</kbd>
              </dt>
              <dd>Move</dd>
              <dt>
                <kbd>Mouse</kbd>
              </dt>
              <dd>Aim</dd>
              <dt>
                <kbd>Click</kbd> <kbd>Space</kbd>
              </dt>
              <dd>Fire</dd>
            </dl>
          </aside>
          <Health hp={hud.hp} />
          {hud.hp <= 0 && <Respawn respawnMs={hud.respawnMs} />}
          {session && <Touch controls={session.controls} />}
        </>
      )}
      {!over && (
        <button class="button arena-leave" data-testid="leave" onClick={() => setLeaving(true)}>
          Leave
        </button>
      )}
      {!hud && !scene.end && (
        <p class="arena-wait" role="status">
          Waiting for the round…
        </p>
      )}
      {leaving && (
        <Confirm
          title="Leave the arena?"
          confirm="Leave"
          testId="leave"
          onAnswer={(yes) => (yes ? app.leave() : setLeaving(false))}
        >
          <p>Your ship goes, and the round goes on without you.</p>
        </Confirm>
      )}
      {(over || scene.end) && (
        <Standings standings={over ?? []} me={scene.seat} text={scene.end?.text ?? ""}>
          <AfterRound app={app} again="Play again" />
        </Standings>
      )}
    </div>
  );
}

/** What comes after a round on this page. */
export function AfterRound({ app, again }: { app: App; again: string }) {
  return (
    <>
      <RatingNote app={app} domain="arena" />
      <div class="actions">
        <button class="button primary" data-testid="play-again" onClick={() => app.play("arena")}>
          {again}
        </button>
        <button class="button" data-testid="back" onClick={() => app.leave()}>
          Back to the games
        </button>
      </div>
    </>
  );
}

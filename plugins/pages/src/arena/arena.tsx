// The arena's view: the picture, and around it clock, scores, kills, and the way out.
import type { Scene } from "@scenehost/client";
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { App } from "../app.js";
import { Confirm } from "../ui/dialog.js";
import { RatingNote } from "../ui/rating.js";
import { colorOf } from "./painter.js";
import type { Hud, Row } from "./picture.js";
import { Session } from "./session.js";
import { Touch } from "./touch.js";
import { HP_MAX, type Standing } from "./world.js";

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

/** Who shot whom down, of late. */
export function Kills({ hud }: { hud: Hud }) {
  const names = new Map(hud.rows.map(({ seat, name }) => [seat, name]));
  return (
    <ul class="kills" data-testid="kills" aria-live="polite">
      {hud.kills.map(({ id, shooter, target }) => (
        <li key={id}>
          <Name seat={shooter} names={names} /> <span aria-label="shot down">✕</span>{" "}
          <Name seat={target} names={names} />
        </li>
      ))}
    </ul>
  );
}

function Name({ seat, names }: { seat: number; names: ReadonlyMap<number, string> }) {
  return <b style={{ color: colorOf(seat) }}>{names.get(seat) ?? `Seat ${seat + 1}`}</b>;
}

export function RoundClock({ leftMs }: { leftMs: number }) {
  const seconds = Math.ceil(leftMs / 1000);
  const text = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  return (
    <p
      class="round-clock"
      role="timer"
      aria-label="Time left"
      data-short={seconds <= 10}
      data-testid="round-clock"
    >
      {text}
    </p>
  );
}

/** `me`: the own seat; `undefined` for somebody who watches. */
export function Scoreboard({ rows, me }: { rows: readonly Row[]; me: number | undefined }) {
  return (
    <ol class="scores" data-testid="scoreboard" aria-label="Scores">
      {rows.map(({ seat, name, present, kills, deaths }) => (
        <li key={seat} data-me={seat === me} data-present={present}>
          <i style={{ background: colorOf(seat) }} aria-hidden="true" />
          <span class="scores-name">{name}</span>
          <b aria-label="kills">{kills}</b>
          <small aria-label="deaths">{deaths}</small>
        </li>
      ))}
    </ol>
  );
}

export function Health({ hp }: { hp: number }) {
  const level = hp > HP_MAX / 2 ? "good" : hp > HP_MAX / 4 ? "fair" : "poor";
  return (
    <div
      class="health"
      role="meter"
      aria-label="Health"
      aria-valuemin={0}
      aria-valuemax={HP_MAX}
      aria-valuenow={hp}
      data-level={level}
      data-testid="hp"
    >
      <span style={{ width: `${(hp / HP_MAX) * 100}%` }} />
    </div>
  );
}

export function Respawn({ respawnMs }: { respawnMs: number }) {
  return (
    <div class="respawn" role="status" data-testid="respawn">
      <p>Shot down</p>
      <b>{(respawnMs / 1000).toFixed(1)}</b>
    </div>
  );
}

interface StandingsProps {
  standings: readonly Standing[];
  /** The own seat; `undefined` for somebody who has watched. */
  me: number | undefined;
  text: string;
  /** What can be done now. */
  children?: ComponentChildren;
}

export function Standings({ standings, me, text, children }: StandingsProps) {
  const mine = standings.find(({ seat }) => seat === me);
  const title = !mine ? "The round is over" : mine.place === 1 ? "You win the round" : place(mine);
  return (
    <section class="card standings" data-testid="result" data-won={mine?.place === 1}>
      <h1 aria-live="polite" data-testid="result-title">
        {title}
      </h1>
      {standings.length > 0 ? (
        <table>
          <thead>
            <tr>
              <th scope="col">Place</th>
              <th scope="col">Player</th>
              <th scope="col">Kills</th>
              <th scope="col">Deaths</th>
            </tr>
          </thead>
          <tbody>
            {standings.map(({ seat, name, place, kills, deaths }) => (
              <tr key={seat} data-me={seat === me}>
                <td>{place}</td>
                <th scope="row">
                  <i style={{ background: colorOf(seat) }} aria-hidden="true" />
                  {name}
                </th>
                <td>{kills}</td>
                <td>{deaths}</td>
              </tr>
            ))}
          </tbody>
        </table>
      ) : (
        <p>{text}</p>
      )}
      {children}
    </section>
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

function place({ place }: Standing): string {
  const ordinals = new Intl.PluralRules("en", { type: "ordinal" });
  const endings: Record<string, string> = { one: "st", two: "nd", few: "rd" };
  return `You came ${place}${endings[ordinals.select(place)] ?? "th"}`;
}

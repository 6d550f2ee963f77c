// What is shown around the arena's picture, to who plays, who watches, and who looks at a match that is over.
import type { ComponentChildren } from "preact";
import { colorOf } from "./painter.js";
import type { Hud, Row } from "./picture.js";
import { HP_MAX, type Standing } from "./world.js";

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

function place({ place }: Standing): string {
  const ordinals = new Intl.PluralRules("en", { type: "ordinal" });
  const endings: Record<string, string> = { one: "st", two: "nd", few: "rd" };
  return `You came ${place}${endings[ordinals.select(place)] ?? "th"}`;
}

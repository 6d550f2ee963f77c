// One side of the table: stone, name, score, and a clock that runs between the server's words.
import { useEffect, useState } from "preact/hooks";
import { clockMs, clockText, stoneOf, type Game, type Seat } from "./game.js";

/** A clock with less than this is shown as an alarm. */
const SHORT_MS = 30_000;

interface PlayerProps {
  game: Game;
  seat: Seat;
  /** The own seat; `undefined` for somebody who watches. */
  me: Seat | undefined;
  /** The time for which the clock is shown; `undefined`: now, and it runs. */
  atMs?: number | undefined;
}

export function PlayerCard({ game, seat, me, atMs }: PlayerProps) {
  const mine = seat === me;
  const active = game.phase === "playing" && game.turn === seat;
  const stone = stoneOf(game, seat);
  const testId = me === undefined ? `seat-${seat}` : mine ? "me" : "them";
  const role = me === undefined ? "Plays" : mine ? "You" : "Opponent";
  return (
    <section
      class={`player ${mine || (me === undefined && seat === 0) ? "player-me" : "player-them"}`}
      data-active={active}
      data-testid={`player-${testId}`}
      aria-label={me === undefined ? game.names[seat] : role}
    >
      <span class={`chip chip-${stone}`} role="img" aria-label={`plays ${stone}`} />
      <span class="player-name">
        <b>{game.names[seat]}</b>
        <small data-testid={`presence-${testId}`}>{game.present[seat] ? role : "Away"}</small>
      </span>
      <span class="score" data-testid={`score-${testId}`} aria-label="Games won">
        {game.score[seat]}
      </span>
      <Clock game={game} seat={seat} active={active} atMs={atMs} testId={`clock-${testId}`} />
    </section>
  );
}

interface ClockProps {
  game: Game;
  seat: Seat;
  active: boolean;
  atMs: number | undefined;
  testId: string;
}

function Clock({ game, seat, active, atMs, testId }: ClockProps) {
  const [, setTick] = useState(0);
  const runs = active && atMs === undefined;
  useEffect(() => {
    if (!runs) return;
    const timer = setInterval(() => setTick((tick) => tick + 1), 100);
    return () => clearInterval(timer);
  }, [runs]);
  const ms = clockMs(game, seat, atMs ?? performance.now());
  return (
    <span class="clock" role="timer" data-short={active && ms < SHORT_MS} data-testid={testId}>
      {clockText(ms)}
    </span>
  );
}

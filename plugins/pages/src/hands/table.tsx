// The table of rock, paper, scissors as everybody sees it: two sides, and what lies between them.
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { isHidden, leftS, other, shownHand, type Game, type Seat } from "./game.js";
import { HandPicture } from "./pictures.js";

interface TableProps {
  /** Nothing before the game has told its state. */
  game: Game | null;
  /** The own seat; `undefined` for somebody who watches. */
  me: Seat | undefined;
  testId: string;
  children: ComponentChildren;
}

export function Table({ game, me, testId, children }: TableProps) {
  const near: Seat = me ?? 0;
  return (
    <div class="hands" data-testid={testId} data-phase={game?.phase} data-round={game?.round}>
      {game && (
        <div class="hands-table">
          <Side game={game} seat={near} me={me} />
          <Middle game={game} />
          <Side game={game} seat={other(near)} me={me} />
        </div>
      )}
      <div class="hands-panel">{children}</div>
    </div>
  );
}

interface SideProps {
  game: Game;
  seat: Seat;
  me: Seat | undefined;
}

function Side({ game, seat, me }: SideProps) {
  const mine = seat === me;
  const testId = me === undefined ? `seat-${seat}` : mine ? "me" : "them";
  const role = me === undefined ? "Plays" : mine ? "You" : "Opponent";
  const hand = shownHand(game, seat, me);
  const hidden = isHidden(game, seat, me);
  const won = game.phase === "revealed" && game.last?.winner === seat;
  return (
    <section class="hands-side" data-won={won} data-mine={mine} data-testid={`player-${testId}`}>
      <span
        class="hands-card"
        role="img"
        aria-label={hand ?? (hidden ? "has chosen" : "nothing chosen")}
        data-testid={`hand-${testId}`}
        data-hand={hand ?? (hidden ? "hidden" : "none")}
      >
        {hand && <HandPicture hand={hand} />}
      </span>
      <span class="player-name">
        <b>{game.names[seat] || "Nobody yet"}</b>
        <small data-testid={`presence-${testId}`}>{game.present[seat] ? role : "Away"}</small>
      </span>
      <Won game={game} seat={seat} testId={`score-${testId}`} />
    </section>
  );
}

/** Won rounds, of those that win the match. */
function Won({ game, seat, testId }: { game: Game; seat: Seat; testId: string }) {
  const won = game.score[seat];
  return (
    <span
      class="hands-won"
      role="img"
      aria-label={`${won} of ${game.target} rounds won`}
      data-testid={testId}
      data-won={won}
    >
      {Array.from({ length: game.target }, (_, round) => (
        <i key={round} data-on={round < won} />
      ))}
    </span>
  );
}

/** The round, and the time that is left to choose. */
function Middle({ game }: { game: Game }) {
  const [, setTick] = useState(0);
  const runs = game.phase === "choosing";
  useEffect(() => {
    if (!runs) return;
    const timer = setInterval(() => setTick((tick) => tick + 1), 200);
    return () => clearInterval(timer);
  }, [runs]);
  const left = leftS(game, performance.now());
  return (
    <div class="hands-middle">
      <small>Round {game.round}</small>
      <span class="clock" role="timer" data-short={runs && left <= 5} data-testid="time-left">
        {runs ? left : ""}
      </span>
    </div>
  );
}

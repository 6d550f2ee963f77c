// The table of a game of Gomoku as everybody sees it: the board, and who sits on each side.
import type { ComponentChildren } from "preact";
import { Board } from "./board.js";
import { other, type Game, type Point, type Seat } from "./game.js";
import { PlayerCard } from "./player.js";

interface TableProps {
  /** Nothing before the game has told its state. */
  game: Game | null;
  /** The own seat; `undefined` for somebody who watches. */
  me: Seat | undefined;
  testId: string;
  /** The stone that may be placed now, if any, and where it would go. */
  hand?: "black" | "white" | null;
  preview?: Point | null;
  onPreview?: (point: Point) => void;
  onPlace?: (point: Point) => void;
  /** The time for which the clocks are shown, if that is not now. */
  atMs?: number;
  children: ComponentChildren;
}

const ignore = () => {};

export function Table(props: TableProps) {
  const {
    game,
    me,
    testId,
    hand = null,
    preview = null,
    onPreview = ignore,
    onPlace = ignore,
    atMs,
  } = props;
  const near: Seat = me ?? 0;
  return (
    <div class="gomoku" data-testid={testId} data-phase={game?.phase} data-game={game?.number}>
      {game && <PlayerCard game={game} seat={other(near)} me={me} atMs={atMs} />}
      <Board
        moves={game?.moves ?? []}
        line={game?.over?.line ?? []}
        hand={hand}
        preview={preview}
        onPreview={onPreview}
        onPlace={onPlace}
      />
      {game && <PlayerCard game={game} seat={near} me={me} atMs={atMs} />}
      <div class="panel">{props.children}</div>
    </div>
  );
}

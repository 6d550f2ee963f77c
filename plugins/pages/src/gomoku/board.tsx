// The board: drawn as one picture, played by a grid of buttons above it.
//
// A mouse or a key places at once. A finger first shows where the stone would go, and places it at
// the second tap or by the confirm button, since a point is smaller than a fingertip.
import { useRef, useState } from "preact/hooks";
import { BOARD_SIZE, pointName, type Point } from "./game.js";

interface BoardProps {
  moves: readonly Point[];
  line: readonly Point[];
  /** The stone that this player may place now, if any. */
  hand: "black" | "white" | null;
  preview: Point | null;
  onPreview: (point: Point) => void;
  onPlace: (point: Point) => void;
}

const range = Array.from({ length: BOARD_SIZE }, (_, i) => i);
/** Lines of the wood, uneven in a way that stays the same. */
const GRAIN = Array.from({ length: 27 }, (_, i) => {
  const y = i * 0.62 - 0.5 + 0.2 * Math.sin(i * 2.3);
  return `M-1 ${y.toFixed(2)}q8.5 ${(0.7 * Math.sin(i * 0.9)).toFixed(2)} 17 ${(0.3 * Math.sin(i * 1.7)).toFixed(2)}`;
}).join("");
const STARS: readonly Point[] = [
  [3, 3],
  [11, 3],
  [7, 7],
  [3, 11],
  [11, 11],
];

export function Board(props: BoardProps) {
  const { moves, line, hand, preview } = props;
  return (
    <div class="board" data-hand={hand ?? "none"} data-testid="board">
      <Picture moves={moves} line={line} hand={hand} preview={preview} />
      <Cells {...props} />
    </div>
  );
}

function Picture({
  moves,
  line,
  hand,
  preview,
}: Pick<BoardProps, "moves" | "line" | "hand" | "preview">) {
  const last = moves.at(-1);
  const [from, to] = [line[0], line.at(-1)];
  return (
    <svg class="board-picture" viewBox="-.6 -.6 16.2 16.2" aria-hidden="true">
      <defs>
        <radialGradient id="stone-black" cx=".36" cy=".3" r=".8">
          <stop offset="0" stop-color="#5d6462" />
          <stop offset=".55" stop-color="#1e2221" />
          <stop offset="1" stop-color="#090b0a" />
        </radialGradient>
        <radialGradient id="stone-white" cx=".36" cy=".3" r=".8">
          <stop offset="0" stop-color="#ffffff" />
          <stop offset=".7" stop-color="#f1eee7" />
          <stop offset="1" stop-color="#c8c2b4" />
        </radialGradient>
        <linearGradient id="wood" x1="0" y1="0" x2="1" y2="1">
          <stop offset="0" class="wood-from" />
          <stop offset="1" class="wood-to" />
        </linearGradient>
      </defs>
      <rect x="-.6" y="-.6" width="16.2" height="16.2" fill="url(#wood)" />
      <path class="grain" d={GRAIN} />
      <path
        class="grid-lines"
        d={range.map((i) => `M${i + 0.5} .5V14.5M.5 ${i + 0.5}H14.5`).join("")}
      />
      <rect class="grid-edge" x=".5" y=".5" width="14" height="14" />
      {STARS.map(([x, y]) => (
        <circle key={`${x}-${y}`} class="star" cx={x + 0.5} cy={y + 0.5} r=".11" />
      ))}
      <g class="labels">
        {range.map((i) => (
          <g key={i}>
            <text x={i + 0.5} y="15.36">
              {String.fromCharCode(65 + i)}
            </text>
            <text x="-.24" y={i + 0.63}>
              {BOARD_SIZE - i}
            </text>
          </g>
        ))}
      </g>
      {preview && hand && (
        <g>
          <path class="aim" d={`M${preview[0] + 0.5} 0V15M0 ${preview[1] + 0.5}H15`} />
          <Stone point={preview} black={hand === "black"} kind="preview" />
        </g>
      )}
      {moves.map((point, index) => (
        <Stone
          key={index}
          point={point}
          black={index % 2 === 0}
          kind={index === moves.length - 1 ? "placed fresh" : "placed"}
        />
      ))}
      {from && to && (
        <path
          class="winning-line"
          d={`M${from[0] + 0.5} ${from[1] + 0.5}L${to[0] + 0.5} ${to[1] + 0.5}`}
        />
      )}
      {line.map(([x, y]) => (
        <circle key={`${x}-${y}`} class="winning-stone" cx={x + 0.5} cy={y + 0.5} r=".45" />
      ))}
      {last && line.length === 0 && (
        <circle class="last-move" cx={last[0] + 0.5} cy={last[1] + 0.5} r=".16" />
      )}
    </svg>
  );
}

function Stone({ point, black, kind }: { point: Point; black: boolean; kind: string }) {
  const [x, y] = [point[0] + 0.5, point[1] + 0.5];
  return (
    <g class={`stone ${kind}`}>
      <circle class="stone-shade" cx={x + 0.05} cy={y + 0.08} r=".44" />
      <circle cx={x} cy={y} r=".44" fill={`url(#stone-${black ? "black" : "white"})`} />
    </g>
  );
}

/** One button a point. Only one of them is in the tab order; the arrow keys move among them. */
function Cells({ moves, line, hand, preview, onPreview, onPlace }: BoardProps) {
  const grid = useRef<HTMLDivElement>(null);
  const pointer = useRef("mouse");
  const [focus, setFocus] = useState<Point>([7, 7]);
  const taken = new Map(
    moves.map((point, i) => [point.join("-"), i % 2 === 0 ? "black" : "white"]),
  );
  const winning = new Set(line.map((point) => point.join("-")));

  const click = (point: Point, byKey: boolean) => {
    if (!hand || taken.has(point.join("-"))) return;
    const shown = preview && preview.join("-") === point.join("-");
    if (byKey || pointer.current === "mouse" || shown) onPlace(point);
    else onPreview(point);
  };
  const move = (event: KeyboardEvent) => {
    const step = STEPS[event.key];
    if (!step) return;
    event.preventDefault();
    const clamp = (value: number) => Math.min(BOARD_SIZE - 1, Math.max(0, value));
    const next: Point = [clamp(focus[0] + step[0]), clamp(focus[1] + step[1])];
    setFocus(next);
    grid.current?.querySelector<HTMLElement>(`[data-testid="cell-${next.join("-")}"]`)?.focus();
  };

  return (
    <div
      ref={grid}
      class="cells"
      role="grid"
      aria-label="Board, 15 by 15"
      onKeyDown={move}
      onPointerDown={(event) => (pointer.current = event.pointerType)}
    >
      {range.map((y) => (
        <div role="row" key={y}>
          {range.map((x) => {
            const id = `${x}-${y}`;
            const stone = taken.get(id);
            return (
              <button
                key={x}
                role="gridcell"
                class="cell"
                data-testid={`cell-${id}`}
                data-stone={stone ?? "none"}
                data-winning={winning.has(id) || undefined}
                tabIndex={focus[0] === x && focus[1] === y ? 0 : -1}
                aria-label={`${pointName([x, y])}, ${stone ?? "empty"}${winning.has(id) ? ", winning" : ""}`}
                aria-disabled={!hand || stone !== undefined}
                onFocus={() => setFocus([x, y])}
                onClick={(event) => click([x, y], event.detail === 0)}
              />
            );
          })}
        </div>
      ))}
    </div>
  );
}

const STEPS: Record<string, Point> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

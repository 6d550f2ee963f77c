// The time line: where the match stands, what stands out in it, and the ways to another moment.
import type { ComponentChildren } from "preact";
import { useMemo, useRef } from "preact/hooks";
import type { Journal } from "./journal.js";
import { drawnMarks, type Mark } from "./marks.js";
import { SPEEDS, timeText, type Playhead } from "./playhead.js";
import type { Actions } from "./player.js";
import type { Moment, Viewpoint } from "./viewpoint.js";

const KEY_MS = 1_000;
const PAGE_MS = 10_000;

interface BarProps {
  journal: Journal;
  marks: readonly Mark[];
  head: Playhead;
  moment: Moment;
  viewpoints: readonly { viewpoint: Viewpoint; name: string }[];
  viewpoint: Viewpoint;
  onViewpoint: (viewpoint: Viewpoint) => void;
  actions: Actions;
}

export function Bar(props: BarProps) {
  const { journal, head, moment, actions } = props;
  const unit = journal.tickRateHz === 0 ? "event" : "step";
  return (
    <section class="replay-bar" aria-label="Time line">
      <Line {...props} />
      <div class="replay-controls">
        <div class="replay-buttons">
          <Button name="Mark before (<)" testId="mark-before" onClick={() => actions.mark(-1)}>
            <path d="M6 5v14M20 5 9 12l11 7z" />
          </Button>
          <Button name={`One ${unit} back (,)`} testId="step-back" onClick={() => actions.step(-1)}>
            <path d="m15 5-9 7 9 7" />
          </Button>
          <Button
            name={head.isPlaying ? "Pause (space bar)" : "Play (space bar)"}
            testId="play"
            isMain
            onClick={actions.toggle}
          >
            <path d={head.isPlaying ? "M8 5v14M16 5v14" : "M8 4.5 19 12 8 19.5z"} />
          </Button>
          <Button name={`One ${unit} on (.)`} testId="step-on" onClick={() => actions.step(1)}>
            <path d="m9 5 9 7-9 7" />
          </Button>
          <Button name="Mark after (>)" testId="mark-after" onClick={() => actions.mark(1)}>
            <path d="M18 5v14M4 5l11 7-11 7z" />
          </Button>
        </div>
        <p class="replay-time">
          <b data-testid="replay-time">{timeText(moment.ms)}</b> of {timeText(journal.endMs)}
          <small data-testid="replay-tick">tick {journal.entries[moment.entry]?.tick}</small>
        </p>
        <Choices {...props} />
      </div>
    </section>
  );
}

function Choices({ head, viewpoints, viewpoint, onViewpoint, actions }: BarProps) {
  return (
    <div class="replay-choices">
      <label>
        <span>Speed</span>
        <select
          data-testid="replay-speed"
          value={head.speed}
          onChange={(event) => actions.speed(Number(event.currentTarget.value))}
        >
          {SPEEDS.map((speed) => (
            <option key={speed} value={speed}>
              {speed}×
            </option>
          ))}
        </select>
      </label>
      <label>
        <span>Seen by</span>
        <select
          data-testid="replay-viewpoint"
          value={viewpoint}
          onChange={(event) => onViewpoint(Number(event.currentTarget.value))}
        >
          {viewpoints.map(({ viewpoint, name }) => (
            <option key={viewpoint} value={viewpoint}>
              {name}
            </option>
          ))}
        </select>
      </label>
    </div>
  );
}

interface ButtonProps {
  name: string;
  testId: string;
  isMain?: boolean;
  onClick: () => void;
  children: ComponentChildren;
}

function Button({ name, testId, isMain, onClick, children }: ButtonProps) {
  return (
    <button
      class={`replay-button ${isMain ? "main" : ""}`}
      data-testid={testId}
      aria-label={name}
      title={name}
      onClick={onClick}
    >
      <svg viewBox="0 0 24 24" aria-hidden="true">
        {children}
      </svg>
    </button>
  );
}

/** The line itself: dragged, or moved along by keys. */
function Line({ journal, marks, moment, actions }: BarProps) {
  const rail = useRef<HTMLDivElement>(null);
  const finger = useRef<number | null>(null);
  const { beginMs, endMs } = journal;
  const lengthMs = endMs - beginMs;
  const share = (ms: number) => (lengthMs > 0 ? (ms - beginMs) / lengthMs : 0);
  const ticks = useMemo(
    () =>
      drawnMarks(marks, lengthMs).map((mark, index) => (
        <i
          key={index}
          class={`replay-mark mark-${mark.kind}`}
          style={{ left: `${share(mark.ms) * 100}%` }}
          title={`${timeText(mark.ms)} ${mark.text}`}
        />
      )),
    [marks, lengthMs],
  );
  const seekTo = (clientX: number) => {
    const box = rail.current!.getBoundingClientRect();
    actions.seek(beginMs + ((clientX - box.left) / box.width) * lengthMs);
  };
  const moves: Record<string, () => void> = {
    ArrowLeft: () =>
      journal.tickRateHz === 0 ? actions.step(-1) : actions.seek(moment.ms - KEY_MS),
    ArrowRight: () =>
      journal.tickRateHz === 0 ? actions.step(1) : actions.seek(moment.ms + KEY_MS),
    PageDown: () => actions.seek(moment.ms - PAGE_MS),
    PageUp: () => actions.seek(moment.ms + PAGE_MS),
    Home: () => actions.stopAt(0),
    End: () => actions.stopAt(journal.entries.length - 1),
  };
  const tick = journal.entries[moment.entry]?.tick;
  return (
    <div
      class="replay-line"
      role="slider"
      tabIndex={0}
      aria-label="Time in the match"
      aria-valuemin={beginMs}
      aria-valuemax={endMs}
      aria-valuenow={Math.round(moment.ms)}
      aria-valuetext={`${timeText(moment.ms)}, tick ${tick}`}
      data-testid="replay-line"
      onKeyDown={(event) => {
        const move = moves[event.key];
        if (!move || event.ctrlKey || event.metaKey || event.altKey) return;
        event.preventDefault();
        move();
      }}
      onPointerDown={(event) => {
        if (event.button !== 0 || finger.current !== null) return;
        event.currentTarget.setPointerCapture(event.pointerId);
        finger.current = event.pointerId;
        seekTo(event.clientX);
      }}
      onPointerMove={(event) => finger.current === event.pointerId && seekTo(event.clientX)}
      onLostPointerCapture={(event) => {
        if (finger.current === event.pointerId) finger.current = null;
      }}
    >
      <div ref={rail} class="replay-rail">
        <span class="replay-done" style={{ width: `${share(moment.ms) * 100}%` }} />
        {ticks}
        <span class="replay-thumb" style={{ left: `${share(moment.ms) * 100}%` }} />
      </div>
    </div>
  );
}

// Beside the picture: which match this is, what went in and came out at the moment, and what stands out in all of it.
import { useEffect, useMemo, useRef } from "preact/hooks";
import { describe } from "./describe.js";
import type { Entry, Fields, Journal } from "./journal.js";
import type { Mark } from "./marks.js";
import { timeText } from "./playhead.js";
import { comingsOf, type Moment } from "./viewpoint.js";

/** More of a step, or of what stands out, is not listed. */
const ITEMS_MAX = 100;
const MARKS_MAX = 500;

interface SideProps {
  journal: Journal;
  marks: readonly Mark[];
  moment: Moment;
  isPlaying: boolean;
  fileName: string;
  onEntry: (entry: number) => void;
  onClose: () => void;
}

export function Side({ journal, marks, moment, isPlaying, fileName, onEntry, onClose }: SideProps) {
  const entry = journal.entries[moment.entry];
  const comings = useMemo(() => comingsOf(journal), [journal]);
  const names = new Map(journal.players.map(({ seat, name }) => [seat, name]));
  for (const { entry, player } of comings) {
    if (entry <= moment.entry) names.set(player.seat, player.name);
  }
  return (
    <aside class="replay-side">
      <section class="replay-about">
        <h1>{fileName}</h1>
        <p>
          {journal.plugin} on {journal.fleet}, {new Date(journal.startedMs).toLocaleString()}
        </p>
        <p>
          Scene <code>{journal.scene}</code>, version <code>{journal.digest.slice(0, 12)}</code>
        </p>
        <button class="button" data-testid="replay-close" onClick={onClose}>
          Open another
        </button>
      </section>
      {entry && <Step entry={entry} names={names} isBrief={isPlaying} />}
      <Marks marks={marks} moment={moment} onEntry={onEntry} />
    </aside>
  );
}

const titles: Record<Entry["kind"], string> = {
  step: "Step",
  admit: "Asks to enter",
  swapped: "Another version",
  swapped_back: "The version before",
  failed: "Failed",
  ended: "The end",
};

interface StepProps {
  entry: Entry;
  names: ReadonlyMap<number, string>;
  /** Without what messages carry, since nobody can read that while it runs. */
  isBrief: boolean;
}

function Step({ entry, names, isBrief }: StepProps) {
  const { kind, tick, ms, logs, text } = entry;
  return (
    <section class="replay-step" data-kind={kind} data-testid="replay-step" data-tick={tick}>
      <h2>
        {titles[kind]} {kind === "step" && tick} <small>{timeText(ms)}</small>
      </h2>
      {text && (
        <pre class={kind === "failed" ? "replay-failure" : ""} data-testid="replay-text">
          {text}
        </pre>
      )}
      <Items title="Went in" items={entry.in} names={names} isBrief={isBrief} />
      <Items title="Came out" items={entry.out} names={names} isBrief={isBrief} />
      {logs.length > 0 && (
        <>
          <h3>Log</h3>
          <ul data-testid="replay-logs">
            {logs.slice(0, ITEMS_MAX).map(({ level, text }, index) => (
              <li key={index} class={`replay-log log-${level}`}>
                <b>{level}</b> {text}
              </li>
            ))}
          </ul>
          <More count={logs.length - ITEMS_MAX} />
        </>
      )}
    </section>
  );
}

interface ItemsProps {
  title: string;
  items: readonly Fields[];
  names: ReadonlyMap<number, string>;
  isBrief: boolean;
}

function Items({ title, items, names, isBrief }: ItemsProps) {
  if (items.length === 0) return null;
  return (
    <>
      <h3>{title}</h3>
      <ul>
        {items.slice(0, ITEMS_MAX).map((item, index) => {
          const { name, who, body } = describe(item, names);
          return (
            <li key={index} data-testid="replay-item">
              <p>
                <b>{name}</b> {who}
              </p>
              {body && !isBrief && <pre>{body}</pre>}
            </li>
          );
        })}
      </ul>
      <More count={items.length - ITEMS_MAX} />
    </>
  );
}

function More({ count }: { count: number }) {
  return count > 0 ? <p class="note">And {count} more.</p> : null;
}

interface MarksProps {
  marks: readonly Mark[];
  moment: Moment;
  onEntry: (entry: number) => void;
}

function Marks({ marks, moment, onEntry }: MarksProps) {
  const list = useRef<HTMLElement>(null);
  const at = marks.findLast((mark) => mark.entry <= moment.entry);
  useEffect(() => {
    const current = list.current?.querySelector<HTMLElement>("[aria-current='true']");
    // Only the list moves, and not the page.
    if (current) list.current!.scrollTop = current.offsetTop - list.current!.clientHeight / 2;
  }, [at]);
  return (
    <section ref={list} class="replay-marks">
      <h2>What stands out</h2>
      <ol>
        {marks.slice(0, MARKS_MAX).map((mark, index) => (
          <li key={index}>
            <button
              data-testid="replay-mark"
              data-kind={mark.kind}
              aria-current={mark === at}
              onClick={() => onEntry(mark.entry)}
            >
              <i class={`mark-${mark.kind}`} aria-hidden="true" />
              <span>{timeText(mark.ms)}</span> {mark.text}
            </button>
          </li>
        ))}
      </ol>
      <More count={marks.length - MARKS_MAX} />
    </section>
  );
}

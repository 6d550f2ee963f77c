// A match that is played back: its picture, its time line, and what went in and came out at the moment.
//
// Invariant: everything that is shown is of one moment.
import { useEffect, useMemo, useState } from "preact/hooks";
import { ArenaStage } from "./arena-stage.js";
import { Bar } from "./bar.js";
import { tellings, type GameName } from "./games.js";
import { GomokuStage } from "./gomoku-stage.js";
import type { Journal } from "./journal.js";
import { useKeys } from "./keys.js";
import { marksOf } from "./marks.js";
import * as playhead from "./playhead.js";
import { Side } from "./side.js";
import { toldTo, viewpointsOf, type Moment, type Told } from "./viewpoint.js";

/** Turns do not move between their events; their clocks show tenths of a second. */
const TURN_FRAME_MS = 100;

const stages = { gomoku: GomokuStage, arena: ArenaStage };

interface PlayerProps {
  journal: Journal;
  game: GameName;
  fileName: string;
  onClose: () => void;
}

export function Player({ journal, game, fileName, onClose }: PlayerProps) {
  const marks = useMemo(() => marksOf(journal), [journal]);
  const viewpoints = useMemo(() => viewpointsOf(journal), [journal]);
  const [viewpoint, setViewpoint] = useState(viewpoints[0]?.viewpoint ?? 0);
  const told = useMemo(() => toldTo(journal, viewpoint, tellings[game]), [journal, viewpoint]);
  const { head, nowMs, change } = useHead(journal, () => {
    const { first } = tellings[game];
    return told.messages.find(({ type }) => first.has(type))?.entry ?? 0;
  });
  const { entries } = journal;
  const ms = playhead.positionMs(head, nowMs);
  const last = playhead.lastWhere(entries, (entry) => entry.ms <= ms);
  const moment: Moment = { ms, entry: head.entry ?? Math.max(0, last) };
  const actions = {
    toggle: () => change(head.isPlaying ? playhead.pause : playhead.play),
    seek: (toMs: number) => change((head, now) => playhead.seek(head, toMs, now)),
    stopAt(entry: number) {
      const at = Math.min(entries.length - 1, Math.max(0, entry));
      change((head) => playhead.stopAt(head, at, entries[at]!.ms));
    },
    speed: (speed: number) => change((head, now) => playhead.withSpeed(head, speed, now)),
    step(by: 1 | -1) {
      actions.stopAt(moment.entry + by);
    },
    mark(by: 1 | -1) {
      const next =
        by > 0
          ? marks.find((mark) => mark.entry > moment.entry)?.entry
          : marks.findLast((mark) => mark.entry < moment.entry)?.entry;
      actions.stopAt(next ?? (by > 0 ? entries.length - 1 : 0));
    },
  };
  useKeys(actions);
  const Stage = stages[game];
  return (
    <div class="replay" data-game={game} data-testid="replay" data-entry={moment.entry}>
      <div class="replay-notes">
        {!journal.isWhole && (
          <p class="banner" role="alert" data-testid="replay-cut">
            This file was cut off: it has no last line. What is there is played back; for all of it,
            write the file again.
          </p>
        )}
        {told.strange > 0 && (
          <p class="banner" role="alert" data-testid="replay-strange">
            {told.strange} messages are not as this page knows them, of another version of the game
            perhaps, and are missing in the picture. They are in the list of their steps.
          </p>
        )}
      </div>
      <div class="replay-stage">
        <Stage
          told={told}
          viewpoint={viewpoint}
          moment={moment}
          isPlaying={head.isPlaying}
          missing={missingText(journal, told)}
        />
      </div>
      <Bar
        journal={journal}
        marks={marks}
        head={head}
        moment={moment}
        viewpoints={viewpoints}
        viewpoint={viewpoint}
        onViewpoint={setViewpoint}
        actions={actions}
      />
      <Side
        journal={journal}
        marks={marks}
        moment={moment}
        isPlaying={head.isPlaying}
        fileName={fileName}
        onEntry={actions.stopAt}
        onClose={onClose}
      />
    </div>
  );
}

/** Why nothing can be shown, at a moment when that is so. */
function missingText({ beginMs }: Journal, { messages, strange }: Told): string {
  if (messages.length === 0 && strange > 0) return "This page knows none of the messages.";
  if (beginMs === 0) return "Nothing had been told by then.";
  return "This journal begins in the middle of its game, and what was told before is not in it. Who came later, or came back, was told everything: go on to that, or choose another view.";
}

export interface Actions {
  toggle: () => void;
  seek: (toMs: number) => void;
  stopAt: (entry: number) => void;
  speed: (speed: number) => void;
  step: (by: 1 | -1) => void;
  mark: (by: 1 | -1) => void;
}

type Change = (head: playhead.Playhead, nowMs: number) => playhead.Playhead;

/** The position, which runs while it is played, and is at the entry that `first` tells before that. */
function useHead(journal: Journal, first: () => number) {
  const [{ head, nowMs }, set] = useState(() => {
    const entry = first();
    const begun = playhead.newPlayhead(journal);
    return { head: playhead.stopAt(begun, entry, journal.entries[entry]!.ms), nowMs: 0 };
  });
  const change = (change: Change) =>
    set(({ head }) => {
      const nowMs = performance.now();
      return { head: change(head, nowMs), nowMs };
    });
  useEffect(() => {
    if (!head.isPlaying) return;
    let shownMs = 0;
    const frame = (nowMs: number) => {
      request = requestAnimationFrame(frame);
      const frameMs = journal.tickRateHz === 0 ? TURN_FRAME_MS : 0;
      if (nowMs - shownMs < frameMs) return;
      shownMs = nowMs;
      set(({ head }) => ({
        head: playhead.isAtEnd(head, nowMs) ? playhead.pause(head, nowMs) : head,
        nowMs,
      }));
    };
    let request = requestAnimationFrame(frame);
    return () => cancelAnimationFrame(request);
  }, [journal, head.isPlaying]);
  return { head, nowMs, change };
}

// Where a match is being looked at, while it is played back and while it stands still.
//
// Invariant: the position is within the match, whatever was asked for; it comes from the time that is an argument.

export const SPEEDS = [0.5, 1, 2, 4, 8] as const;

export interface Playhead {
  beginMs: number;
  endMs: number;
  /** The position at `sinceMs` of the clock on the wall. */
  atMs: number;
  sinceMs: number;
  isPlaying: boolean;
  speed: number;
  /** Stands at this entry, of all those of its time; `undefined`: at the last of them. */
  entry: number | undefined;
}

export function newPlayhead({ beginMs, endMs }: { beginMs: number; endMs: number }): Playhead {
  const still = { isPlaying: false, speed: 1, entry: undefined };
  return { beginMs, endMs, atMs: beginMs, sinceMs: 0, ...still };
}

/** The position in the match, from its beginning to its end. */
export function positionMs(head: Playhead, nowMs: number): number {
  const since = head.isPlaying ? Math.max(0, nowMs - head.sinceMs) * head.speed : 0;
  return Math.min(head.endMs, head.atMs + since);
}

/** Plays on; at the end, from the beginning. */
export function play(head: Playhead, nowMs: number): Playhead {
  const atMs = isAtEnd(head, nowMs) ? head.beginMs : positionMs(head, nowMs);
  return { ...head, atMs, sinceMs: nowMs, isPlaying: true, entry: undefined };
}

export function pause(head: Playhead, nowMs: number): Playhead {
  return { ...head, atMs: positionMs(head, nowMs), isPlaying: false };
}

/** Moves to a position; playing goes on from there. */
export function seek(head: Playhead, toMs: number, nowMs: number): Playhead {
  const atMs = Math.min(head.endMs, Math.max(head.beginMs, toMs));
  return { ...head, atMs, sinceMs: nowMs, entry: undefined };
}

/** Stands still at an entry, which was at `ms`. */
export function stopAt(head: Playhead, entry: number, ms: number): Playhead {
  return { ...seek(head, ms, 0), isPlaying: false, entry };
}

export function withSpeed(head: Playhead, speed: number, nowMs: number): Playhead {
  const { entry } = head;
  return { ...seek(head, positionMs(head, nowMs), nowMs), speed, entry };
}

export function isAtEnd(head: Playhead, nowMs: number): boolean {
  return positionMs(head, nowMs) >= head.endMs;
}

/** The last place in a list where `holds`, which holds for its beginning only; -1 if nowhere. */
export function lastWhere<T>(list: readonly T[], holds: (item: T) => boolean): number {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(list[middle]!)) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** A time of the match for people: minutes, seconds and tenths. */
export function timeText(ms: number): string {
  const tenths = Math.floor(ms / 100);
  const seconds = String(Math.floor(tenths / 10) % 60).padStart(2, "0");
  return `${Math.floor(tenths / 600)}:${seconds}.${tenths % 10}`;
}

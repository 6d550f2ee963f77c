// Where a match is being looked at, while it is played back and while it stands still.
//
// Invariant: the position is within the match, whatever was asked for; it comes from the time that is an argument.

export const SPEEDS = [0.5, 1, 2, 4, 8] as const;

export interface Playhead {
  /** The position at `sinceMs` of the clock on the wall. */
  atMs: number;
  sinceMs: number;
  isPlaying: boolean;
  speed: number;
  endMs: number;
}

export function newPlayhead(endMs: number): Playhead {
  return { atMs: 0, sinceMs: 0, isPlaying: false, speed: 1, endMs };
}

/** The position in the match, from 0 to its end. */
export function positionMs(head: Playhead, nowMs: number): number {
  const since = head.isPlaying ? Math.max(0, nowMs - head.sinceMs) * head.speed : 0;
  return Math.min(head.endMs, head.atMs + since);
}

/** Plays on; at the end, from the beginning. */
export function play(head: Playhead, nowMs: number): Playhead {
  const at = positionMs(head, nowMs);
  return { ...head, atMs: at >= head.endMs ? 0 : at, sinceMs: nowMs, isPlaying: true };
}

export function pause(head: Playhead, nowMs: number): Playhead {
  return { ...head, atMs: positionMs(head, nowMs), isPlaying: false };
}

/** Moves to a position; playing goes on from there. */
export function seek(head: Playhead, toMs: number, nowMs: number): Playhead {
  const atMs = Math.min(head.endMs, Math.max(0, toMs));
  return { ...head, atMs, sinceMs: nowMs };
}

export function withSpeed(head: Playhead, speed: number, nowMs: number): Playhead {
  return { ...seek(head, positionMs(head, nowMs), nowMs), speed };
}

export function isAtEnd(head: Playhead, nowMs: number): boolean {
  return positionMs(head, nowMs) >= head.endMs;
}

/** The last place in a list with times in order that is not after `ms`; -1 if all are. */
export function lastAt(list: readonly { readonly ms: number }[], ms: number): number {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (list[middle]!.ms <= ms) low = middle + 1;
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

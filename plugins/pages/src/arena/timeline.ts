// Where everything is between two snapshots.
//
// Snapshots come twenty times a second and unevenly. Other ships are shown a little in the past,
// between two snapshots that are known; shots fly straight, so they are shown where they are now.
//
// Invariant: no more than SNAPSHOTS_MAX snapshots are kept, in the order of their ticks.
import { TICK_MS, type Snapshot, type Vec } from "./world.js";

const SNAPSHOTS_MAX = 40;
/** How far in the past ships are shown: two ticks, so that one late snapshot is not seen. */
const DELAY_MS = 2 * TICK_MS;
/** A ship that moves farther than this between two snapshots was put there, it did not fly. */
const JUMP_UNITS = 120;
/** A shot is shown at most this far beyond what was told of it. */
const SHOT_AHEAD_MS_MAX = 150;

export interface Ship extends Vec {
  seat: number;
  aim: number;
  hp: number;
}

export interface Shot extends Vec {
  id: number;
  seat: number;
  vx: number;
  vy: number;
}

interface Entry {
  atMs: number;
  arrivedMs: number;
  ships: readonly Ship[];
  shots: readonly Shot[];
}

export class Timeline {
  #entries: Entry[] = [];

  push(snapshot: Snapshot, nowMs: number): void {
    const atMs = snapshot.tick * TICK_MS;
    const last = this.#entries.at(-1);
    if (last && atMs <= last.atMs) return;
    this.#entries.push({
      atMs,
      arrivedMs: nowMs,
      ships: snapshot.ships.map(([seat, x, y, aim, hp]) => ({ seat, x, y, aim, hp })),
      shots: snapshot.shots.map(([id, seat, x, y, vx, vy]) => ({ id, seat, x, y, vx, vy })),
    });
    if (this.#entries.length > SNAPSHOTS_MAX) this.#entries.shift();
  }

  ships(nowMs: number, delayMs = DELAY_MS): readonly Ship[] {
    const atMs = this.#serverMs(nowMs) - delayMs;
    const after = this.#entries.findIndex((entry) => entry.atMs > atMs);
    const to = this.#entries.at(after);
    if (!to) return [];
    const from = this.#entries[after - 1];
    if (after < 0 || !from) return to.ships;
    const share = (atMs - from.atMs) / (to.atMs - from.atMs);
    const before = new Map(from.ships.map((ship) => [ship.seat, ship]));
    return to.ships.map((ship) => between(before.get(ship.seat), ship, share));
  }

  shots(nowMs: number): readonly Shot[] {
    const last = this.#entries.at(-1);
    if (!last) return [];
    const aheadMs = Math.min(SHOT_AHEAD_MS_MAX, Math.max(0, this.#serverMs(nowMs) - last.atMs));
    return last.shots.map((shot) => ({
      ...shot,
      x: shot.x + (shot.vx * aheadMs) / 1000,
      y: shot.y + (shot.vy * aheadMs) / 1000,
    }));
  }

  /** The server's clock, judged by the snapshot that was under way for the shortest time. */
  #serverMs(nowMs: number): number {
    const ahead = this.#entries.map((entry) => entry.atMs - entry.arrivedMs);
    return nowMs + Math.max(...ahead);
  }
}

function between(from: Ship | undefined, to: Ship, share: number): Ship {
  const jumped = !from || Math.hypot(to.x - from.x, to.y - from.y) > JUMP_UNITS;
  if (jumped) return to;
  const turn = Math.atan2(Math.sin(to.aim - from.aim), Math.cos(to.aim - from.aim));
  return {
    ...to,
    x: from.x + (to.x - from.x) * share,
    y: from.y + (to.y - from.y) * share,
    aim: from.aim + turn * share,
  };
}

// Where the own ship is now, although the server's word about it is a round trip old.
//
// The moves since the server's word are played again on top of it. What the prediction got wrong
// is not corrected with a jump but fades within a few frames.
//
// Invariant: moves are kept in the order of their time, at least one, and no older than needed.
import { moveShip, type Vec, type World } from "./world.js";

const STEP_MS = 8;
/** A lead beyond this is a stall, not a latency, and is not predicted over. */
const LEAD_MS_MAX = 400;
/** The share of a new sample in the judged lead. */
const LEAD_WEIGHT = 0.2;
/** After this time a third of an error is left. */
const FADE_MS = 90;
/** An error beyond this is a new place, for example after a respawn. */
const JUMP_UNITS = 120;
const SENT_MAX = 64;

export class Prediction {
  readonly #world: World;
  #moves: { fromMs: number; move: Vec }[] = [{ fromMs: -Infinity, move: { x: 0, y: 0 } }];
  #sent = new Map<number, number>();
  /** From sending an input to the first snapshot with its effect. */
  #leadMs = 60;
  #word: { at: Vec; arrivedMs: number } | undefined;
  #error: Vec = { x: 0, y: 0 };
  #errorMs = 0;

  constructor(world: World) {
    this.#world = world;
  }

  /** The player's move from now on. */
  input(move: Vec, nowMs: number): void {
    const last = this.#moves.at(-1)!;
    if (last.move.x !== move.x || last.move.y !== move.y) this.#moves.push({ fromMs: nowMs, move });
    const neededMs = nowMs - 2 * LEAD_MS_MAX;
    while (this.#moves[1] && this.#moves[1].fromMs < neededMs) this.#moves.shift();
  }

  /** The input of this number has been sent. */
  sent(n: number, nowMs: number): void {
    this.#sent.set(n, nowMs);
    if (this.#sent.size > SENT_MAX) this.#sent.delete(this.#sent.keys().next().value!);
  }

  /** The server's word: the ship was `at` this place, with the input `n` in effect. */
  receive(at: Vec, n: number, nowMs: number): void {
    const sentMs = this.#sent.get(n);
    if (sentMs !== undefined) {
      this.#sent.delete(n);
      const sample = Math.min(LEAD_MS_MAX, nowMs - sentMs);
      this.#leadMs += (sample - this.#leadMs) * LEAD_WEIGHT;
    }
    const shown = this.position(nowMs);
    this.#word = { at, arrivedMs: nowMs };
    const predicted = this.#replay(nowMs)!;
    const error = { x: (shown?.x ?? at.x) - predicted.x, y: (shown?.y ?? at.y) - predicted.y };
    const jumped = !shown || Math.hypot(error.x, error.y) > JUMP_UNITS;
    this.#error = jumped ? { x: 0, y: 0 } : error;
    this.#errorMs = nowMs;
  }

  /** Where the ship is now; undefined before the server's first word. */
  position(nowMs: number): Vec | undefined {
    const predicted = this.#replay(nowMs);
    if (!predicted) return undefined;
    const left = Math.exp(-(nowMs - this.#errorMs) / FADE_MS);
    return { x: predicted.x + this.#error.x * left, y: predicted.y + this.#error.y * left };
  }

  #replay(nowMs: number): Vec | undefined {
    if (!this.#word) return undefined;
    let { at } = this.#word;
    let timeMs = Math.max(this.#word.arrivedMs, nowMs - LEAD_MS_MAX) - this.#leadMs;
    while (timeMs < nowMs) {
      const stepMs = Math.min(STEP_MS, nowMs - timeMs);
      at = moveShip(this.#world, at, this.#moveAt(timeMs), stepMs);
      timeMs += stepMs;
    }
    return at;
  }

  #moveAt(timeMs: number): Vec {
    return (this.#moves.findLast((entry) => entry.fromMs <= timeMs) ?? this.#moves[0]!).move;
  }
}

// What players and the scene say to each other: JSON, told apart by `type`. This is all that a page has
// to know of the game.
import { integer, oneOf, tagged, type Read } from "@scenehost/plugin";
import { HANDS, type Hand } from "./rules.js";

/** What a player sends. */
export const request = tagged({
  /** Show this hand in this round; in another one it comes too late. */
  choose: { round: integer(1, 1_000), hand: oneOf(...HANDS) },
  /** Give the match up. */
  resign: {},
});
export type Request = Read<typeof request>;

/** Something of each seat. */
export type Both<T> = [T, T];

/** How a round went. */
export interface Revealed {
  /** What each seat has shown; null: nothing in time. */
  readonly hands: Both<Hand | null>;
  /** Who won it; null: nobody. */
  readonly winner: number | null;
}

/** The whole table, as everybody may see it. */
export interface Table {
  /** `waiting` for somebody, `choosing`, or `revealed` until the next round begins. */
  readonly phase: Phase;
  /** The number of the round, from 1. */
  readonly round: number;
  /** So many won rounds win the match. */
  readonly target: number;
  /** Until the phase ends, in milliseconds; 0 while waiting. */
  readonly left_ms: number;
  /** Who has chosen in this round. What they have is told when both have. */
  readonly chosen: Both<boolean>;
  /** How the last round went, if there was one. */
  readonly last: Revealed | null;
  /** Won rounds, by seat. */
  readonly score: Both<number>;
  readonly present: Both<boolean>;
  readonly names: Both<string>;
}

export type Phase = "waiting" | "choosing" | "revealed";

/** What the scene sends. */
export type Reply =
  /** Everything: to a player who came in or is back, and to both when a round begins. */
  | ({ readonly type: "state"; readonly yours: Hand | null } & Table)
  /** A player has chosen, and cannot take it back. */
  | { readonly type: "chosen"; readonly seat: number }
  /** The round is over. */
  | ({ readonly type: "revealed"; readonly score: Both<number> } & Revealed)
  /** The match is over; the scene ends. */
  | {
      readonly type: "over";
      readonly winner: number | null;
      readonly reason: Reason;
      readonly score: Both<number>;
    }
  /** The other player came, went or is back. */
  | { readonly type: "presence"; readonly seat: number; readonly present: boolean }
  /** The last request was not done. */
  | { readonly type: "refused"; readonly reason: Refusal };

/** What ended a match: enough rounds, all of them played, or a player. */
export type Reason = "won" | "last_round" | "resigned" | "left" | "nobody_plays";

/** Why a request was not done. */
export type Refusal = "not_choosing" | "other_round" | "chosen_already" | "unreadable";

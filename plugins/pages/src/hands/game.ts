// The state of a match of rock, paper, scissors as its messages tell it, and nothing about how it looks.
//
// Invariant: `reduce` is pure; the time to choose counts from a moment that is an argument.

/** A seat: 0 or 1. */
export type Seat = 0 | 1;
export type Pair<T> = readonly [T, T];

export const HANDS = ["rock", "paper", "scissors"] as const;
export type Hand = (typeof HANDS)[number];

/** How a round went: what each has shown in time, and who won it. */
export interface Revealed {
  hands: Pair<Hand | null>;
  winner: Seat | null;
}

export interface Over {
  winner: Seat | null;
  reason: "won" | "last_round" | "resigned" | "left" | "nobody_plays";
}

export type Refusal = "not_choosing" | "other_round" | "chosen_already" | "unreadable";

export type Event =
  | {
      type: "state";
      phase: "waiting" | "choosing" | "revealed";
      round: number;
      target: number;
      left_ms: number;
      chosen: Pair<boolean>;
      last: Revealed | null;
      score: Pair<number>;
      present: Pair<boolean>;
      names: Pair<string>;
      /** Not told to who watches. */
      yours?: Hand | null;
    }
  | { type: "chosen"; seat: Seat }
  | ({ type: "revealed"; score: Pair<number> } & Revealed)
  | ({ type: "over"; score: Pair<number> } & Over)
  | { type: "presence"; seat: Seat; present: boolean }
  | { type: "refused"; reason: Refusal };

export type Command = { type: "choose"; round: number; hand: Hand } | { type: "resign" };

export interface Game {
  phase: "waiting" | "choosing" | "revealed" | "over";
  /** The number of the round, from 1. */
  round: number;
  /** So many won rounds win the match. */
  target: number;
  /** When the time to choose is over. */
  endsAtMs: number;
  chosen: Pair<boolean>;
  /** The own hand of this round. */
  yours: Hand | null;
  /** How the last round went that was shown. */
  last: Revealed | null;
  score: Pair<number>;
  present: Pair<boolean>;
  names: Pair<string>;
  over: Over | null;
  /** Why the last request was not done; gone with what comes next. */
  refused: Refusal | null;
}

/** The match after an event. Before the first `state` there is none, and nothing else makes one. */
export function reduce(game: Game | null, event: Event, nowMs: number): Game | null {
  if (event.type === "state") {
    const { phase, round, target, left_ms, chosen, last, score, present, names } = event;
    return {
      ...{ phase, round, target, chosen, last, score, present, names },
      endsAtMs: nowMs + left_ms,
      yours: event.yours ?? null,
      over: null,
      refused: null,
    };
  }
  if (!game) return null;
  switch (event.type) {
    case "chosen":
      return { ...game, chosen: withSeat(game.chosen, event.seat, true), refused: null };
    case "revealed": {
      const { hands, winner, score } = event;
      return { ...game, phase: "revealed", last: { hands, winner }, score, refused: null };
    }
    case "over": {
      const { winner, reason, score } = event;
      return { ...game, phase: "over", over: { winner, reason }, score, refused: null };
    }
    case "presence":
      return { ...game, present: withSeat(game.present, event.seat, event.present) };
    case "refused": {
      // What stands is still what was chosen first.
      const yours = event.reason === "chosen_already" ? game.yours : null;
      return { ...game, yours, refused: event.reason };
    }
  }
}

/** The match once the player has picked a hand, which the scene has not heard of yet. */
export function picked(game: Game, hand: Hand): Game {
  return { ...game, yours: hand, refused: null };
}

/** Which hand a seat shows now, as far as it is known. */
export function shownHand(game: Game, seat: Seat, me: Seat | undefined): Hand | null {
  if (game.phase === "choosing") return seat === me ? game.yours : null;
  return game.phase === "waiting" ? null : (game.last?.hands[seat] ?? null);
}

/** Whether a seat's hand lies there face down. */
export function isHidden(game: Game, seat: Seat, me: Seat | undefined): boolean {
  return game.phase === "choosing" && seat !== me && game.chosen[seat];
}

/** What is left to choose, in whole seconds. */
export function leftS(game: Game, nowMs: number): number {
  return Math.max(0, Math.ceil((game.endsAtMs - nowMs) / 1000));
}

export function other(seat: Seat): Seat {
  return seat === 0 ? 1 : 0;
}

function withSeat(pair: Pair<boolean>, seat: Seat, value: boolean): Pair<boolean> {
  return seat === 0 ? [value, pair[1]] : [pair[0], value];
}

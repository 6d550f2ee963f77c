// The state of a game of Gomoku as its messages tell it, and nothing about how it looks.
//
// Invariant: `reduce` is pure; the clocks count from a moment that is an argument.

/** A seat: 0 or 1. */
export type Seat = 0 | 1;
export type Point = readonly [x: number, y: number];
export type Pair<T> = readonly [T, T];

export const BOARD_SIZE = 15;

export interface Over {
  winner: Seat | null;
  reason: "five" | "resign" | "time" | "draw" | "full" | "left";
  /** The winning stones; empty unless five in a row decided. */
  line: readonly Point[];
  score: Pair<number>;
  clocks_ms: Pair<number>;
}

export type Event =
  | {
      type: "state";
      phase: "waiting" | "playing" | "over";
      game: number;
      black: Seat;
      turn: Seat | null;
      moves: readonly Point[];
      clocks_ms: Pair<number>;
      draw_offer: Seat | null;
      rematch: Pair<boolean>;
      over: Over | null;
      score: Pair<number>;
      present: Pair<boolean>;
      names: Pair<string>;
    }
  | { type: "placed"; seat: Seat; x: number; y: number; turn: Seat | null; clocks_ms: Pair<number> }
  | { type: "draw_offered"; seat: Seat }
  | { type: "draw_declined"; seat: Seat }
  | ({ type: "over" } & Over)
  | { type: "rematch_offered"; seat: Seat }
  | { type: "presence"; seat: Seat; present: boolean }
  | { type: "refused"; reason: Refusal };

export type Refusal =
  "not_your_turn" | "occupied" | "off_board" | "not_playing" | "no_offer" | "unreadable";

export type Command =
  | { type: "place"; x: number; y: number }
  | { type: "resign" }
  | { type: "offer_draw" }
  | { type: "answer_draw"; accept: boolean }
  | { type: "rematch" }
  | { type: "new_opponent" };

export interface Game {
  phase: "waiting" | "playing" | "over";
  /** Counts the games of the series from 1. */
  number: number;
  black: Seat;
  turn: Seat | null;
  /** Black's and white's stones in turn. */
  moves: readonly Point[];
  /** By seat, as they were at `clocksAtMs`. */
  clocksMs: Pair<number>;
  clocksAtMs: number;
  drawOffer: Seat | null;
  rematch: Pair<boolean>;
  over: Over | null;
  score: Pair<number>;
  present: Pair<boolean>;
  names: Pair<string>;
  /** What the players are told besides the state; replaced by the next event. */
  note: { draw_declined: Seat } | { refused: Refusal } | null;
}

/** The game after an event. Before the first `state` there is none, and nothing else makes one. */
export function reduce(game: Game | null, event: Event, nowMs: number): Game | null {
  if (event.type === "state") {
    return {
      phase: event.phase,
      number: event.game,
      black: event.black,
      turn: event.turn,
      moves: event.moves,
      clocksMs: event.clocks_ms,
      clocksAtMs: nowMs,
      drawOffer: event.draw_offer,
      rematch: event.rematch,
      over: event.over,
      score: event.score,
      present: event.present,
      names: event.names,
      note: null,
    };
  }
  if (!game) return null;
  switch (event.type) {
    case "placed":
      return {
        ...game,
        moves: [...game.moves, [event.x, event.y]],
        turn: event.turn,
        clocksMs: event.clocks_ms,
        clocksAtMs: nowMs,
        // A move of the one who was asked is a no.
        drawOffer: game.drawOffer === event.seat ? game.drawOffer : null,
        note: null,
      };
    case "draw_offered":
      return { ...game, drawOffer: event.seat, note: null };
    case "draw_declined":
      return { ...game, drawOffer: null, note: { draw_declined: event.seat } };
    case "over": {
      const { type: _, ...over } = event;
      return {
        ...game,
        phase: "over",
        turn: null,
        over,
        score: over.score,
        clocksMs: over.clocks_ms,
        clocksAtMs: nowMs,
        drawOffer: null,
        rematch: [false, false],
        note: null,
      };
    }
    case "rematch_offered":
      return { ...game, rematch: withSeat(game.rematch, event.seat, true) };
    case "presence":
      return { ...game, present: withSeat(game.present, event.seat, event.present) };
    case "refused":
      return { ...game, note: { refused: event.reason } };
  }
}

/** What is left on a seat's clock; the clock of whose turn it is runs on between events. */
export function clockMs(game: Game, seat: Seat, nowMs: number): number {
  const runs = game.phase === "playing" && game.turn === seat;
  return Math.max(0, game.clocksMs[seat] - (runs ? nowMs - game.clocksAtMs : 0));
}

/** The time of a clock for people: minutes and seconds, tenths when they matter. */
export function clockText(ms: number): string {
  if (ms < 10_000) return (Math.floor(ms / 100) / 10).toFixed(1);
  const seconds = Math.ceil(ms / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** The name of a point: letters from the left, numbers from below. */
export function pointName([x, y]: Point): string {
  return `${String.fromCharCode(65 + x)}${BOARD_SIZE - y}`;
}

export function stoneOf(game: Game, seat: Seat): "black" | "white" {
  return game.black === seat ? "black" : "white";
}

export function other(seat: Seat): Seat {
  return seat === 0 ? 1 : 0;
}

function withSeat(pair: Pair<boolean>, seat: Seat, value: boolean): Pair<boolean> {
  return seat === 0 ? [value, pair[1]] : [pair[0], value];
}

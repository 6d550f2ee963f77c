// The games that can be played back: how each tells its state, and which of its messages the page can show.
//
// Invariant: a message that passes `isGood` can be reduced and drawn; a game that was changed may send others.
import { KILL_SHOWN_MS } from "../arena/picture.js";
import { BOARD_SIZE } from "../gomoku/game.js";
import { isFields, type Journal } from "./journal.js";
import type { Telling } from "./viewpoint.js";

export const GAMES = ["gomoku", "arena"] as const;
export type GameName = (typeof GAMES)[number];

/** The game of a journal; `undefined` for one that this page cannot show. */
export function gameOf(journal: Journal): GameName | undefined {
  return GAMES.find((game) => game === journal.plugin);
}

type Check = (value: unknown) => boolean;

const number: Check = (value) => typeof value === "number" && Number.isFinite(value);
const text: Check = (value) => typeof value === "string";
const yesNo: Check = (value) => typeof value === "boolean";
const either =
  (...checks: Check[]): Check =>
  (value) =>
    checks.some((check) => check(value));
const nothing: Check = (value) => value === null;
const oneOf =
  (...values: readonly unknown[]): Check =>
  (value) =>
    values.includes(value);
const list =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check);
const tuple =
  (...checks: Check[]): Check =>
  (value) =>
    Array.isArray(value) &&
    value.length === checks.length &&
    checks.every((check, at) => check(value[at]));
const fields =
  (checks: Readonly<Record<string, Check>>): Check =>
  (value) =>
    isFields(value) && Object.entries(checks).every(([key, check]) => check(value[key]));

/** Messages by their type, each with what of it is read. */
function byType(checks: Readonly<Record<string, Check>>): Telling["isGood"] {
  return (body) => {
    const { type } = body;
    return typeof type === "string" && Object.hasOwn(checks, type) && checks[type]!(body);
  };
}

const seat = oneOf(0, 1);
const pair = (check: Check) => tuple(check, check);
const onBoard: Check = (value) =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) < BOARD_SIZE;
const point = tuple(onBoard, onBoard);
const overFields = {
  winner: either(seat, nothing),
  reason: oneOf("five", "resign", "time", "draw", "full", "left"),
  line: list(point),
  score: pair(number),
  clocks_ms: pair(number),
};
const reasons = [
  "not_your_turn",
  "occupied",
  "off_board",
  "not_playing",
  "no_offer",
  "unreadable",
] as const;

const gomoku: Telling = {
  whole: new Set(["state"]),
  first: new Set(["state"]),
  fading: new Map(),
  isGood: byType({
    state: fields({
      phase: oneOf("waiting", "playing", "over"),
      game: number,
      black: seat,
      turn: either(seat, nothing),
      moves: list(point),
      clocks_ms: pair(number),
      draw_offer: either(seat, nothing),
      rematch: pair(yesNo),
      over: either(fields(overFields), nothing),
      score: pair(number),
      present: pair(yesNo),
      names: pair(text),
    }),
    placed: fields({
      seat,
      x: onBoard,
      y: onBoard,
      turn: either(seat, nothing),
      clocks_ms: pair(number),
    }),
    draw_offered: fields({ seat }),
    draw_declined: fields({ seat }),
    over: fields(overFields),
    rematch_offered: fields({ seat }),
    presence: fields({ seat, present: yesNo }),
    refused: fields({ reason: oneOf(...reasons) }),
  }),
};

const four = tuple(number, number, number, number);
const players = list(fields({ seat: number, name: text, present: yesNo }));
const snapshotFields = {
  tick: number,
  left_ms: number,
  ships: list(tuple(...Array<Check>(9).fill(number))),
  shots: list(tuple(...Array<Check>(6).fill(number))),
  hits: list(tuple(number, number, number, number, yesNo)),
};
const worldFields = { world: pair(number), walls: list(four), players };

const arena: Telling = {
  whole: new Set(["welcome", "watching"]),
  first: new Set(["snapshot", "watching"]),
  fading: new Map([
    ["snapshot", KILL_SHOWN_MS],
    ["players", 0],
  ]),
  isGood: byType({
    welcome: fields({ seat: number, ...worldFields }),
    watching: fields({ snapshot: fields(snapshotFields), ...worldFields }),
    players: fields({ players }),
    snapshot: fields(snapshotFields),
    over: fields({
      standings: list(
        fields({ seat: number, name: text, place: number, kills: number, deaths: number }),
      ),
    }),
  }),
};

export const tellings: Record<GameName, Telling> = { gomoku, arena };

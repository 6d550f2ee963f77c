// Behaviour of Gomoku's state: what each event changes.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  clockMs,
  clockText,
  pointName,
  reduce,
  type Event,
  type Game,
} from "../src/gomoku/game.js";
import { resultText, statusText, watchedText } from "../src/gomoku/words.js";

const start: Event = {
  type: "state",
  phase: "playing",
  game: 1,
  black: 0,
  turn: 0,
  moves: [],
  clocks_ms: [60_000, 60_000],
  draw_offer: null,
  rematch: [false, false],
  over: null,
  score: [0, 0],
  present: [true, true],
  names: ["Ada", "Bob"],
};

function after(...events: Event[]): Game {
  let game: Game | null = null;
  for (const event of [start, ...events]) game = reduce(game, event, 1_000);
  assert.ok(game);
  return game;
}

const placed = (seat: 0 | 1, x: number, y: number): Event => ({
  type: "placed",
  seat,
  x,
  y,
  turn: seat === 0 ? 1 : 0,
  clocks_ms: [50_000, 60_000],
});

test("nothing makes a game before its state is told", () => {
  assert.equal(reduce(null, placed(0, 7, 7), 0), null);
});

test("a stone passes the turn and sets the clocks", () => {
  const game = after(placed(0, 7, 7));
  assert.deepEqual(game.moves, [[7, 7]]);
  assert.equal(statusText(game, 0), "Bob is thinking");
  assert.equal(statusText(game, 1), "Your turn");
  assert.equal(clockMs(game, 0, 9_000), 50_000);
  assert.equal(clockMs(game, 1, 9_000), 52_000);
  assert.equal(clockMs(game, 1, 99_000), 0);
});

test("a draw offer stands until it is answered, by word or by a move", () => {
  const offered: Event = { type: "draw_offered", seat: 1 };
  assert.equal(after(offered).drawOffer, 1);
  assert.equal(after(offered, { type: "draw_declined", seat: 0 }).drawOffer, null);
  assert.equal(after(offered, placed(0, 1, 1)).drawOffer, null);
});

test("the end is told from each side, and a rematch starts afresh", () => {
  const over: Event = {
    type: "over",
    winner: 1,
    reason: "time",
    line: [],
    score: [0, 1],
    clocks_ms: [0, 60_000],
  };
  const game = after(placed(0, 7, 7), over, { type: "rematch_offered", seat: 1 });
  assert.deepEqual(resultText(game, 0), { title: "Bob wins", text: "You ran out of time." });
  assert.deepEqual(resultText(game, 1), { title: "You win", text: "Ada ran out of time." });
  assert.deepEqual(game.rematch, [false, true]);
  const again = reduce(game, { ...start, game: 2, black: 1, score: [0, 1] }, 2_000);
  assert.equal(again?.phase, "playing");
  assert.equal(again?.over, null);
});

test("an end that was missed is told by the places", () => {
  const end = (mine: number, theirs: number) => {
    const result = { score: 0n };
    const results = [
      { seat: 0, place: mine, ...result },
      { seat: 1, place: theirs, ...result },
    ];
    return { sceneId: "s1", reason: "FINISHED", text: "", results } as const;
  };
  const title = (mine: number, theirs: number) =>
    resultText(after(placed(0, 7, 7)), 0, end(mine, theirs)).title;
  assert.deepEqual([title(1, 2), title(2, 1), title(1, 1)], ["You win", "Bob wins", "A draw"]);
  assert.equal(resultText(after(), 0).title, "The game ended");
});

test("a refusal and an absence change nothing else", () => {
  const game = after({ type: "presence", seat: 1, present: false });
  assert.deepEqual(game.present, [true, false]);
  assert.deepEqual(after({ type: "refused", reason: "occupied" }).note, { refused: "occupied" });
});

test("clocks and points read as people write them", () => {
  assert.equal(clockText(300_000), "5:00");
  assert.equal(clockText(61_001), "1:02");
  assert.equal(clockText(9_990), "9.9");
  assert.equal(clockText(0), "0.0");
  assert.equal(pointName([7, 7]), "H8");
  assert.equal(pointName([0, 14]), "A1");
});

test("who watches is told whose turn it is and who wins", () => {
  assert.equal(watchedText(after(placed(0, 7, 7))).title, "Bob is thinking");
  const over: Event = {
    type: "over",
    winner: 0,
    reason: "resign",
    line: [],
    score: [1, 0],
    clocks_ms: [1, 1],
  };
  assert.deepEqual(watchedText(after(over)), { title: "Ada wins", text: "Bob resigned." });
});

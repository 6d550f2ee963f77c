// The rules of the table, played through the test kit.
import type { Init } from "@scenehost/plugin";
import { player, players, SceneTest } from "@scenehost/plugin/testing";
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Reply } from "../src/messages.js";
import { HANDS, winnerOf, type Hand } from "../src/rules.js";
import { RockPaperScissors } from "../src/scene.js";

type Game = SceneTest<RockPaperScissors>;

const CHOOSE_MS = 15_000;
const REVEAL_MS = 2_500;

/** A table at which both sit, and were told so. */
function seated(configuration: object = {}): Game {
  const init: Init = { ...players(2), configuration: JSON.stringify(configuration) };
  const game = SceneTest.start(RockPaperScissors, init);
  game.join(0);
  game.join(1);
  told(game);
  return game;
}

/** What both were told since the last time. */
function told(game: Game): [Reply[], Reply[]] {
  return [game.received(0), game.received(1)];
}

const choose = (game: Game, seat: number, hand: Hand) =>
  game.send(seat, { type: "choose", round: game.scene.round, hand });

/** Plays a round to the beginning of the next one. */
function play(game: Game, one: Hand | null, two: Hand | null): void {
  if (one) choose(game, 0, one);
  if (two) choose(game, 1, two);
  if (!one || !two) game.advanceMs(CHOOSE_MS);
  game.advanceMs(REVEAL_MS);
}

function stateOf(replies: Reply[]): Extract<Reply, { type: "state" }> {
  const state = replies.filter((reply) => reply.type === "state").at(-1);
  assert.ok(state, "a state was told");
  return state;
}

function overOf(replies: Reply[]): Extract<Reply, { type: "over" }> {
  const last = replies.at(-1);
  assert.ok(last?.type === "over", `the last word was ${JSON.stringify(last)}`);
  return last;
}

const places = (game: Game) => game.results?.map(({ place, score }) => [place, score]);

test("each hand beats one, loses to one, and is equal to itself", () => {
  const beaten = HANDS.map((one) => HANDS.filter((other) => winnerOf(one, other) === 0));
  assert.deepEqual(beaten, [["scissors"], ["rock"], ["paper"]]);
  for (const one of HANDS) {
    assert.equal(winnerOf(one, one), null);
    assert.equal(winnerOf(one, null), 0);
    assert.equal(winnerOf(null, one), 1);
  }
  assert.equal(winnerOf(null, null), null);
});

test("a choice is hidden until both have chosen", () => {
  const game = seated();
  choose(game, 0, "rock");
  assert.deepEqual(told(game), [[{ type: "chosen", seat: 0 }], [{ type: "chosen", seat: 0 }]]);
  game.dropOut(1);
  game.resume(1, true);
  const state = stateOf(game.received(1));
  assert.deepEqual([state.chosen, state.yours], [[true, false], null]);
  game.watched();
  assert.doesNotMatch(JSON.stringify(game.shown()), /rock/);

  choose(game, 1, "scissors");
  const revealed = { type: "revealed", hands: ["rock", "scissors"], winner: 0, score: [1, 0] };
  assert.deepEqual(game.received(1).at(-1), revealed);
  assert.deepEqual(game.received(0).at(-1), revealed);
  assert.match(JSON.stringify(game.shown()), /rock/);
  game.assertReplays();
});

test("who is back knows the own choice", () => {
  const game = seated();
  choose(game, 0, "paper");
  game.advanceMs(5_000);
  game.dropOut(0);
  game.resume(0, false);
  const { yours, left_ms } = stateOf(game.received(0));
  assert.deepEqual([yours, left_ms], ["paper", 10_000]);
});

test("the next round begins when both have seen the last one", () => {
  const game = seated();
  choose(game, 0, "rock");
  choose(game, 1, "rock");
  told(game);
  game.advanceMs(REVEAL_MS - 1);
  assert.deepEqual(told(game), [[], []]);
  game.advanceMs(1);
  const { round, phase, chosen, last, score, left_ms } = stateOf(game.received(0));
  assert.deepEqual([round, phase, chosen, score], [2, "choosing", [false, false], [0, 0]]);
  assert.deepEqual(last, { hands: ["rock", "rock"], winner: null });
  assert.equal(left_ms, CHOOSE_MS);
});

test("who has won more than half of the rounds has won the match", () => {
  const game = seated({ rounds: 3 });
  play(game, "rock", "paper");
  play(game, "rock", "rock");
  play(game, "rock", "scissors");
  assert.deepEqual(game.label, { players: "player 0 – player 1", round: 4, score: "1:1" });
  told(game);
  choose(game, 1, "paper");
  choose(game, 0, "rock");
  const [one, two] = told(game).map(overOf);
  assert.deepEqual(one, { type: "over", winner: 1, reason: "won", score: [1, 2] });
  assert.deepEqual(two, one);
  assert.deepEqual(places(game), [
    [2, 1],
    [1, 2],
  ]);
  game.assertReplays();
});

test("who does not choose in time loses the round to who does", () => {
  const game = seated();
  choose(game, 1, "rock");
  game.advanceMs(CHOOSE_MS);
  const revealed = { type: "revealed", hands: [null, "rock"], winner: 1, score: [0, 1] };
  assert.deepEqual(game.received(0).at(-1), revealed);
});

test("a match that nobody plays ends undecided", () => {
  const game = seated();
  play(game, null, null);
  play(game, "rock", null);
  play(game, null, null);
  assert.equal(game.results, undefined);
  told(game);
  game.advanceMs(CHOOSE_MS);
  assert.deepEqual(overOf(game.received(0)).reason, "nobody_plays");
  assert.deepEqual(game.results, []);
});

test("draws do not go on for ever", () => {
  const game = seated({ rounds: 1 });
  for (let round = 1; round < 4; round++) play(game, "rock", "rock");
  told(game);
  choose(game, 0, "paper");
  choose(game, 1, "paper");
  const { reason, winner } = overOf(game.received(0));
  assert.deepEqual([reason, winner], ["last_round", null]);
  assert.deepEqual(places(game), [
    [1, 0],
    [1, 0],
  ]);
});

test("the last round of a match in which one is ahead decides it", () => {
  const game = seated({ rounds: 3 });
  play(game, "rock", "paper");
  for (let round = 2; round <= 12; round++) play(game, "rock", "rock");
  assert.deepEqual(places(game), [
    [2, 0],
    [1, 1],
  ]);
});

const refusals: readonly (readonly [string, (game: Game) => void, string])[] = [
  ["a second choice", (game) => choose(game, 0, "paper"), "chosen_already"],
  [
    "a choice for another round",
    (game) => game.send(0, { type: "choose", round: 2, hand: "rock" }),
    "other_round",
  ],
  [
    "a hand that is none",
    (game) => game.sendText(0, '{"type":"choose","round":1,"hand":"well"}'),
    "unreadable",
  ],
  ["what is no message", (game) => game.sendText(0, "rock"), "unreadable"],
];

for (const [what, send, reason] of refusals) {
  test(`refused to the sender alone: ${what}`, () => {
    const game = seated();
    choose(game, 0, "rock");
    told(game);
    send(game);
    assert.deepEqual(told(game), [[{ type: "refused", reason }], []]);
    assert.deepEqual(game.scene.choices, ["rock", null]);
  });
}

test("nobody chooses before both are there, nor after a round was revealed", () => {
  const game = SceneTest.start(RockPaperScissors, players(2));
  game.join(0);
  assert.equal(stateOf(game.received(0)).phase, "waiting");
  choose(game, 0, "rock");
  game.send(0, { type: "resign" });
  const refused = { type: "refused", reason: "not_choosing" };
  assert.deepEqual(game.received(0), [refused, refused]);
  game.join(1);
  choose(game, 0, "rock");
  choose(game, 1, "rock");
  told(game);
  choose(game, 0, "rock");
  assert.deepEqual(game.received(0), [refused]);
});

test("the match begins with a return, if one had dropped before the other came", () => {
  const game = SceneTest.start(RockPaperScissors, players(2));
  game.join(0);
  game.dropOut(0);
  game.join(1);
  assert.equal(stateOf(game.received(1)).phase, "waiting");
  game.resume(0, false);
  assert.deepEqual(
    told(game)
      .map(stateOf)
      .map(({ phase }) => phase),
    ["choosing", "choosing"],
  );
});

test("who leaves or resigns loses", () => {
  for (const go of [
    (game: Game) => game.leave(0, "dropped"),
    (game: Game) => game.send(0, { type: "resign" }),
  ]) {
    const game = seated();
    play(game, "paper", "rock");
    go(game);
    assert.equal(overOf(game.received(1)).winner, 1);
    assert.deepEqual(places(game), [
      [2, 1],
      [1, 0],
    ]);
  }
});

test("a match to which one never came is not decided", () => {
  const game = SceneTest.start(RockPaperScissors, players(2));
  game.join(0);
  game.leave(1, "never-joined");
  assert.deepEqual(game.results, []);
});

test("the other one hears who drops and who is back", () => {
  const game = seated();
  game.dropOut(1);
  game.resume(1, false);
  assert.deepEqual(game.received(0), [
    { type: "presence", seat: 1, present: false },
    { type: "presence", seat: 1, present: true },
  ]);
});

test("there are two seats", () => {
  assert.equal(seated().tryJoin(player(2)), "this table has two seats");
});

test("a match goes on from a snapshot", () => {
  const game = seated();
  play(game, "rock", "paper");
  choose(game, 0, "rock");
  game.reload();
  choose(game, 1, "scissors");
  assert.deepEqual(game.scene.score, [1, 1]);
  game.advanceMs(REVEAL_MS);
  assert.equal(game.scene.round, 3);
});

test("a configuration that is not right is told", () => {
  const start = (configuration: object) => () => seated(configuration);
  assert.throws(start({ round: 3 }), /round: expected no such field; there is rounds, choose_ms/);
  assert.throws(start({ choose_ms: 10 }), /choose_ms: expected a whole number from 1000/);
});

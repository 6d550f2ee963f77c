// The state of a match of rock, paper, scissors, and what is said of it.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  isHidden,
  leftS,
  picked,
  reduce,
  shownHand,
  type Event,
  type Game,
  type Hand,
} from "../src/hands/game.js";
import { resultText, statusText, watchedText } from "../src/hands/words.js";
import { describe } from "../src/ui/running-words.js";

const state: Event = {
  type: "state",
  phase: "choosing",
  round: 2,
  target: 3,
  left_ms: 15_000,
  chosen: [false, false],
  last: { hands: ["rock", "paper"], winner: 1 },
  score: [0, 1],
  present: [true, true],
  names: ["Ada", "Bo"],
  yours: null,
};

/** The match after `state` and these events. */
function after(...events: Event[]): Game {
  const game = [state, ...events].reduce<Game | null>((game, it) => reduce(game, it, 1_000), null);
  assert.ok(game);
  return game;
}

test("nothing begins a match but its state", () => {
  assert.equal(reduce(null, { type: "chosen", seat: 0 }, 0), null);
  assert.equal(leftS(after(), 1_001), 15);
  assert.equal(leftS(after(), 99_000), 0);
});

test("what the other has chosen lies face down until both have", () => {
  const chosen = after({ type: "chosen", seat: 1 });
  assert.deepEqual([shownHand(chosen, 1, 0), isHidden(chosen, 1, 0)], [null, true]);
  assert.equal(isHidden(chosen, 1, undefined), true);
  const mine = picked(chosen, "scissors");
  assert.deepEqual([shownHand(mine, 0, 0), isHidden(mine, 0, 0)], ["scissors", false]);
  const revealed: Event = {
    type: "revealed",
    hands: ["scissors", "paper"],
    winner: 0,
    score: [1, 1],
  };
  const shown = reduce(mine, revealed, 0)!;
  assert.deepEqual(
    [0, 1].map((seat) => shownHand(shown, seat as 0 | 1, 0)),
    revealed.hands,
  );
  assert.deepEqual(statusText(shown, 0), {
    title: "You win the round",
    text: "Scissors cut paper.",
  });
  assert.equal(statusText(shown, 1).title, "Ada wins the round");
});

test("a choice that came too late can be made anew, and one that stands cannot", () => {
  const late = reduce(picked(after(), "rock"), { type: "refused", reason: "other_round" }, 0)!;
  assert.equal(late.yours, null);
  assert.match(statusText(late, 0).text, /too late/);
  const twice = reduce(picked(after(), "rock"), { type: "refused", reason: "chosen_already" }, 0)!;
  assert.equal(twice.yours, "rock");
});

test("how a round went is said to each", () => {
  const ended = (hands: [Hand | null, Hand | null], winner: 0 | 1 | null) =>
    statusText(after({ type: "revealed", hands, winner, score: [0, 0] }), 0);
  assert.equal(ended(["rock", "rock"], null).text, "Both took the same.");
  assert.equal(ended([null, null], null).text, "Nobody chose.");
  assert.equal(ended([null, "rock"], 1).text, "You chose nothing.");
  assert.equal(ended(["rock", null], 0).text, "Bo chose nothing.");
});

test("the end is told to each, also when the last word was missed", () => {
  const over = after({ type: "over", winner: 0, reason: "resigned", score: [0, 1] });
  assert.deepEqual(resultText(over, 0), { title: "You win", text: "Bo resigned." });
  assert.deepEqual(resultText(over, 1), { title: "Ada wins", text: "You resigned." });
  assert.deepEqual(watchedText(over), { title: "Ada wins", text: "Bo resigned." });
  const nobody = after({ type: "over", winner: null, reason: "nobody_plays", score: [0, 0] });
  assert.equal(resultText(nobody, 0).title, "The match ended");
  const results = [
    { seat: 0, place: 2, score: 0n },
    { seat: 1, place: 1, score: 3n },
  ];
  const end = { reason: "finished", text: "", results } as unknown as Parameters<
    typeof resultText
  >[2];
  assert.equal(resultText(after(), 0, end).title, "Bo wins");
});

test("in the list of games it is who plays, and the score", () => {
  const scene = { domain: "rock-paper-scissors", label: { players: "Ada – Bo", score: "1:2" } };
  const game = { ...scene, players: 2, playersMax: 2 } as unknown as Parameters<typeof describe>[0];
  assert.equal(describe(game), "Ada – Bo, 1:2");
});

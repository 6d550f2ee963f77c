// Behaviour of the words about games that are going on, whatever the games say of themselves.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { FoundScene } from "@scenehost/client";
import { behindText, describe, watchersText } from "../src/ui/running-words.js";

function game(domain: string, label: FoundScene["label"]): FoundScene {
  return {
    sceneId: "s1",
    domain,
    players: 2,
    playersMax: 8,
    spectators: 0,
    label,
    started: new Date(0),
    canJoin: true,
    canWatch: true,
  };
}

test("games tell who plays and how far they are", () => {
  assert.equal(describe(game("gomoku", { players: "Ada – Bob", moves: 1 })), "Ada – Bob, 1 move");
  assert.equal(describe(game("gomoku", undefined)), "Two players");
  assert.equal(
    describe(game("arena", { leader: "Ada", kills: 3 })),
    "2 of 8 players, Ada leads with 3",
  );
  assert.equal(describe(game("arena", { kills: 0 })), "2 of 8 players");
});

test("labels of another form do no harm", () => {
  const wrong = { players: { a: 1 }, moves: "many", leader: 5, kills: Infinity };
  assert.equal(describe(game("gomoku", wrong)), "Two players");
  assert.equal(describe(game("arena", wrong)), "2 of 8 players");
  assert.equal(describe(game("gomoku", { players: "x".repeat(999) })).length, 61);
});

test("watchers are counted, and told how far behind they are", () => {
  assert.deepEqual([0, 1, 5].map(watchersText), ["", "1 watches", "5 watch"]);
  assert.equal(behindText(0), "You see what the players see.");
  assert.equal(behindText(2_500), "You see the game 2.5 s after the players do.");
});

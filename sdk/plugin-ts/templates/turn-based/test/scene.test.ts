// The game, played in Node as the host would play it.
import { players, SceneTest } from "@scenehost/plugin/testing";
import assert from "node:assert/strict";
import { test } from "node:test";
import { Game } from "../src/scene.js";

function begun(sticks: number) {
  const configuration = JSON.stringify({ sticks });
  const game = SceneTest.start(Game, { ...players(2), configuration });
  game.join(0);
  game.join(1);
  return game;
}

test("who takes the last stick wins", () => {
  const game = begun(5);
  const [first, second] = [game.scene.turn, 1 - game.scene.turn];
  game.send(first, { type: "take", count: 3 });
  assert.equal(game.scene.sticks, 2);
  game.send(second, { type: "take", count: 2 });
  assert.deepEqual(game.received(first).at(-1), { type: "over", winner: second });
  assert.equal(game.results?.find(({ place }) => place === 1)?.seat, second);
  game.assertReplays();
});

test("a turn is the player's whose it is, and within what is there", () => {
  const game = begun(4);
  const [first, second] = [game.scene.turn, 1 - game.scene.turn];
  game.send(second, { type: "take", count: 1 });
  assert.deepEqual(game.received(second).at(-1), {
    type: "refused",
    reason: "it is not your turn",
  });
  game.send(first, { type: "take", count: 3 });
  game.send(second, { type: "take", count: 3 });
  assert.deepEqual(game.received(second).at(-1), {
    type: "refused",
    reason: "there are not so many",
  });
});

test("who thinks for too long loses", () => {
  const game = begun(15);
  const second = 1 - game.scene.turn;
  game.advanceMs(30_000);
  assert.deepEqual(game.received(0).at(-1), { type: "over", winner: second });
});

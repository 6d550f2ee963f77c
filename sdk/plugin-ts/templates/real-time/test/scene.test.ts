// The game, played in Node as the host would play it.
import { players, SceneTest } from "@scenehost/plugin/testing";
import assert from "node:assert/strict";
import { test } from "node:test";
import { Game } from "../src/scene.js";

function begun(round_s: number) {
  const configuration = JSON.stringify({ round_s });
  const game = SceneTest.start(Game, { ...players(2), tickRateHz: 20, configuration });
  game.join(0);
  game.join(1);
  game.ticks(1);
  return game;
}

test("everybody is told in each tick", () => {
  const game = begun(60);
  game.received(0);
  game.ticks(20);
  assert.equal(game.received(0).length, 20);
  game.assertReplays();
});

test("who runs into a wall stands there", () => {
  const game = begun(60);
  game.send(0, { type: "run", x: 1, y: 0 });
  game.ticks(200);
  assert.equal(game.scene.runners.get(0)?.at[0], 100);
});

test("who comes to a coin has it, and there is another one", () => {
  const game = begun(60);
  game.scene.coins[0] = [...game.scene.runners.get(0)!.at];
  game.ticks(1);
  assert.equal(game.received(0).at(-1)?.runners[0]?.score, 1);
  assert.equal(game.scene.coins.length, 5);
});

test("a round ends in time", () => {
  const game = begun(2);
  game.ticks(40);
  assert.equal(game.results?.length, 2);
});

// The game of the README, as the README tests it.
import { SceneTest, players } from "@scenehost/plugin/testing";
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Guess } from "./fixtures/guess.js";

test("who guesses the number wins", () => {
  const game = SceneTest.start(Guess, players(2));
  game.join(0);
  game.join(1);
  assert.deepEqual(game.received(0).at(-1), { type: "welcome", players: 2 });
  game.send(1, { number: 0 });
  assert.deepEqual(game.received(1).at(-1), { type: "higher" });

  game.send(0, { number: game.scene.number });
  assert.deepEqual(game.received(1), [{ type: "won", seat: 0 }]);
  assert.deepEqual(
    game.results?.map(({ place }) => place),
    [1, 2],
  );
  game.assertReplays();
});

test("it is the one that the README shows", () => {
  const source = readFileSync("test/fixtures/guess.ts", "utf8");
  const shown = source.slice(source.indexOf("import"));
  assert.ok(readFileSync("README.md", "utf8").includes(`\`\`\`ts\n${shown}\`\`\``));
});

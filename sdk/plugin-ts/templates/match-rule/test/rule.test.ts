// The rule, asked in Node as the host would ask it.
import { RuleTest } from "@scenehost/plugin/rule/testing";
import assert from "node:assert/strict";
import { test } from "node:test";
import { Rule } from "../src/rule.js";

test("beginners meet beginners, for a while", () => {
  const rule = new RuleTest(Rule, { beginner_games: 3 });
  const beginner = { players: [{ user: 1 }] };
  assert.deepEqual(rule.classify(beginner), { bracket: "beginners", forMs: 30_000 });
  assert.deepEqual(rule.classify({ players: [{ user: 1, games: 3 }] }), {});
});

test("the nearer match is made, and none across the sea", () => {
  const rule = new RuleTest(Rule);
  const far = { region: "us", tickets: [{ players: [{ user: 1 }], regions: { us: 140 } }] };
  const near = { region: "eu", tickets: [{ players: [{ user: 2 }], regions: { eu: 30 } }] };
  assert.deepEqual(rule.judge(far, near), ["veto", -30]);
  assert.equal(rule.choose(far, near), 1);
});

test("a misspelt name of the configuration is told", () => {
  assert.throws(() => new RuleTest(Rule, { beginer_games: 3 }), /no such field/);
});

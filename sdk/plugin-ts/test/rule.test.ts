// What a rule can know and answer, through the test kit.
import { MatchRule } from "@scenehost/plugin/rule";
import { RuleTest } from "@scenehost/plugin/rule/testing";
import assert from "node:assert/strict";
import { test } from "node:test";
import { Gentle } from "./fixtures/gentle.js";

const one = (player: object) => ({ players: [{ user: 1, ...player }] });

test("beginners meet beginners, and others by their rating and their waiting", () => {
  const rule = new RuleTest(Gentle, { beginner_games: 3 });
  assert.deepEqual(rule.classify(one({ games: 2 })), { bracket: "beginners", forMs: 30_000 });
  const party = { players: [{ user: 1, games: 9, rating: 1_601 }, { user: 2 }], waitedMs: 2_500 };
  assert.deepEqual(rule.classify(party), { rating: 1_552 });
  const refused = rule.classify(one({ properties: { language: ["english", "klingon"] } }));
  assert.equal(refused, "only languages of this planet");
});

test("the nearest match with the fairest teams is made", () => {
  const rule = new RuleTest(Gentle);
  const players = [1, 2, 3].map((user) => ({ user }));
  const tickets = [{ players, regions: { eu: 30, us: 130 } }];
  const offers = [
    { tickets, region: "us" },
    { tickets, region: "eu", teams: [0, 0, 0] },
    { tickets, region: "eu", teams: [0, 1, 0] },
  ];
  assert.deepEqual(rule.judge(...offers), ["veto", -33, -31]);
  assert.equal(rule.choose(...offers), 2);
  assert.equal(rule.choose(offers[0]!), undefined);
  assert.equal(rule.teamStrength({ user: 1 }, { user: 2, rating: 1_700 }), 1_700);
});

test("what a rule does not want to know is left out", () => {
  class Blind extends MatchRule {
    override describe() {
      return { knows: [] };
    }
    override classify({ players, regions }: Parameters<MatchRule["classify"]>[0]) {
      const [{ games, roles, has }] = players as [(typeof players)[0] & object];
      return { bracket: JSON.stringify([games, roles, regions, typeof has]) };
    }
  }
  const ticket = { ...one({ games: 7, roles: ["tank"] }), regions: { eu: 30 } };
  assert.deepEqual(new RuleTest(Blind).classify(ticket), { bracket: '[0,[],[],"function"]' });
});

test("what a rule has no method for it is not asked", () => {
  class Silent extends MatchRule {}
  const rule = new RuleTest(Silent);
  const never = { message: /the rule is never asked this/ };
  assert.throws(() => rule.classify(one({})), never);
  assert.throws(() => rule.judge({ tickets: [one({})] }), never);
  assert.throws(() => rule.teamStrength({ user: 1 }), never);
});

test("a rule that remembers is found", () => {
  let asked = 0;
  class Counting extends MatchRule {
    override judge() {
      return (asked += 1);
    }
  }
  const rule = new RuleTest(Counting);
  assert.throws(() => rule.judge({ tickets: [one({})] }), /keep no state/);
});

test("a wrong configuration is told", () => {
  assert.throws(() => new RuleTest(Gentle, { beginer_games: 3 }), /no such field/);
  assert.throws(() => new RuleTest(Gentle, { broken: true }), /this rule is broken/);
});

test("answers that matching does not take are told", () => {
  const rule = new RuleTest(Gentle);
  assert.throws(() => rule.classify(one({ rating: 2 })), /a bracket has 0 to 64 bytes/);
  assert.throws(() => rule.classify(one({ rating: 3 })), /a rating is a whole number of 32 bits/);
  assert.throws(() => rule.judge({ tickets: [one({ rating: 4 })] }), /or "veto", and not 0\.5/);
});

test("randomness and clocks are not there in a rule", () => {
  class Rolling extends MatchRule {
    override judge() {
      return Math.trunc(Math.random());
    }
  }
  const rule = new RuleTest(Rolling);
  assert.throws(() => rule.judge({ tickets: [one({})] }), { name: "Forbidden" });
});

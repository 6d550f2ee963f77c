// The component of a rule: what it imports, and what its functions answer when all is well and when it fails.
import { build } from "@scenehost/plugin/build";
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";
import type { RawTicket, RuleFunctions } from "../src/rule/contract.js";
import { errOf, open, type Component } from "./component.js";

let folder: string;
let component: Component;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "scenehost-rule-"));
  const out = join(folder, "gentle.wasm");
  await build({ entry: resolve("test/fixtures/gentle.ts"), out });
  component = await open(out);
});
after(() => rm(folder, { recursive: true }));

async function asked(): Promise<{ rule: RuleFunctions; lines: string[] }> {
  const { rule, lines } = await component.instantiate();
  assert.ok(rule, "it exports no rule");
  return { rule, lines };
}

function ticket(rating: number, properties: RawTicket["players"][0]["properties"] = []): RawTicket {
  const player = { user: 2n ** 63n, rating, games: 9, roles: new Uint32Array(), properties };
  return { number: 7n, waitedMs: 0n, players: [player], regions: [{ name: 0, rttMs: 30 }] };
}

test("a rule imports the log and nothing else", () => {
  assert.deepEqual(component.imports, ["scenehost:scene/diagnostics"]);
});

test("it has its package's name, is asked what its class has, and proposes", async () => {
  const { rule } = await asked();
  const { name, answers, facts, proposed } = rule.describe("{}");
  assert.equal(name, "plugin");
  assert.deepEqual(answers, { classify: true, judge: true, scoreTeams: true });
  assert.deepEqual(facts, { games: true, roles: false, regions: true, properties: ["language"] });
  assert.deepEqual(proposed.teams[1], { playersMin: 1, playersMax: 2 });
  assert.deepEqual(proposed.ratings, { range: 100, rangePerS: 10, rangeMax: 1_000 });
});

test("it answers", async () => {
  const { rule } = await asked();
  const { rating, bracket, bracketMs } = rule.classify("{}", ["eu"], ticket(1_700));
  assert.deepEqual([rating, bracket, bracketMs], [1_700, "", undefined]);
  const offer = (region?: number) => {
    return { tickets: Uint32Array.of(0), teams: new Uint32Array(), region };
  };
  const verdicts = rule.judge('{"rtt_ms_max":20}', ["eu"], [ticket(1_500)], [offer(0), offer()]);
  assert.deepEqual(verdicts, [{ tag: "veto" }, { tag: "score", val: -1 }]);
  const teams = [ticket(1_500).players, ticket(1_600).players];
  assert.deepEqual([...rule.scoreTeams("{}", [], teams)], [1_500, 1_600]);
});

test("a refusal is a text, and so is what is wrong with the configuration", async () => {
  const { rule } = await asked();
  const klingon = ticket(1_500, [{ name: 1, value: 2 }]);
  const words = ["eu", "language", "klingon"];
  const text = "only languages of this planet";
  assert.equal(
    errPayload(() => rule.classify("{}", words, klingon)),
    text,
  );
  const wrong = errPayload(() => rule.describe('{"beginer_games":3}'));
  assert.match(String(wrong), /no such field/);
});

test("a bug ends the call without an answer, and the log says where it is", async () => {
  const { rule, lines } = await asked();
  const error = errOf(() => rule.classify("{}", ["eu"], ticket(1)));
  assert.ok(error instanceof Error && error.name === "RuntimeError", String(error));
  const place =
    /^error classify: TypeError: a bug of the rule\n {2}at classify \(test\/fixtures\/gentle\.ts:\d+\)/;
  assert.match(lines[0]!, place);
});

/** What the contract's `err` holds. */
function errPayload(call: () => unknown): unknown {
  const error = errOf(call);
  return error instanceof Error && "payload" in error ? error.payload : error;
}

// Shapes read what comes from outside, and say what is wrong with it and where.
import assert from "node:assert/strict";
import { test } from "node:test";
import * as sdk from "../src/index.js";
import { readJson } from "../src/shape.js";

const { boolean, integer, list, number, object, oneOf, optional, tagged, text } = sdk;

const request = tagged({
  place: { at: object({ x: integer(0, 14), y: integer(0, 14) }), note: optional(text(3), "") },
  vote: { for: list(oneOf("red", "blue"), 2), weight: number(0, 1), sure: boolean },
});
type Request = sdk.Read<typeof request>;

test("what fits is read, without what nobody asked for", () => {
  const place: Request = readJson(request, '{"type":"place","at":{"x":1,"y":14,"z":3},"more":1}');
  assert.deepEqual(place, { type: "place", at: { x: 1, y: 14 }, note: "" });
  const vote: Request = { type: "vote", for: ["red", "red"], weight: 0.5, sure: true };
  assert.deepEqual(readJson(request, JSON.stringify(vote)), vote);
});

const wrong: readonly (readonly [string, RegExp])[] = [
  ["{", /^the whole: expected JSON$/],
  ["null", /^the whole: expected an object$/],
  ["[]", /^the whole: expected an object$/],
  ['{"type":"toString"}', /^type: expected one of "place", "vote"$/],
  ['{"type":"place"}', /^at: expected an object$/],
  ['{"type":"place","at":{"x":1}}', /^at\.y: expected a whole number from 0 to 14$/],
  ['{"type":"place","at":{"x":1,"y":15}}', /^at\.y: /],
  ['{"type":"place","at":{"x":1,"y":0.5}}', /^at\.y: /],
  ['{"type":"place","at":{"x":1,"y":1},"note":"long"}', /^note: expected a text of at most 3 /],
  ['{"type":"vote","for":["red","green"],"weight":0,"sure":true}', /^for\[1\]: expected one of /],
  ['{"type":"vote","for":["red","red","red"],"weight":0,"sure":true}', /^for: .* at most 2$/],
  ['{"type":"vote","for":[],"weight":1.1,"sure":true}', /^weight: expected a number from 0 to 1$/],
  ['{"type":"vote","for":[],"weight":1,"sure":1}', /^sure: expected true or false$/],
];

for (const [json, message] of wrong) {
  test(`${json} is refused`, () => {
    assert.throws(() => readJson(request, json), { name: "Unreadable", message });
  });
}

test("nothing that a message brings reaches what all objects share", () => {
  const shape = object({ name: optional(text(5), "none") });
  const read = readJson(shape, '{"__proto__":{"name":"evil"}}');
  assert.deepEqual(read, { name: "none" });
});

test("a misspelt name in a configuration is told, with those that there are", () => {
  const init = (configuration: string) => ({ configuration }) as sdk.Init;
  const config = object({ rounds: optional(integer(1, 9), 3) });
  assert.deepEqual(sdk.configured(init("{}"), config), { rounds: 3 });
  assert.throws(() => sdk.configured(init('{"round":5}'), config), {
    message:
      "the fleet's configuration of this game: round: expected no such field; there is rounds",
  });
});

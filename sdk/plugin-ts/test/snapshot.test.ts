// What a scene's state may be, and what is told if it is something else.
import assert from "node:assert/strict";
import { test } from "node:test";
import { SnapshotError } from "../src/index.js";
import { fromBytes, toBytes } from "../src/snapshot.js";

const bytes = (text: string) => new TextEncoder().encode(text);

test("everything that a state may hold comes back equal", () => {
  const state = {
    numbers: [0, -0, 1.5, NaN, Infinity, -Infinity, 2 ** 53],
    big: -(2n ** 70n),
    texts: ["", "\u0000\ud800 ü", "$"],
    nothing: [null, undefined, { left: undefined }],
    map: new Map<unknown, unknown>([
      [1, "one"],
      ["a", new Map([[2n, new Set([3])]])],
    ]),
    bytes: Uint8Array.of(0, 255),
    marked: { $: "map", of: [] },
    odd: JSON.parse('{"__proto__":{"a":1},"constructor":2}') as unknown,
  };
  const [back, other] = fromBytes(toBytes(state, 7));
  assert.deepEqual(back, state);
  assert.equal(other, 7);
  assert.ok(Object.is((back as typeof state).numbers[1], -0));
});

class Board {
  stones = 1;
}
const shared = { hp: 1 };
const cyclic: unknown[] = [];
cyclic.push(cyclic);
let deep: unknown = 1;
for (let i = 0; i < 1_000; i++) deep = [deep];

const refused: readonly (readonly [unknown, RegExp])[] = [
  [{ board: new Board() }, /^the scene's board is a Board, which a snapshot cannot hold/],
  [{ players: [{ move: () => 1 }] }, /^the scene's players\[0\]\.move is a function/],
  [{ at: new Date(0) }, /^the scene's at is a Date/],
  [{ by: new Map([["a", Symbol("b")]]) }, /^the scene's by\.get\("a"\) is a symbol/],
  [
    { units: [shared], chosen: shared },
    /^the scene's chosen and the scene's units\[0\] are the same/,
  ],
  [{ cyclic }, /^the scene's cyclic\[0\] and the scene's cyclic are the same object/],
  [{ deep }, /too deep in the state$/],
];

for (const [state, message] of refused) {
  test(`a state is refused: ${message.source}`, () => {
    assert.throws(() => toBytes(state), { name: "SnapshotError", message });
  });
}

for (const text of ["", "{", "{}", "7", '[{"$":"board"}]', "\u0000"]) {
  test(`${JSON.stringify(text)} is no snapshot`, () => {
    assert.throws(() => fromBytes(bytes(text)), SnapshotError);
  });
}

test("bytes that are no UTF-8 are no snapshot", () => {
  assert.throws(() => fromBytes(Uint8Array.of(0x5b, 0xff, 0x5d)), SnapshotError);
});

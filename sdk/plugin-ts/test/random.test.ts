// The scene's randomness against published values, and that its numbers are fair and come back.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Random } from "../src/index.js";

test("the words are those of ChaCha with 8 rounds", () => {
  // draft-strombergson-chacha-test-vectors-01, TC1 with 8 rounds and a key of 256 bits, both blocks.
  const keystream =
    "3e00ef2f895f40d67f5bb8e81f09a5a12c840ec3ce9a7f3b181be188ef711a1e" +
    "984ce172b9216f419f445367456d5619314a42a3da86b001387bfdb80e0cfe42" +
    "d2aefa0deaa5c151bf0adb6c01f2a5adc0fd581259f9a2aadcf20f8fd566a26b" +
    "5032ec38bbc5da98ee0c6f568b872a65a08abf251deb21bb4b56e5d8821e68aa";
  const random = new Random(new Uint32Array(8));
  const words = Uint32Array.from({ length: 32 }, () => random.u32());
  assert.equal(Buffer.from(words.buffer).toString("hex"), keystream);
});

test("a seed gives the same numbers again, also from the middle", () => {
  const random = Random.seeded(7n);
  const before = Array.from({ length: 21 }, () => random.u32());
  const resumed = Random.seeded(7n, random.taken);
  assert.equal(resumed.u32(), random.u32());
  assert.equal(Random.seeded(7n).u32(), before[0]);
  assert.notEqual(Random.seeded(8n).u32(), before[0]);
});

test("whole numbers reach both ends and are equally likely", () => {
  const random = Random.seeded(1n);
  const counts = [0, 0, 0, 0, 0];
  for (let i = 0; i < 5_000; i++) counts[random.int(-2, 2) + 2]! += 1;
  for (const count of counts) assert.ok(count > 880 && count < 1_120, `${counts}`);
});

test("a range that is wide, one number, or none", () => {
  const random = Random.seeded(1n);
  const wide = Array.from({ length: 100 }, () => random.int(0, 2 ** 53 - 2));
  assert.ok(wide.every(Number.isSafeInteger) && wide.some((drawn) => drawn > 2 ** 52));
  assert.equal(random.int(4, 4), 4);
  assert.throws(() => random.int(2, 1), /the lower first/);
  assert.throws(() => random.int(0.5, 2), /whole numbers/);
  assert.throws(() => random.int(-(2 ** 53 - 1), 2 ** 53 - 1), /too far apart/);
});

test("shuffling keeps all and puts each in each place; picking needs something", () => {
  const random = Random.seeded(3n);
  const firsts = new Set<string>();
  for (let i = 0; i < 100; i++) {
    const shuffled = random.shuffle(["a", "b", "c"]);
    assert.deepEqual([...shuffled].sort(), ["a", "b", "c"]);
    firsts.add(shuffled.join(""));
  }
  assert.equal(firsts.size, 6);
  assert.ok(["x", "y"].includes(random.pick(["x", "y"])));
  assert.throws(() => random.pick([]), /nothing to pick/);
});

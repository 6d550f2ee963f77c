// The JavaScript engine, with limits that fit a scene. SpiderMonkey is made for browsers: it begins to
// collect garbage at 27 MB of objects, or 38 MB of their buffers, and keeps up to 64 MB for young ones, so
// that a scene would grow to more than 100 MB before anything is given back, and a scene has 16. Nothing in
// componentize-js or in JavaScript sets these figures. They are constants of one function of the engine,
// the constructor of `js::gc::GCRuntime`, and each of them is there exactly once.
//
// Invariant: only these constants are changed, in place and at equal length, and an engine in which they
// are not found exactly once is refused, so another version of it is never changed by chance.
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const KIB = 1024;
const MIB = 1024 * KIB;

/** Two numbers of 32 bits that the engine stores at once: how they are, and how they shall be. */
interface Pair {
  readonly what: string;
  readonly is: readonly [number, number];
  readonly shallBe: readonly [number, number];
}

const PAIRS: readonly Pair[] = [
  {
    what: "least and most for young objects",
    is: [256 * KIB, 64 * MIB],
    shallBe: [256 * KIB, MIB],
  },
  { what: "objects before a collection", is: [27 * MIB, 100 * MIB], shallBe: [MIB, 100 * MIB] },
  { what: "buffers before a collection", is: [38 * MIB, MIB], shallBe: [MIB, MIB] },
];

const I64_CONST = 0x42;

/** The engine of componentize-js, with the figures changed. */
export async function engine(): Promise<Uint8Array> {
  const library = import.meta.resolve("@bytecodealliance/componentize-js");
  const path = fileURLToPath(new URL("../lib/starlingmonkey_embedding.wasm", library));
  return tuned(await readFile(path));
}

/** Changes the figures in an engine's bytes. */
export function tuned(wasm: Buffer): Buffer {
  const changed = Buffer.from(wasm);
  for (const { what, is, shallBe } of PAIRS) {
    const before = constant(is);
    const at = changed.indexOf(before);
    if (at < 0 || changed.indexOf(before, at + 1) >= 0) {
      throw new Error(
        `the JavaScript engine is not the one that this SDK knows (${what}): ` +
          "install the version of componentize-js that its package.json names",
      );
    }
    constant(shallBe, before.length).copy(changed, at);
  }
  return changed;
}

/** The instruction that pushes a pair: its number in signed LEB128, filled up to a length. */
function constant([low, high]: readonly [number, number], length = 0): Buffer {
  let rest = BigInt(low) + (BigInt(high) << 32n);
  const bytes = [I64_CONST];
  // The last byte's second bit is the sign, and these numbers have none.
  while (rest > 0x3fn || bytes.length < length - 1) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  return Buffer.from([...bytes, Number(rest)]);
}

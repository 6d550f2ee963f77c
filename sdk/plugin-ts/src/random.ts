// The scene's randomness: ChaCha with 8 rounds, so that what players have seen does not tell what
// comes. The same seed gives the same words as `Random` of the Rust SDK.
//
// Invariant: its state is the seed and how many words were taken, and nothing else.
//
// Sources: RFC 8439 for the block, with a counter of 64 bits and 8 rounds; the seed of 64 bits is
// stretched to a key by PCG-XSH-RR as Rust's `SeedableRng::seed_from_u64` does.

const WORDS_OF_BLOCK = 16;
const ROUNDS = 8;
const CONSTANTS = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574] as const;
const TWO_TO_32 = 0x1_0000_0000;

export class Random {
  readonly #key: Uint32Array;
  readonly #block = new Uint32Array(WORDS_OF_BLOCK);
  /** Which block is in `#block`; -1: none yet. */
  #blockNumber = -1;
  #taken: number;

  /** As `Random.seeded` makes it, after so many words were taken. */
  constructor(key: Uint32Array, taken = 0) {
    this.#key = key;
    this.#taken = taken;
  }

  static seeded(seed: bigint, taken = 0): Random {
    return new Random(stretched(seed), taken);
  }

  /** How many words were taken so far. */
  get taken(): number {
    return this.#taken;
  }

  /** A whole number from 0 to 2^32 - 1. */
  u32(): number {
    const number = Math.floor(this.#taken / WORDS_OF_BLOCK);
    if (number !== this.#blockNumber) {
      fill(this.#block, this.#key, number);
      this.#blockNumber = number;
    }
    const word = this.#block[this.#taken % WORDS_OF_BLOCK]!;
    this.#taken += 1;
    return word;
  }

  /** A whole number from `min` to `max`, both of them possible, all equally likely. */
  int(min: number, max: number): number {
    const span = max - min + 1;
    if (!Number.isSafeInteger(min) || !Number.isSafeInteger(max) || span < 1) {
      throw new RangeError(`random.int(${min}, ${max}): needs two whole numbers, the lower first`);
    }
    if (!Number.isSafeInteger(span)) {
      throw new RangeError(`random.int(${min}, ${max}): these are too far apart`);
    }
    // What is above the last whole multiple of the span would make some numbers likelier.
    const width = span <= TWO_TO_32 ? TWO_TO_32 : 2 ** 53;
    const fair = width - (width % span);
    for (;;) {
      const drawn = width === TWO_TO_32 ? this.u32() : this.#u53();
      if (drawn < fair) return min + (drawn % span);
    }
  }

  /** A number from 0 to less than 1, in steps of 2^-53. */
  float(): number {
    return this.#u53() / 2 ** 53;
  }

  /** True with this probability, from 0 to 1. */
  chance(probability: number): boolean {
    return this.float() < probability;
  }

  /** One of a list, all equally likely. */
  pick<T>(list: readonly T[]): T {
    if (list.length === 0) throw new RangeError("random.pick: there is nothing to pick from");
    return list[this.int(0, list.length - 1)]!;
  }

  /** Puts a list into a random order, all equally likely, and returns it. */
  shuffle<T>(list: T[]): T[] {
    for (let last = list.length - 1; last > 0; last--) {
      const other = this.int(0, last);
      [list[last], list[other]] = [list[other]!, list[last]!];
    }
    return list;
  }

  #u53(): number {
    const low = this.u32();
    return (this.u32() >>> 11) * TWO_TO_32 + low;
  }
}

function stretched(seed: bigint): Uint32Array {
  const key = new Uint32Array(8);
  let state = BigInt.asUintN(64, seed);
  for (let i = 0; i < key.length; i++) {
    state = BigInt.asUintN(64, state * 0x5851_f42d_4c95_7f2dn + 0xa176_54e4_6fbe_17f3n);
    const mixed = Number(BigInt.asUintN(32, ((state >> 18n) ^ state) >> 27n));
    const turn = Number(state >> 59n);
    key[i] = (mixed >>> turn) | (mixed << (-turn & 31));
  }
  return key;
}

/** One block of ChaCha. */
function fill(block: Uint32Array, key: Uint32Array, number: number): void {
  const input = new Uint32Array(WORDS_OF_BLOCK);
  input.set(CONSTANTS);
  input.set(key, 4);
  input[12] = number % TWO_TO_32;
  input[13] = Math.floor(number / TWO_TO_32);
  block.set(input);
  for (let round = 0; round < ROUNDS; round += 2) {
    for (let at = 0; at < 4; at++) quarter(block, at, at + 4, at + 8, at + 12);
    for (let at = 0; at < 4; at++) {
      quarter(block, at, 4 + ((at + 1) % 4), 8 + ((at + 2) % 4), 12 + ((at + 3) % 4));
    }
  }
  for (let at = 0; at < WORDS_OF_BLOCK; at++) block[at]! += input[at]!;
}

function quarter(x: Uint32Array, a: number, b: number, c: number, d: number): void {
  x[a]! += x[b]!;
  turn(x, d, a, 16);
  x[c]! += x[d]!;
  turn(x, b, c, 12);
  x[a]! += x[b]!;
  turn(x, d, a, 8);
  x[c]! += x[d]!;
  turn(x, b, c, 7);
}

function turn(x: Uint32Array, at: number, by: number, bits: number): void {
  const mixed = x[at]! ^ x[by]!;
  x[at] = (mixed << bits) | (mixed >>> (32 - bits));
}

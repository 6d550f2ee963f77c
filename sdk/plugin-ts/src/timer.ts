// `Timer`, a name for one of a scene's timers.

const INDEX_BITS = 32n;

/**
 * The name of a timer. Set it with `Context.setTimer`; when it is due, `Scene.timer` gets it back:
 *
 *     const ROUND = Timer.named("round");
 *     const RESPAWN = Timer.named("respawn"); // one for each seat: RESPAWN.at(seat)
 *
 *     timer(ctx, due) {
 *       if (due.is(RESPAWN)) this.respawn(ctx, due.index);
 *     }
 */
export class Timer {
  private constructor(
    /** The number in the contract. */
    readonly id: bigint,
  ) {}

  /**
   * A timer by name, for a constant. Two names of one game practically never meet: 32 bits of their
   * FNV-1a hash tell them apart.
   */
  static named(name: string): Timer {
    let hash = 0xcbf2_9ce4_8422_2325n;
    for (const byte of new TextEncoder().encode(name)) {
      hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x0000_0100_0000_01b3n);
    }
    return new Timer((hash >> INDEX_BITS) << INDEX_BITS);
  }

  /** The timer with this number in the contract. */
  static fromId(id: bigint): Timer {
    return new Timer(id);
  }

  /** One of a family of timers, such as one for each seat. The named timer itself has index 0. */
  at(index: number): Timer {
    return new Timer(((this.id >> INDEX_BITS) << INDEX_BITS) | BigInt.asUintN(32, BigInt(index)));
  }

  /** The index within the family. */
  get index(): number {
    return Number(BigInt.asUintN(32, this.id));
  }

  /** Whether this is the named timer or one of its family. */
  is(named: Timer): boolean {
    return this.id >> INDEX_BITS === named.id >> INDEX_BITS;
  }
}

// When to try again after a connection was lost, and when not to.
import { Closed, Refused, TimedOut, type CodeName } from "./errors.js";

export interface ReconnectOptions {
  /**
   * The first attempt comes at once, the second after a random time up to this, and so on up to
   * twice as long each. If the server asks for time, the random time comes after it. Default: 100.
   */
  backOffMs?: number;
  /** The longest such random time. Default: 5,000. */
  backOffMsMax?: number;
  /**
   * A connection that stands for so long, and for longer than the longest time to the next attempt,
   * was a good one: after it the first attempt comes at once again. Default: 1,000.
   */
  stoodMsMin?: number;
  /**
   * How long to try at most after a drop. The server says how long it keeps everything; this is the
   * limit of that, and of the half minute after it in which a server may start anew.
   * Default: 600,000.
   */
  forMsMax?: number;
  /** Whether a first connection that fails is tried again, too, for `forMsMax`. Default: false. */
  first?: boolean;
  /** Numbers from 0 to less than 1. Default: `Math.random`. */
  random?: () => number;
}

/** How long to try after the server has let go of everything: it may have been started anew. */
const AFTER_GRACE_MS = 30_000;

/**
 * The times between attempts: at once, then random up to a bound that doubles ("full jitter"), so
 * that many clients that are cut off or sent away together do not come back in step.
 */
export class BackOff {
  /** Attempts since the last connection that lasted. */
  attempts = 0;
  readonly first: boolean;
  readonly #ms: number;
  readonly #msMax: number;
  readonly #stoodMsMin: number;
  readonly #forMsMax: number;
  readonly #random: () => number;

  constructor(options: ReconnectOptions = {}) {
    this.first = options.first ?? false;
    this.#ms = options.backOffMs ?? 100;
    this.#msMax = options.backOffMsMax ?? 5_000;
    this.#stoodMsMin = options.stoodMsMin ?? 1_000;
    this.#forMsMax = options.forMsMax ?? 600_000;
    this.#random = options.random ?? Math.random;
  }

  /** How long to wait before the next attempt: the time that the server asks for, and a random one. */
  nextMs(retryAfterMs: number): number {
    // Whoever is told to wait is told together with others: even the first of them has to scatter.
    const scatterMs = retryAfterMs > 0 ? Math.max(this.#ms, retryAfterMs / 2) : 0;
    const boundMs = Math.min(this.#msMax, Math.max(this.#bound, scatterMs));
    this.attempts += 1;
    return retryAfterMs + Math.round(boundMs * this.#random());
  }

  /** A connection has ended that stood for so long. Those that break at once come ever more slowly. */
  stood(ms: number): void {
    if (ms >= Math.max(this.#bound, this.#stoodMsMin)) this.attempts = 0;
  }

  /** The longest that the next attempt may have to wait, unless the server asks for more. */
  get #bound(): number {
    return this.attempts === 0 ? 0 : Math.min(this.#msMax, this.#ms * 2 ** (this.attempts - 1));
  }

  /** How long after a drop it makes sense to try, if the server keeps everything for so long. */
  forMs(graceMs: number): number {
    return Math.min(graceMs + AFTER_GRACE_MS, this.#forMsMax);
  }

  get forMsMax(): number {
    return this.#forMsMax;
  }
}

/** What the server says when it can do better later. */
const TRANSIENT: ReadonlySet<CodeName> = new Set<CodeName>([
  "UNAUTHENTICATED", // Of a closing: the sign-in has not come in time.
  "OVERLOADED",
  "SERVICE_DOWN",
  "TIMED_OUT",
  "STOPPING",
  "INTERNAL",
]);

/** How long to wait at least before trying again after this; undefined: it will not get better. */
export function retryAfterMs(error: unknown): number | undefined {
  if (error instanceof TimedOut) return 0;
  if (error instanceof Refused) {
    return error.retryAfterMs > 0 || TRANSIENT.has(error.code) ? error.retryAfterMs : undefined;
  }
  if (!(error instanceof Closed)) return undefined;
  const transient = error.kind === "server" && TRANSIENT.has(error.code);
  const broken = error.kind === "lost" || error.kind === "silent";
  return broken || transient ? error.retryAfterMs : undefined;
}

/** Any failure to come back, as what is told of the connection. */
export function toClosed(error: unknown): Closed {
  if (error instanceof Closed) return error;
  if (error instanceof Refused) return new Closed("server", error.message, error.code);
  const message = error instanceof Error ? error.message : String(error);
  return new Closed(error instanceof TimedOut ? "silent" : "protocol", message);
}

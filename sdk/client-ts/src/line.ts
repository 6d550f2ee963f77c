// A line: what is one connection to the game, though sockets come and go.
//
// It numbers what comes, keeps what the server may not have got, and comes back after a drop.
//
// Invariants: frames are told in the order of their numbers, none twice and none left out. What is
// kept for sending has a limit, goes out in order, and is let go of when the server has it. A drop
// ends in exactly one of two ways: `resumed`, or `gone`, which comes once and is the last event.
import { codecs, NUMBER_MAX, sizeOf, type ClientBody, type Codec } from "./codec.js";
import { Connection, requestDeadlineMs, type SocketOptions } from "./connection.js";
import { Closed, OutcomeUnknown, Overflow, Refused, TimedOut } from "./errors.js";
import type { ServerFrame } from "./gen/scenehost/v1/client_pb.js";
import { BackOff, retryAfterMs, toClosed, type ReconnectOptions } from "./reconnect.js";

export type ServerBody = ServerFrame["body"];
export type BodyName = NonNullable<ServerBody["case"]>;
export type BodyValue<N extends BodyName> = Extract<ServerBody, { case: N }>["value"];

/** What lobby and scene connections have in common. */
export interface ConnectOptions extends SocketOptions {
  /** What the user shall see of this device among the sessions, up to 64 characters. */
  device?: string;
  /** Gives up connecting; it has no effect on a connection that is open. */
  signal?: AbortSignal;
  /**
   * How many messages and requests may be kept for sending: those that wait, for example for the
   * end of a drop, and those of which it is not known yet that they have arrived. A send beyond it
   * throws `Overflow`. Default: 256.
   */
  sendBufferMessagesMax?: number;
  /** The same, in bytes. Default: 262,144. */
  sendBufferBytesMax?: number;
  /** When to try again after a connection was lost. */
  reconnect?: ReconnectOptions;
}

/** A connection is lost, and this side tries to come back. */
export interface Dropped {
  /** Why: of the drop, or of the last attempt to come back. */
  readonly reason: Closed;
  /** When the next attempt is, in milliseconds from when this was told. */
  readonly retryInMs: number;
  /** How many attempts have failed since the drop. */
  readonly attempts: number;
}

/** The connection is there again. */
export interface Resumed {
  /**
   * Whether nothing was missed: what came meanwhile follows. Else this side begins with the state
   * as it is now, which the lobby shows and a game tells again.
   */
  readonly complete: boolean;
}

/** What the answer to the first frame of a connection says. */
export interface Entered {
  /** The missed frames follow with their numbers. */
  resumed: boolean;
  /** The number after which the frames that follow are numbered. */
  afterSeq: number;
  /** How long everything is kept after a drop. */
  graceMs: number;
  /** The highest number of a request that has come; undefined: the server does not know. */
  requestsArrived: number | undefined;
  /** How many messages have come. */
  messagesArrived: number;
}

/** What a line is for: the lobby, or a seat in a scene. */
export interface Role {
  /** The first frame of a connection; with `resumeSeq` it goes on with the line after that frame. */
  enter(resumeSeq: number | undefined): ClientBody;
  /** Takes the answer to it. Throws `Closed` when it is none. */
  entered(body: ServerBody): Entered;
  /** After a refusal of the first frame: whether the cause was mended, so that one try more helps. */
  mend(refused: Refused): Promise<boolean>;
  /** Takes every further frame, before the promise of the request that it answers is kept. */
  receive(body: ServerBody): void;
  dropped(dropped: Dropped): void;
  resumed(resumed: Resumed): void;
  gone(closed: Closed): void;
}

/** The server closes connections that send larger messages, so they are stopped here. */
export const MESSAGE_BYTES_MAX = 64 * 1024;
const REQUESTS_MAX = 64;
/**
 * How fast goes out what had to wait for a return: 40 a second. The server drops what comes faster
 * than 50 (lobby) or 60 (scene) a second.
 */
const PACE_FRAMES = 4;
const PACE_MS = 100;

interface Request {
  readonly what: string;
  /** The number that it was sent under last; 0: it has not been sent. */
  number: number;
  /** What is left of its deadline; it does not run during a drop. */
  leftMs: number;
  sinceMs: number;
  timer: ReturnType<typeof setTimeout> | undefined;
  onAnswer(): void;
  resolve(body: ServerBody): void;
  reject(error: unknown): void;
}

/** A frame that the server may not have. */
interface Kept {
  readonly body: ClientBody;
  readonly bytes: number;
  /** Undefined for a message to the game. */
  readonly request: Request | undefined;
  /** The connection that it went out over last. */
  sentOver: Connection | undefined;
}

export class Line {
  readonly #url: URL;
  readonly #options: ConnectOptions;
  readonly #role: Role;
  readonly #codec: Codec;
  readonly #backOff: BackOff;
  readonly #requestDeadlineMs: number;
  readonly #keptMax: number;
  readonly #keptBytesMax: number;
  /** The connection that is inside. */
  #up: Connection | undefined;
  #upSinceMs = 0;
  #dropped: Dropped | undefined;
  /** Why the line ends; nothing can be sent any more. */
  #ending: Closed | undefined;
  /** Why it has ended. */
  #gone: Closed | undefined;
  /** Ends whatever is on its way to a connection. */
  readonly #stop = new AbortController();
  #wake: () => void = () => {};
  /** A first frame has been sent, and may have had its effect. */
  #tried = false;
  #graceMs = 0;
  #seqLast = 0;
  #requestLast = 0;
  #requests = new Set<Request>();
  #kept: Kept[] = [];
  #keptBytes = 0;
  #messagesArrived = 0;
  #asking: Connection | undefined;
  #pace: ReturnType<typeof setTimeout> | undefined;
  readonly #onOnline = () => {
    this.#wake();
    this.#up?.probe();
  };

  constructor(url: URL, options: ConnectOptions, role: Role) {
    this.#url = url;
    this.#options = options;
    this.#role = role;
    this.#codec = codecs[options.encoding ?? "proto"];
    this.#backOff = new BackOff(options.reconnect);
    this.#requestDeadlineMs = requestDeadlineMs(options);
    this.#keptMax = options.sendBufferMessagesMax ?? 256;
    this.#keptBytesMax = options.sendBufferBytesMax ?? 256 * 1024;
  }

  /** Connects for the first time. Throws `Refused`, `TimedOut`, `Closed`, or the signal's reason. */
  async begin(): Promise<void> {
    const { signal } = this.#options;
    const onAbort = () => this.#stop.abort(signal?.reason);
    if (signal?.aborted) onAbort();
    signal?.addEventListener("abort", onAbort, { once: true });
    // A browser that has its network back says so; that is the moment to try.
    globalThis.addEventListener?.("online", this.#onOnline);
    try {
      await this.#enterFirst(performance.now() + this.#backOff.forMsMax);
    } catch (error) {
      this.#finish(toClosed(error));
      throw error;
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
  }

  get url(): URL {
    return this.#url;
  }

  /** Why there is no connection and when the next attempt is, while this side tries to come back. */
  get dropped(): Dropped | undefined {
    return this.#dropped;
  }

  /** Why there will be no connection any more. */
  get gone(): Closed | undefined {
    return this.#gone;
  }

  /** Bytes that wait to be sent, or were sent and have not left yet. */
  get waitingBytes(): number {
    const waiting = this.#kept.filter(({ sentOver }) => !this.#up || sentOver !== this.#up);
    const bytes = waiting.reduce((sum, kept) => sum + kept.bytes, 0);
    return bytes + (this.#up?.bufferedBytes ?? 0);
  }

  /**
   * Sends a message: now, or after the return from a drop; once, and in order.
   * Throws `Overflow`, and `Closed` after the end.
   */
  send(body: ClientBody): void {
    this.#keep(body, undefined);
  }

  /**
   * Sends a request and waits for its answer; `onAnswer` runs before anything else sees the answer.
   * Throws `Refused`, `TimedOut`, `OutcomeUnknown`, `Closed` or `Overflow`.
   */
  async request(body: ClientBody, onAnswer: () => void = () => {}): Promise<ServerBody> {
    if (this.#requests.size >= REQUESTS_MAX) {
      throw new Overflow(
        `${REQUESTS_MAX} requests wait for an answer; await some before asking more`,
      );
    }
    return new Promise((resolve, reject) => {
      const request: Request = {
        what: String(body.case),
        number: 0,
        leftMs: this.#requestDeadlineMs,
        sinceMs: 0,
        timer: undefined,
        onAnswer,
        resolve,
        reject,
      };
      this.#requests.add(request);
      try {
        this.#keep(body, request);
      } catch (error) {
        this.#requests.delete(request);
        throw error;
      }
      this.#runDeadline(request);
    });
  }

  /** Takes a request back that waits to be sent, so that it never is: whether there was one. */
  withdraw(what: ClientBody["case"], reason: unknown): boolean {
    const unsent = [...this.#requests].find(
      (request) => request.what === what && request.number === 0,
    );
    if (unsent) this.#forget(unsent).reject(reason);
    return unsent !== undefined;
  }

  /** The round trip in milliseconds. Throws `TimedOut`, `Overflow`, and `Closed` during a drop. */
  async ping(): Promise<number> {
    const ended = this.#gone ?? this.#dropped?.reason;
    if (ended) throw ended;
    if (!this.#up) throw new Closed("lost", "there is no connection");
    return this.#up.ping();
  }

  /** Ends the line; what was sent before still goes out if there is a connection. */
  close(closed = new Closed("left", "closed by this side")): void {
    this.#ending ??= closed;
    if (this.#up) this.#up.close(closed);
    else this.#finish(closed);
  }

  /** The value of an answer of the case `name`; another case is a breach of the protocol. */
  expect<N extends BodyName>(body: ServerBody, name: N): BodyValue<N> {
    if (body.case === name) return body.value as BodyValue<N>;
    throw this.breach(`expected ${name}, got ${body.case ?? "nothing"}`);
  }

  /** Ends the line because the server sent what it may not; gives the error. */
  breach(message: string): Closed {
    const closed = new Closed("protocol", message);
    this.close(closed);
    return closed;
  }

  // The way in, and the way back.

  async #enterFirst(untilMs: number): Promise<void> {
    for (this.#backOff.nextMs(0); ;) {
      try {
        await this.#enter();
        this.#backOff.attempts = 0;
        return;
      } catch (error) {
        const waitMs = this.#nextMs(error, untilMs);
        if (!this.#backOff.first || waitMs === undefined) throw error;
        await this.#sleep(waitMs);
        this.#stop.signal.throwIfAborted();
      }
    }
  }

  async #comeBack(reason: Closed): Promise<void> {
    const untilMs = performance.now() + this.#backOff.forMs(this.#graceMs);
    for (let failed: unknown = reason, attempts = 0; ; attempts += 1) {
      const retryInMs = this.#nextMs(failed, untilMs);
      if (retryInMs === undefined) return this.#finish(toClosed(failed));
      this.#dropped = { reason: toClosed(failed), retryInMs, attempts };
      this.#role.dropped(this.#dropped);
      await this.#sleep(retryInMs);
      try {
        this.#stop.signal.throwIfAborted();
        return await this.#enter();
      } catch (error) {
        if (this.#gone) return;
        failed = error;
      }
    }
  }

  /** When the next attempt is due after this failure; undefined: there is none. */
  #nextMs(failed: unknown, untilMs: number): number | undefined {
    const atLeastMs = this.#stop.signal.aborted ? undefined : retryAfterMs(failed);
    if (atLeastMs === undefined) return undefined;
    const waitMs = this.#backOff.nextMs(atLeastMs);
    return performance.now() + waitMs > untilMs ? undefined : waitMs;
  }

  /** Until the time has passed, or there is a reason to go on earlier. */
  #sleep(ms: number): Promise<void> {
    if (this.#stop.signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** One attempt: opens a connection and enters over it. */
  async #enter(mayMend = true): Promise<void> {
    const connection = await Connection.open(this.#url, this.#options, this.#stop.signal);
    try {
      await this.#enterOver(connection);
    } catch (error) {
      // Not as one who leaves: the server may have let this side in all the same.
      connection.abandon(new Closed("lost", "this side gave the connection up"));
      if (!mayMend || !(error instanceof Refused)) throw error;
      if (!(await this.#role.mend(error))) throw error;
      await this.#enter(false);
    }
  }

  #enterOver(connection: Connection): Promise<void> {
    const number = ++this.#requestLast;
    const body = this.#role.enter(this.#tried ? this.#seqLast : undefined);
    this.#tried = true;
    const { signal } = this.#stop;
    const deadlineMs = this.#requestDeadlineMs;
    return new Promise((resolve, reject) => {
      const settle = (error?: unknown) => {
        clearTimeout(timer);
        signal.removeEventListener("abort", onAbort);
        if (error === undefined) resolve();
        else reject(error);
      };
      const onAbort = () => settle(signal.reason);
      const timer = setTimeout(
        () => settle(new TimedOut(String(body.case), deadlineMs)),
        deadlineMs,
      );
      signal.addEventListener("abort", onAbort, { once: true });
      connection.onClosed = settle;
      connection.onFrame = (frame) => {
        if (frame.request !== number) return;
        if (frame.body.case === "refused") return settle(Refused.from(frame.body.value));
        try {
          // At once: what comes with the answer in one piece belongs to the line already.
          this.#entered(connection, this.#role.entered(frame.body));
          settle();
        } catch (error) {
          settle(error);
        }
      };
      try {
        connection.send(number, body);
      } catch (error) {
        settle(error);
      }
    });
  }

  #entered(connection: Connection, entered: Entered): void {
    const back = this.#dropped !== undefined;
    connection.onFrame = (frame) => this.#receive(connection, frame);
    connection.onClosed = (closed) => this.#lost(closed);
    this.#up = connection;
    this.#upSinceMs = performance.now();
    this.#dropped = undefined;
    this.#graceMs = entered.graceMs;
    if (entered.resumed && entered.afterSeq !== this.#seqLast) {
      this.breach(`frames go on after ${entered.afterSeq} and not after ${this.#seqLast}`);
      return;
    }
    this.#seqLast = entered.afterSeq;
    connection.seen = this.#seqLast;
    this.#requestsArrived(entered.requestsArrived);
    this.#arrived(entered.messagesArrived);
    if (this.#ending) return;
    for (const request of this.#requests) this.#runDeadline(request);
    if (back) this.#role.resumed({ complete: entered.resumed });
    // Who comes back and says nothing does not win time for the next drop.
    if (back && connection.isOpen) connection.ping().catch(() => {});
    this.#flush();
  }

  #lost(closed: Closed): void {
    if (this.#gone) return;
    this.#up = undefined;
    clearTimeout(this.#pace);
    this.#pace = undefined;
    for (const request of this.#requests) this.#pauseDeadline(request);
    this.#backOff.stood(performance.now() - this.#upSinceMs);
    void this.#comeBack(closed);
  }

  #finish(closed: Closed): void {
    if (this.#gone) return;
    this.#ending ??= closed;
    this.#gone = closed;
    this.#dropped = undefined;
    globalThis.removeEventListener?.("online", this.#onOnline);
    this.#stop.abort(closed);
    this.#wake();
    for (const request of this.#requests) {
      clearTimeout(request.timer);
      request.reject(closed);
    }
    this.#requests.clear();
    this.#kept = [];
    this.#role.gone(closed);
  }

  // What goes out.

  #keep(body: ClientBody, request: Request | undefined): void {
    if (this.#ending) throw this.#ending;
    const bytes = sizeOf(this.#codec, body);
    if (bytes > MESSAGE_BYTES_MAX) {
      throw new Overflow(`a message of ${bytes} bytes; at most ${MESSAGE_BYTES_MAX} are allowed`);
    }
    const keptBytes = this.#keptBytes + bytes;
    if (this.#kept.length >= this.#keptMax || keptBytes > this.#keptBytesMax) {
      const why = `${this.#kept.length} messages of ${this.#keptBytes} bytes are kept for sending`;
      throw new Overflow(`${why}; send less or wait`);
    }
    this.#kept.push({ body, bytes, request, sentOver: undefined });
    this.#keptBytes = keptBytes;
    this.#flush();
  }

  /** Sends what waits: what has just been said at once, what has piled up with its pace. */
  #flush(): void {
    const connection = this.#up;
    if (!connection?.isOpen || this.#pace !== undefined) return;
    const waiting = this.#kept.filter(({ sentOver }) => sentOver !== connection);
    for (const kept of waiting.slice(0, PACE_FRAMES)) {
      kept.sentOver = connection;
      if (kept.request) kept.request.number = ++this.#requestLast;
      connection.send(kept.request?.number ?? 0, kept.body);
    }
    if (waiting.length > PACE_FRAMES) {
      this.#pace = setTimeout(() => {
        this.#pace = undefined;
        this.#flush();
      }, PACE_MS);
    }
    this.#askWhatArrived(connection);
  }

  /** At half of the limit, so that the answer comes before nothing fits any more. */
  #askWhatArrived(connection: Connection): void {
    const half =
      this.#kept.length * 2 >= this.#keptMax || this.#keptBytes * 2 >= this.#keptBytesMax;
    if (!half || this.#asking === connection) return;
    this.#asking = connection;
    const done = () => {
      if (this.#asking === connection) this.#asking = undefined;
    };
    connection.ping().then(done, done);
  }

  #letGo(unwanted: (kept: Kept) => boolean): void {
    this.#kept = this.#kept.filter((kept) => !unwanted(kept));
    this.#keptBytes = this.#kept.reduce((sum, kept) => sum + kept.bytes, 0);
  }

  /** The server has so many messages of this line. */
  #arrived(messages: number): void {
    let news = messages - this.#messagesArrived;
    if (news === 0) return;
    const sent = this.#kept.filter(({ request, sentOver }) => !request && sentOver).length;
    if (news < 0 || news > sent) {
      this.breach(`${messages} messages are said to have come, which cannot be`);
      return;
    }
    this.#messagesArrived = messages;
    this.#letGo(({ request }) => !request && news-- > 0);
  }

  /** The server has the requests up to this number: they are not sent again. */
  #requestsArrived(number: number | undefined): void {
    if (number === undefined) {
      for (const request of this.#requests) {
        if (request.number !== 0) this.#forget(request).reject(new OutcomeUnknown(request.what));
      }
      return;
    }
    this.#letGo(({ request }) => !!request && request.number !== 0 && request.number <= number);
  }

  #forget(request: Request): Request {
    clearTimeout(request.timer);
    this.#requests.delete(request);
    this.#letGo((kept) => kept.request === request);
    return request;
  }

  #runDeadline(request: Request): void {
    if (!this.#up || request.timer !== undefined) return;
    request.sinceMs = performance.now();
    request.timer = setTimeout(() => {
      this.#forget(request).reject(new TimedOut(request.what, this.#requestDeadlineMs));
    }, request.leftMs);
  }

  #pauseDeadline(request: Request): void {
    clearTimeout(request.timer);
    request.timer = undefined;
    request.leftMs = Math.max(0, request.leftMs - (performance.now() - request.sinceMs));
  }

  // What comes in.

  #receive(connection: Connection, frame: ServerFrame): void {
    // 0 is outside of the count.
    if (frame.seq !== 0) {
      const due = this.#seqLast === NUMBER_MAX ? 1 : this.#seqLast + 1;
      if (frame.seq !== due) {
        const message = `frame ${frame.seq} came where ${due} was due: frames were lost`;
        // The server sends them again to who comes back.
        connection.abandon(new Closed("lost", message));
        return;
      }
      this.#seqLast = due;
      connection.seen = due;
    }
    if (frame.body.case === "pong") return this.#arrived(frame.body.value.received);
    const request = [...this.#requests].find(
      ({ number }) => number !== 0 && number === frame.request,
    );
    if (!request) return this.#role.receive(frame.body);
    this.#forget(request).onAnswer();
    // Whoever asked hears of a refusal; all else may matter to others.
    if (frame.body.case === "refused") return request.reject(Refused.from(frame.body.value));
    request.resolve(frame.body);
    this.#role.receive(frame.body);
  }
}

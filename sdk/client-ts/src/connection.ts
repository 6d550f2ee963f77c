// One WebSocket connection: frames, requests with deadlines, keep-alive, and one defined end.
//
// Invariant: `onClosed` is called exactly once, after it no frame arrives, and every request has
// been answered or rejected by then.
import { codecs, type ClientBody, type Codec, type Encoding } from "./codec.js";
import { Closed, codeName, Overflow, Refused, TimedOut } from "./errors.js";
import type { ServerFrame } from "./gen/scenehost/v1/client_pb.js";

export type ServerBody = ServerFrame["body"];
type BodyName = NonNullable<ServerBody["case"]>;
type BodyValue<N extends BodyName> = Extract<ServerBody, { case: N }>["value"];

/** What lobby and scene connections have in common. */
export interface ConnectOptions {
  /** How frames are encoded. Default: `proto`. */
  encoding?: Encoding;
  /** What the user shall see of this device among the sessions, up to 64 characters. */
  device?: string;
  /** Gives up connecting; it has no effect on a connection that is open. */
  signal?: AbortSignal;
  /** How long each request may wait for its answer. Default: 10,000. */
  requestDeadlineMs?: number;
  /** Silence after which the server is asked whether it is still there. Default: 20,000. */
  keepAliveMs?: number;
  /** How many bytes may wait to be sent; a send beyond it throws `Overflow`. Default: 262,144. */
  sendBufferBytesMax?: number;
  /** The WebSocket class, where the platform has none: Node 20 needs the one of `ws`. */
  WebSocket?: new (url: string, protocols?: string | string[]) => WebSocket;
}

/** The server closes connections that send larger messages, so they are stopped here. */
export const MESSAGE_BYTES_MAX = 64 * 1024;
const REQUESTS_MAX = 64;
const CLOSE_DEADLINE_MS = 1_000;

interface Pending {
  onAnswer(): void;
  resolve(body: ServerBody): void;
  reject(error: Error): void;
  timer: ReturnType<typeof setTimeout>;
}

export class Connection {
  /** Called at once with every frame, before the promise of the request that it answers is kept. */
  onFrame: (body: ServerBody) => void = () => {};
  onClosed: (closed: Closed) => void = () => {};

  readonly url: URL;
  readonly #socket: WebSocket;
  readonly #codec: Codec;
  readonly #requestDeadlineMs: number;
  readonly #keepAliveMs: number;
  readonly #sendBufferBytesMax: number;
  readonly #pending = new Map<number, Pending>();
  #requestLast = 0;
  #seqLast = 0;
  #pingLast = 0n;
  #closing: Closed | undefined;
  #closed: Closed | undefined;
  #keepAlive: ReturnType<typeof setTimeout> | undefined;
  #closeTimer: ReturnType<typeof setTimeout> | undefined;

  private constructor(url: URL, options: ConnectOptions) {
    const WebSocketClass = options.WebSocket ?? globalThis.WebSocket;
    this.url = url;
    this.#codec = codecs[options.encoding ?? "proto"];
    this.#requestDeadlineMs = options.requestDeadlineMs ?? 10_000;
    this.#keepAliveMs = options.keepAliveMs ?? 20_000;
    this.#sendBufferBytesMax = options.sendBufferBytesMax ?? 256 * 1024;
    this.#socket = new WebSocketClass(url.href, this.#codec.subprotocol);
    this.#socket.binaryType = "arraybuffer";
    this.#socket.onmessage = (event) => this.#receive(event.data);
    this.#socket.onclose = (event) => this.#end(this.#causeOf(event));
    // The close event that follows says all there is to know.
    this.#socket.onerror = () => {};
  }

  /** Opens a connection. Throws `Closed`, `TimedOut`, or the reason of the signal. */
  static async open(url: string | URL, options: ConnectOptions): Promise<Connection> {
    options.signal?.throwIfAborted();
    const connection = new Connection(socketUrl(url), options);
    const socket = connection.#socket;
    const deadlineMs = connection.#requestDeadlineMs;
    await new Promise<void>((resolve, reject) => {
      const giveUp = (error: Error) => {
        reject(error);
        connection.#end(new Closed("left", "gave up connecting"));
      };
      const onAbort = () => giveUp(options.signal?.reason);
      const timer = setTimeout(() => giveUp(new TimedOut("connect", deadlineMs)), deadlineMs);
      options.signal?.addEventListener("abort", onAbort, { once: true });
      const settle = () => {
        clearTimeout(timer);
        options.signal?.removeEventListener("abort", onAbort);
      };
      connection.onClosed = (closed) => {
        settle();
        reject(closed);
      };
      socket.onopen = () => {
        settle();
        resolve();
      };
    });
    connection.onClosed = () => {};
    connection.#restartKeepAlive();
    return connection;
  }

  get closed(): Closed | undefined {
    return this.#closed;
  }

  /** Bytes that were sent but have not left yet. */
  get sendBufferBytes(): number {
    return this.#socket.bufferedAmount;
  }

  /** Sends a frame that wants no answer. Throws `Closed` or `Overflow`. */
  send(body: ClientBody): void {
    this.#send(0, body);
  }

  /**
   * Sends a frame and waits for its answer; `onAnswer` runs before anything else sees the answer.
   * Throws `Refused`, `TimedOut`, `Closed` or `Overflow`.
   */
  async request(body: ClientBody, onAnswer: () => void = () => {}): Promise<ServerBody> {
    if (this.#pending.size >= REQUESTS_MAX) {
      throw new Overflow(
        `${REQUESTS_MAX} requests wait for an answer; await some before asking more`,
      );
    }
    const request = ++this.#requestLast;
    this.#send(request, body);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#pending.delete(request);
        reject(new TimedOut(String(body.case), this.#requestDeadlineMs));
      }, this.#requestDeadlineMs);
      this.#pending.set(request, { onAnswer, resolve, reject, timer });
    });
  }

  /** Asks whether the server is there; the answer is the round trip in milliseconds. */
  async ping(): Promise<number> {
    const startMs = performance.now();
    const answer = await this.request({ case: "ping", value: { payload: ++this.#pingLast } });
    this.expect(answer, "pong");
    return performance.now() - startMs;
  }

  /** Ends the connection; what was sent before still goes out. */
  close(closed = new Closed("left", "closed by this side")): void {
    if (this.#closed || this.#closeTimer !== undefined) return;
    this.#closing = closed;
    // 1000 tells the server that the user leaves; after anything else the user may come back.
    this.#socket.close(closed.kind === "left" ? 1000 : 4000);
    // A server that is gone never confirms the close; the end must not depend on it.
    this.#closeTimer = setTimeout(() => this.#end(closed), CLOSE_DEADLINE_MS);
  }

  /** The value of an answer of the case `name`; another case is a breach of the protocol. */
  expect<N extends BodyName>(body: ServerBody, name: N): BodyValue<N> {
    if (body.case === name) return body.value as BodyValue<N>;
    throw this.breach(`expected ${name}, got ${body.case ?? "nothing"}`);
  }

  /** Closes the connection because the server sent what it may not; gives the error. */
  breach(message: string): Closed {
    const closed = new Closed("protocol", message);
    this.close(closed);
    return closed;
  }

  #send(request: number, body: ClientBody): void {
    const ended = this.#closed ?? this.#closing;
    if (ended) throw ended;
    const data = this.#codec.encode(request, body);
    const bytes = typeof data === "string" ? utf8Length(data) : data.byteLength;
    if (bytes > MESSAGE_BYTES_MAX) {
      throw new Overflow(`a message of ${bytes} bytes; at most ${MESSAGE_BYTES_MAX} are allowed`);
    }
    if (this.#socket.bufferedAmount + bytes > this.#sendBufferBytesMax) {
      throw new Overflow(`${this.#socket.bufferedAmount} bytes wait to be sent; send less or wait`);
    }
    this.#socket.send(data);
  }

  #receive(data: unknown): void {
    if (this.#closed || this.#closeTimer !== undefined) return;
    let frame: ServerFrame;
    try {
      frame = this.#codec.decode(data);
    } catch (error) {
      this.breach(`unreadable frame: ${error instanceof Error ? error.message : error}`);
      return;
    }
    // 0 is outside of the count.
    if (frame.seq !== 0) {
      if (frame.seq !== this.#seqLast + 1) {
        this.breach(`frame ${frame.seq} came where ${this.#seqLast + 1} was due`);
        return;
      }
      this.#seqLast = frame.seq;
    }
    this.#restartKeepAlive();
    if (frame.body.case === "synClosing") {
      const { code, text } = frame.body.value;
      this.#closing = new Closed("server", text || codeName(code), codeName(code));
    }
    const settled = this.#settle(frame);
    // Whoever asked hears of a refusal; all else may matter to others.
    if (!settled || frame.body.case !== "refused") this.onFrame(frame.body);
  }

  /** Gives a frame to the request that it answers, if it is an answer. */
  #settle(frame: ServerFrame): boolean {
    const pending = this.#pending.get(frame.request);
    if (!pending) return false;
    this.#pending.delete(frame.request);
    clearTimeout(pending.timer);
    pending.onAnswer();
    if (frame.body.case === "refused") pending.reject(Refused.from(frame.body.value));
    else pending.resolve(frame.body);
    return true;
  }

  /** A server that is silent may be gone without a word, which TCP tells only after minutes. */
  #restartKeepAlive(): void {
    clearTimeout(this.#keepAlive);
    this.#keepAlive = setTimeout(() => {
      this.ping().catch((error) => {
        if (error instanceof Refused) return;
        this.close(new Closed("silent", "the server does not answer any more"));
      });
    }, this.#keepAliveMs);
  }

  #causeOf(event: CloseEvent): Closed {
    if (this.#closing) return this.#closing;
    const detail = event.reason ? `${event.code}, ${event.reason}` : String(event.code);
    return new Closed("lost", `the connection to ${this.url.host} is lost (${detail})`);
  }

  #end(closed: Closed): void {
    if (this.#closed) return;
    this.#closed = closed;
    clearTimeout(this.#keepAlive);
    clearTimeout(this.#closeTimer);
    this.#socket.close();
    for (const pending of this.#pending.values()) {
      clearTimeout(pending.timer);
      pending.reject(closed);
    }
    this.#pending.clear();
    this.onClosed(closed);
  }
}

/** A WebSocket URL, from one, from an http URL, or from a path on the page's own host. */
export function socketUrl(url: string | URL, base?: URL): URL {
  const resolved = new URL(url, base ?? globalThis.location?.href);
  if (resolved.protocol === "http:") resolved.protocol = "ws:";
  if (resolved.protocol === "https:") resolved.protocol = "wss:";
  return resolved;
}

function utf8Length(text: string): number {
  return new TextEncoder().encode(text).byteLength;
}

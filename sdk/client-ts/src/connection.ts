// One WebSocket connection: frames, keep-alive, and one defined end.
//
// Invariant: `onClosed` is called exactly once, and after it no frame arrives.
import { codecs, type ClientBody, type Codec, type Encoding } from "./codec.js";
import { Closed, codeName, Overflow, TimedOut } from "./errors.js";
import type { Pong, ServerFrame, SynClosing } from "./gen/scenehost/v1/client_pb.js";

/** How a connection is made. */
export interface SocketOptions {
  /** How frames are encoded. Default: `proto`. */
  encoding?: Encoding;
  /** How long each request may wait for its answer. Default: 10,000. */
  requestDeadlineMs?: number;
  /** Silence after which the server is asked whether it is still there. Default: 20,000. */
  keepAliveMs?: number;
  /** The WebSocket class, where the platform has none: Node 20 needs the one of `ws`. */
  WebSocket?: new (url: string, protocols?: string | string[]) => WebSocket;
}

const REQUEST_DEADLINE_MS = 10_000;
const KEEP_ALIVE_MS = 20_000;
const CLOSE_DEADLINE_MS = 1_000;
/** How long the server's close may take after its word that it ends the connection. */
const SERVER_CLOSE_DEADLINE_MS = 5_000;
/** After so many frames without one of this side, the server is told what has arrived. */
const ACKNOWLEDGE_FRAMES = 64;
const PINGS_MAX = 64;

export function requestDeadlineMs(options: SocketOptions): number {
  return options.requestDeadlineMs ?? REQUEST_DEADLINE_MS;
}

interface PendingPing {
  sentMs: number;
  resolve(roundTripMs: number): void;
  reject(error: Error): void;
  timer: ReturnType<typeof setTimeout>;
}

export class Connection {
  /** Called at once with every frame. */
  onFrame: (frame: ServerFrame) => void = () => {};
  onClosed: (closed: Closed) => void = () => {};
  /** The number of the last frame that came over the line; every frame to the server tells it. */
  seen = 0;

  readonly #url: URL;
  readonly #socket: WebSocket;
  readonly #codec: Codec;
  readonly #requestDeadlineMs: number;
  readonly #keepAliveMs: number;
  readonly #pings = new Map<bigint, PendingPing>();
  #pingLast = 0n;
  #heardSinceSent = 0;
  #closing: Closed | undefined;
  #closed: Closed | undefined;
  #keepAlive: ReturnType<typeof setTimeout> | undefined;
  #closeTimer: ReturnType<typeof setTimeout> | undefined;

  private constructor(url: URL, options: SocketOptions) {
    const WebSocketClass = options.WebSocket ?? globalThis.WebSocket;
    this.#url = url;
    this.#codec = codecs[options.encoding ?? "proto"];
    this.#requestDeadlineMs = requestDeadlineMs(options);
    this.#keepAliveMs = options.keepAliveMs ?? KEEP_ALIVE_MS;
    this.#socket = new WebSocketClass(url.href, this.#codec.subprotocol);
    this.#socket.binaryType = "arraybuffer";
    this.#socket.onmessage = (event) => this.#receive(event.data);
    this.#socket.onclose = (event) => this.#end(this.#causeOf(event));
    // The close event that follows says all there is to know.
    this.#socket.onerror = () => {};
  }

  /** Opens a connection. Throws `Closed`, `TimedOut`, or the reason of the signal. */
  static async open(url: URL, options: SocketOptions, signal: AbortSignal): Promise<Connection> {
    signal.throwIfAborted();
    const connection = new Connection(url, options);
    const deadlineMs = connection.#requestDeadlineMs;
    await new Promise<void>((resolve, reject) => {
      const giveUp = (error: Error) => {
        reject(error);
        connection.abandon(new Closed("left", "gave up connecting"));
      };
      const onAbort = () => giveUp(signal.reason);
      const timer = setTimeout(() => giveUp(new TimedOut("connect", deadlineMs)), deadlineMs);
      signal.addEventListener("abort", onAbort, { once: true });
      const settle = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", onAbort);
      };
      connection.onClosed = (closed) => {
        settle();
        reject(closed);
      };
      connection.#socket.onopen = () => {
        settle();
        resolve();
      };
    });
    connection.onClosed = () => {};
    connection.#restartKeepAlive();
    return connection;
  }

  /** Whether frames can be sent: neither side has begun to close. */
  get isOpen(): boolean {
    return !this.#closed && !this.#closing;
  }

  /** Bytes that were sent but have not left yet. */
  get bufferedBytes(): number {
    return this.#socket.bufferedAmount;
  }

  /** Sends a frame; `request` is the number of a request, or 0. Throws `Closed`. */
  send(request: number, body: ClientBody): void {
    const ended = this.#closed ?? this.#closing;
    if (ended) throw ended;
    this.#heardSinceSent = 0;
    this.#socket.send(this.#codec.encode({ request, seen: this.seen, body }));
  }

  /**
   * Asks whether the server is there; the answer is the round trip in milliseconds.
   * Throws `TimedOut`, `Closed` or `Overflow`.
   */
  async ping(): Promise<number> {
    if (this.#pings.size >= PINGS_MAX) throw new Overflow(`${PINGS_MAX} pings wait for an answer`);
    const payload = this.#sendPing();
    const deadlineMs = this.#requestDeadlineMs;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#pings.delete(payload);
        reject(new TimedOut("ping", deadlineMs));
      }, deadlineMs);
      this.#pings.set(payload, { sentMs: performance.now(), resolve, reject, timer });
    });
  }

  /** Ends the connection unless the server gives a sign of life in time. */
  probe(): void {
    if (!this.isOpen) return;
    clearTimeout(this.#keepAlive);
    this.#sendPing();
    this.#keepAlive = setTimeout(
      () => this.abandon(new Closed("silent", "the server does not answer any more")),
      this.#requestDeadlineMs,
    );
  }

  /** Ends the connection; what was sent before still goes out, and nothing is heard any more. */
  close(closed: Closed): void {
    if (this.#closed || this.#closeTimer !== undefined) return;
    this.#closing = closed;
    // 1000 tells the server that the user leaves; after anything else the user may come back.
    this.#socket.close(closed.kind === "left" ? 1000 : 4000);
    // A server that is gone never confirms the close; the end must not depend on it.
    this.#closeTimer = setTimeout(() => this.#end(closed), CLOSE_DEADLINE_MS);
  }

  /** Ends the connection at once, as one that leads nowhere. */
  abandon(closed: Closed): void {
    if (this.#closed) return;
    this.#socket.close(4000);
    this.#end(closed);
  }

  #sendPing(): bigint {
    const payload = ++this.#pingLast;
    this.send(0, { case: "ping", value: { payload } });
    return payload;
  }

  #receive(data: unknown): void {
    if (this.#closed || this.#closeTimer !== undefined) return;
    let frame: ServerFrame;
    try {
      frame = this.#codec.decode(data);
    } catch (error) {
      const detail = error instanceof Error ? error.message : error;
      return this.close(new Closed("protocol", `unreadable frame: ${detail}`));
    }
    if (this.isOpen) this.#restartKeepAlive();
    this.#heardSinceSent += 1;
    if (frame.body.case === "synClosing") this.#awaitClose(frame.body.value);
    if (frame.body.case === "pong") this.#settle(frame.body.value);
    this.onFrame(frame);
    if (this.#heardSinceSent >= ACKNOWLEDGE_FRAMES && this.isOpen) this.#sendPing();
  }

  /** The server ends the connection. Its close may never come: the network may be gone by then. */
  #awaitClose({ code, text }: SynClosing): void {
    if (this.#closing) return;
    const closing = new Closed("server", text || codeName(code), codeName(code));
    this.#closing = closing;
    clearTimeout(this.#keepAlive);
    const deadlineMs = Math.min(SERVER_CLOSE_DEADLINE_MS, this.#requestDeadlineMs);
    this.#keepAlive = setTimeout(() => this.abandon(closing), deadlineMs);
  }

  #settle({ payload }: Pong): void {
    const ping = this.#pings.get(payload);
    if (!ping) return;
    this.#pings.delete(payload);
    clearTimeout(ping.timer);
    ping.resolve(performance.now() - ping.sentMs);
  }

  /** A server that is silent may be gone without a word, which TCP tells only after minutes. */
  #restartKeepAlive(): void {
    clearTimeout(this.#keepAlive);
    this.#keepAlive = setTimeout(() => this.probe(), this.#keepAliveMs);
  }

  #causeOf(event: CloseEvent): Closed {
    if (this.#closing) return this.#closing;
    const detail = event.reason ? `${event.code}, ${event.reason}` : String(event.code);
    return new Closed("lost", `the connection to ${this.#url.host} is lost (${detail})`);
  }

  #end(closed: Closed): void {
    if (this.#closed) return;
    this.#closed = closed;
    clearTimeout(this.#keepAlive);
    clearTimeout(this.#closeTimer);
    for (const ping of this.#pings.values()) {
      clearTimeout(ping.timer);
      ping.reject(closed);
    }
    this.#pings.clear();
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

// A seat in a scene: messages to and from the game, and how it ended.
//
// Invariant: no message is lost between entering and the first listener; `ended` comes at most
// once and `gone` exactly once, as the last event.
import type { ClientBody } from "./codec.js";
import { socketUrl } from "./connection.js";
import { Emitter, type Listener } from "./emitter.js";
import { Closed, Refused } from "./errors.js";
import {
  SynSceneEnded_Reason,
  type ResJoinScene,
  type SynSceneEnded,
} from "./gen/scenehost/v1/client_pb.js";
import {
  Line,
  type ConnectOptions,
  type Dropped,
  type Entered,
  type Resumed,
  type Role,
  type ServerBody,
} from "./line.js";

/** Why a scene ended for this user: the schema's names, for example `"FINISHED"`. */
export type EndReason = keyof typeof SynSceneEnded_Reason;

export interface Player {
  readonly seat: number;
  readonly userId: string;
  readonly name: string;
  readonly rating: number;
  readonly team: number;
}

export interface PlayerResult {
  readonly seat: number;
  /** 1 is best; equal places are a draw between them. */
  readonly place: number;
  readonly score: bigint;
}

export interface SceneEnd {
  readonly sceneId: string;
  readonly reason: EndReason;
  /** For people: what happened. */
  readonly text: string;
  readonly results: readonly PlayerResult[];
}

export interface SceneEvents {
  /** A message from the game. */
  message: Uint8Array;
  /** The server refused something that was sent, for example because messages came too fast. */
  refused: Refused;
  /** The connection is lost, and the way back is being tried; again after each attempt that failed. */
  dropped: Dropped;
  /**
   * The connection is there again. What was sent meanwhile goes out. If more was missed than the
   * server has kept, the game has been asked to tell this user its whole state.
   */
  resumed: Resumed;
  /** The scene has ended, or this user has left it. `gone` follows. */
  ended: SceneEnd;
  /**
   * There will be no connection any more; the last event. Without `ended` before it, the seat may
   * still be held: `Lobby.rejoin` tells.
   */
  gone: Closed;
}

/** A scene whose game speaks JSON; see `Scene.json`. */
export interface JsonScene<In, Out> {
  send(message: Out): void;
  on(listener: Listener<In>): () => void;
}

/** Messages that may wait for the first listener; a scene with more of them is closed. */
export const EARLY_MESSAGES_MAX = 1_024;

export class Scene {
  readonly #line: Line;
  readonly #token: string;
  readonly #events = new Emitter<SceneEvents>();
  #joined!: ResJoinScene;
  /** What came before the first listener for messages; undefined from then on. */
  #early: Uint8Array[] | undefined = [];
  #end: SceneEnd | undefined;
  #heardOfEnd: SceneEnd | undefined;

  private constructor(url: URL, token: string, options: ConnectOptions) {
    this.#token = token;
    this.#line = new Line(url, options, this.#role());
  }

  /**
   * Enters the seat of a scene token; a token enters once, and leads back to its seat after a drop.
   * Throws `Refused`, `TimedOut`, `Closed`, or the reason of the signal.
   */
  static async join(
    url: string | URL,
    token: string,
    options: ConnectOptions = {},
  ): Promise<Scene> {
    const scene = new Scene(socketUrl(url), token, options);
    await scene.#line.begin();
    return scene;
  }

  get sceneId(): string {
    return this.#joined.sceneId;
  }

  get domain(): string {
    return this.#joined.domain;
  }

  /** This user's own seat. */
  get seat(): number {
    return this.#joined.seat;
  }

  /** Everyone who had a seat when this user entered or came back, inside or still expected. */
  get players(): readonly Player[] {
    return this.#joined.players;
  }

  /** Steps per second; 0: the scene steps only when something happens. */
  get tickRateHz(): number {
    return this.#joined.tickRateHz;
  }

  /** How the scene ended for this user, once it has. */
  get end(): SceneEnd | undefined {
    return this.#end;
  }

  /** Why there is no connection and when the next attempt is, while the way back is being tried. */
  get dropped(): Dropped | undefined {
    return this.#line.dropped;
  }

  /** Why there will be no connection any more, once that is so. */
  get gone(): Closed | undefined {
    return this.#line.gone;
  }

  /** Bytes that have not left yet. A game that can skip an update looks here, and at `dropped`. */
  get sendBufferBytes(): number {
    return this.#line.waitingBytes;
  }

  /**
   * Calls `listener` at every `event`; the returned function ends that. The first listener for
   * messages gets those that came before it, and `ended` and `gone` are told late, too.
   */
  on<E extends keyof SceneEvents>(event: E, listener: Listener<SceneEvents[E]>): () => void {
    const off = this.#events.on(event, listener);
    if (event === "message") this.#flushEarly();
    const past = event === "ended" ? this.#end : event === "gone" ? this.gone : undefined;
    if (past) queueMicrotask(() => listener(past as SceneEvents[E]));
    return off;
  }

  /**
   * Sends a message to the game: bytes as they are, any other value as JSON. During a drop it is
   * kept; it goes out after the return, once and in order.
   * Throws `Overflow` when too much is kept already (the message is then not sent, never queued
   * without limit) and `Closed` after the end.
   */
  send(message: unknown): void {
    const body = message instanceof Uint8Array ? message : encodeJson(message);
    this.#line.send({ case: "sceneMessage", value: { body } });
  }

  /** The scene seen as one whose messages are JSON of these types; nothing checks the types. */
  json<In, Out = unknown>(): JsonScene<In, Out> {
    return {
      send: (message) => this.send(message),
      on: (listener) =>
        this.on("message", (bytes) => {
          let message: In;
          try {
            message = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)) as In;
          } catch {
            this.#line.breach("the game sent a message that is not JSON");
            return;
          }
          listener(message);
        }),
    };
  }

  /** Leaves the scene for good. Throws `TimedOut` and `Closed`; then the seat may be held still. */
  async leave(): Promise<SceneEnd> {
    if (this.#end) return this.#end;
    try {
      const answer = await this.#line.request({ case: "reqLeaveScene", value: {} });
      return toSceneEnd(this.#line.expect(answer, "synSceneEnded"));
    } catch (error) {
      // The scene has ended by itself meanwhile, or its answer came by another number after a drop.
      if (this.#end) return this.#end;
      throw error;
    }
  }

  /** Asks whether the scene's host is there; the answer is the round trip in milliseconds. */
  ping(): Promise<number> {
    return this.#line.ping();
  }

  /** Closes the connection and keeps the seat: `Lobby.rejoin` leads back as long as it is held. */
  close(): void {
    this.#line.close();
  }

  /**
   * Takes the lobby's word that a scene has ended; `Lobby.join` sees to that. A connection that stands
   * tells it by itself, after what the game said last; one that is lost has nothing to come back to.
   */
  hearOfEnd(end: SceneEnd): void {
    if (end.sceneId !== this.sceneId || this.#end) return;
    if (this.dropped) this.#ended(end);
    else this.#heardOfEnd = end;
  }

  #role(): Role {
    return {
      enter: (resumeSeq) => this.#toEnter(resumeSeq),
      entered: (body) => this.#entered(body),
      mend: () => Promise.resolve(false),
      receive: (body) => this.#receive(body),
      dropped: (dropped) => this.#events.emit("dropped", dropped),
      resumed: (resumed) => this.#events.emit("resumed", resumed),
      gone: (closed) => this.#gone(closed),
    };
  }

  #toEnter(resumeSeq: number | undefined): ClientBody {
    const resume = resumeSeq === undefined ? {} : { resumeSeq };
    return { case: "reqJoinScene", value: { sceneToken: this.#token, ...resume } };
  }

  #entered(body: ServerBody): Entered {
    this.#joined = this.#line.expect(body, "resJoinScene");
    const { resumed, afterSeq, graceMs, received } = this.#joined;
    // Whoever is let in has not left: a request to leave that was sent did not arrive.
    return { resumed, afterSeq, graceMs, requestsArrived: 0, messagesArrived: received };
  }

  #receive(body: ServerBody): void {
    switch (body.case) {
      case "sceneMessage":
        return this.#receiveMessage(body.value.body);
      case "refused":
        return this.#events.emit("refused", Refused.from(body.value));
      case "synSceneEnded":
        return this.#ended(toSceneEnd(body.value));
    }
  }

  #ended(end: SceneEnd): void {
    this.#end = end;
    this.#events.emit("ended", end);
    this.#line.close();
  }

  #gone(closed: Closed): void {
    if (!this.#end && this.#heardOfEnd) {
      this.#end = this.#heardOfEnd;
      this.#events.emit("ended", this.#end);
    }
    this.#events.emit("gone", closed);
  }

  #receiveMessage(bytes: Uint8Array): void {
    if (!this.#early) return this.#events.emit("message", bytes);
    if (this.#early.length < EARLY_MESSAGES_MAX) return void this.#early.push(bytes);
    this.#line.close(
      new Closed("left", `${EARLY_MESSAGES_MAX} messages came and nothing listens to them`),
    );
  }

  #flushEarly(): void {
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const bytes of early) this.#events.emit("message", bytes);
  }
}

/** What the lobby and the scene tell about an end. */
export function toSceneEnd({ sceneId, reason, text, results }: SynSceneEnded): SceneEnd {
  const name = (SynSceneEnded_Reason[reason] as EndReason | undefined) ?? "UNSPECIFIED";
  return { sceneId, reason: name, text, results };
}

function encodeJson(message: unknown): Uint8Array {
  const text = JSON.stringify(message) as string | undefined;
  if (text === undefined) throw new TypeError("the message has no form in JSON");
  return new TextEncoder().encode(text);
}

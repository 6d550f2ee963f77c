// A seat in a scene: messages to and from the game, and how it ended.
//
// Invariant: no message is lost between entering and the first listener; `ended` comes at most
// once and `closed` exactly once, as the last event.
import { Connection, type ConnectOptions, type ServerBody } from "./connection.js";
import { Emitter, type Listener } from "./emitter.js";
import { Closed, Refused } from "./errors.js";
import {
  SynSceneEnded_Reason,
  type ResJoinScene,
  type SynSceneEnded,
} from "./gen/scenehost/v1/client_pb.js";

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
  /** The scene has ended, or this user has left it. `closed` follows. */
  ended: SceneEnd;
  /** The connection is closed; without `ended` before it, the seat may still be held. */
  closed: Closed;
}

/** A scene whose game speaks JSON; see `Scene.json`. */
export interface JsonScene<In, Out> {
  send(message: Out): void;
  on(listener: Listener<In>): () => void;
}

/** Messages that may wait for the first listener; a scene with more of them is closed. */
const EARLY_MESSAGES_MAX = 1_024;

export class Scene {
  readonly #connection: Connection;
  readonly #events = new Emitter<SceneEvents>();
  #joined!: ResJoinScene;
  /** What came before the first listener for messages; undefined from then on. */
  #early: Uint8Array[] | undefined = [];
  #end: SceneEnd | undefined;

  private constructor(connection: Connection) {
    this.#connection = connection;
    connection.onFrame = (body) => this.#receive(body);
    connection.onClosed = (closed) => this.#events.emit("closed", closed);
  }

  /**
   * Enters the seat of a scene token; a token enters once.
   * Throws `Refused`, `TimedOut`, `Closed`, or the reason of the signal.
   */
  static async join(
    url: string | URL,
    token: string,
    options: ConnectOptions = {},
  ): Promise<Scene> {
    const connection = await Connection.open(url, options);
    const scene = new Scene(connection);
    try {
      const answer = await connection.request({
        case: "reqJoinScene",
        value: { sceneToken: token },
      });
      scene.#joined = connection.expect(answer, "resJoinScene");
    } catch (error) {
      connection.close();
      throw error;
    }
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

  /** Everyone who had a seat when this user entered, inside or still expected. */
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

  /** Why the connection is closed, once it is. */
  get closed(): Closed | undefined {
    return this.#connection.closed;
  }

  /** Bytes that were sent but have not left yet. A game that can skip an update looks here. */
  get sendBufferBytes(): number {
    return this.#connection.sendBufferBytes;
  }

  /**
   * Calls `listener` at every `event`; the returned function ends that. The first listener for
   * messages gets those that came before it, and `ended` and `closed` are told late, too.
   */
  on<E extends keyof SceneEvents>(event: E, listener: Listener<SceneEvents[E]>): () => void {
    const off = this.#events.on(event, listener);
    if (event === "message") this.#flushEarly();
    const past = event === "ended" ? this.#end : event === "closed" ? this.closed : undefined;
    if (past) queueMicrotask(() => listener(past as SceneEvents[E]));
    return off;
  }

  /**
   * Sends a message to the game: bytes as they are, any other value as JSON.
   * Throws `Overflow` when too much waits to be sent already (the message is then dropped, never
   * queued without limit) and `Closed` after the end.
   */
  send(message: unknown): void {
    const body = message instanceof Uint8Array ? message : encodeJson(message);
    this.#connection.send({ case: "sceneMessage", value: { body } });
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
            this.#connection.breach("the game sent a message that is not JSON");
            return;
          }
          listener(message);
        }),
    };
  }

  /** Leaves the scene for good. Throws `TimedOut` and `Closed`; then the seat may be held still. */
  async leave(): Promise<SceneEnd> {
    if (this.#end) return this.#end;
    const answer = await this.#connection.request({ case: "reqLeaveScene", value: {} });
    return toSceneEnd(this.#connection.expect(answer, "synSceneEnded"));
  }

  /** Asks whether the scene's host is there; the answer is the round trip in milliseconds. */
  ping(): Promise<number> {
    return this.#connection.ping();
  }

  /** Closes the connection and keeps the seat: `Lobby.rejoin` leads back as long as it is held. */
  close(): void {
    this.#connection.close();
  }

  #receive(body: ServerBody): void {
    switch (body.case) {
      case "sceneMessage":
        return this.#receiveMessage(body.value.body);
      case "refused":
        return this.#events.emit("refused", Refused.from(body.value));
      case "synSceneEnded":
        this.#end = toSceneEnd(body.value);
        this.#events.emit("ended", this.#end);
        return this.#connection.close();
    }
  }

  #receiveMessage(bytes: Uint8Array): void {
    if (!this.#early) return this.#events.emit("message", bytes);
    if (this.#early.length < EARLY_MESSAGES_MAX) return void this.#early.push(bytes);
    this.#connection.close(
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

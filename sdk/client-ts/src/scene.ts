// A seat in a scene: messages to and from the game, and how it ended.
//
// Invariant: those of its `GameLine`; and who is let in has not left.
import type { ClientBody } from "./codec.js";
import { socketUrl } from "./connection.js";
import type { Listener } from "./emitter.js";
import type { Closed, Refused } from "./errors.js";
import { GameLine, toSceneEnd, type GameEvents, type SceneEnd } from "./game-line.js";
import type { ResJoinScene } from "./gen/scenehost/v1/client_pb.js";
import type { ConnectOptions, Dropped, Entered, Resumed, ServerBody } from "./line.js";

export interface Player {
  readonly seat: number;
  readonly userId: string;
  readonly name: string;
  readonly rating: number;
  readonly team: number;
}

export interface SceneEvents extends GameEvents {
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

export class Scene {
  readonly #game: GameLine;
  readonly #token: string;
  #joined!: ResJoinScene;

  private constructor(url: URL, token: string, options: ConnectOptions) {
    this.#token = token;
    this.#game = new GameLine(url, options, {
      enter: (resumeSeq) => this.#toEnter(resumeSeq),
      entered: (body) => this.#entered(body),
      mend: () => Promise.resolve(false),
    });
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
    await scene.#game.line.begin();
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
    return this.#game.end;
  }

  /** Why there is no connection and when the next attempt is, while the way back is being tried. */
  get dropped(): Dropped | undefined {
    return this.#game.line.dropped;
  }

  /** Why there will be no connection any more, once that is so. */
  get gone(): Closed | undefined {
    return this.#game.line.gone;
  }

  /** Bytes that have not left yet. A game that can skip an update looks here, and at `dropped`. */
  get sendBufferBytes(): number {
    return this.#game.line.waitingBytes;
  }

  /**
   * Calls `listener` at every `event`; the returned function ends that. The first listener for
   * messages gets those that came before it, and `ended` and `gone` are told late, too.
   */
  on<E extends keyof SceneEvents>(event: E, listener: Listener<SceneEvents[E]>): () => void {
    return this.#game.on(event, listener);
  }

  /**
   * Sends a message to the game: bytes as they are, any other value as JSON. During a drop it is
   * kept; it goes out after the return, once and in order.
   * Throws `Overflow` when too much is kept already (the message is then not sent, never queued
   * without limit) and `Closed` after the end.
   */
  send(message: unknown): void {
    const body = message instanceof Uint8Array ? message : encodeJson(message);
    this.#game.line.send({ case: "sceneMessage", value: { body } });
  }

  /** The scene seen as one whose messages are JSON of these types; nothing checks the types. */
  json<In, Out = unknown>(): JsonScene<In, Out> {
    return {
      send: (message) => this.send(message),
      on: (listener) => this.#game.onJson(listener),
    };
  }

  /** Leaves the scene for good. Throws `TimedOut` and `Closed`; then the seat may be held still. */
  async leave(): Promise<SceneEnd> {
    if (this.end) return this.end;
    try {
      const answer = await this.#game.line.request({ case: "reqLeaveScene", value: {} });
      return toSceneEnd(this.#game.line.expect(answer, "synSceneEnded"));
    } catch (error) {
      // The scene has ended by itself meanwhile, or its answer came by another number after a drop.
      if (this.end) return this.end;
      throw error;
    }
  }

  /** Asks whether the scene's host is there; the answer is the round trip in milliseconds. */
  ping(): Promise<number> {
    return this.#game.line.ping();
  }

  /** Closes the connection and keeps the seat: `Lobby.rejoin` leads back as long as it is held. */
  close(): void {
    this.#game.line.close();
  }

  /**
   * Takes the lobby's word that a scene has ended; `Lobby.join` sees to that. A connection that stands
   * tells it by itself, after what the game said last; one that is lost has nothing to come back to.
   */
  hearOfEnd(end: SceneEnd): void {
    if (end.sceneId === this.sceneId) this.#game.hearOfEnd(end);
  }

  #toEnter(resumeSeq: number | undefined): ClientBody {
    const resume = resumeSeq === undefined ? {} : { resumeSeq };
    return { case: "reqJoinScene", value: { sceneToken: this.#token, ...resume } };
  }

  #entered(body: ServerBody): Entered {
    this.#joined = this.#game.line.expect(body, "resJoinScene");
    const { resumed, afterSeq, graceMs, received } = this.#joined;
    // Whoever is let in has not left: a request to leave that was sent did not arrive.
    return { resumed, afterSeq, graceMs, requestsArrived: 0, messagesArrived: received };
  }
}

function encodeJson(message: unknown): Uint8Array {
  const text = JSON.stringify(message) as string | undefined;
  if (text === undefined) throw new TypeError("the message has no form in JSON");
  return new TextEncoder().encode(text);
}

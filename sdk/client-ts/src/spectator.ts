// A connection to watch a game: what the game shows, and nothing the other way.
//
// Invariant: no message is lost between coming in and the first listener; `ended` comes at most once
// and `gone` exactly once, as the last event.
import type { ClientBody } from "./codec.js";
import { Emitter, type Listener } from "./emitter.js";
import { Closed, type Refused } from "./errors.js";
import type { ResWatchScene } from "./gen/scenehost/v1/client_pb.js";
import {
  Line,
  type ConnectOptions,
  type Dropped,
  type Entered,
  type Resumed,
  type Role,
  type ServerBody,
} from "./line.js";
import { EARLY_MESSAGES_MAX, toSceneEnd, type Player, type SceneEnd } from "./scene.js";

/** The way to watch a game. */
export interface Watch {
  readonly sceneId: string;
  /** An absolute WebSocket URL. */
  readonly sceneUrl: string;
  /** Lets the user in once. */
  readonly watchToken: string;
}

export interface SpectatorEvents {
  /** What the game shows. */
  message: Uint8Array;
  /** The connection is lost, and the way back is being tried; again after each attempt that failed. */
  dropped: Dropped;
  /** The connection is there again; what the game shows next is a whole view. */
  resumed: Resumed;
  /** The game is over, or this user may not watch any more. `gone` follows. */
  ended: SceneEnd;
  /** There will be no connection any more; the last event. */
  gone: Closed;
}

export class Spectator {
  readonly #line: Line;
  readonly #renew: () => Promise<Watch>;
  #watch: Watch;
  readonly #events = new Emitter<SpectatorEvents>();
  #inside!: ResWatchScene;
  /** What came before the first listener for messages; undefined from then on. */
  #early: Uint8Array[] | undefined = [];
  #end: SceneEnd | undefined;

  private constructor(watch: Watch, renew: () => Promise<Watch>, options: ConnectOptions) {
    this.#watch = watch;
    this.#renew = renew;
    this.#line = new Line(new URL(watch.sceneUrl), options, this.#role());
  }

  /** Comes in; `renew` gives another way when this one was used. `Lobby.watchScene` does all that. */
  static async enter(
    watch: Watch,
    renew: () => Promise<Watch>,
    options: ConnectOptions,
  ): Promise<Spectator> {
    const spectator = new Spectator(watch, renew, options);
    await spectator.#line.begin();
    return spectator;
  }

  get sceneId(): string {
    return this.#inside.sceneId;
  }

  get domain(): string {
    return this.#inside.domain;
  }

  /** Everyone who had a seat when this user came in, inside or still expected. */
  get players(): readonly Player[] {
    return this.#inside.players;
  }

  /** How much later than the players this user sees the game. */
  get delayMs(): number {
    return this.#inside.delayMs;
  }

  /** How the game ended, once it has. */
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

  /**
   * Calls `listener` at every `event`; the returned function ends that. The first listener for
   * messages gets those that came before it, and `ended` and `gone` are told late, too.
   */
  on<E extends keyof SpectatorEvents>(
    event: E,
    listener: Listener<SpectatorEvents[E]>,
  ): () => void {
    const off = this.#events.on(event, listener);
    if (event === "message") this.#flushEarly();
    const past = event === "ended" ? this.#end : event === "gone" ? this.gone : undefined;
    if (past) queueMicrotask(() => listener(past as SpectatorEvents[E]));
    return off;
  }

  /** What the game shows, as JSON of this type; nothing checks the type. */
  onJson<In>(listener: Listener<In>): () => void {
    return this.on("message", (bytes) => {
      let message: In;
      try {
        message = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)) as In;
      } catch {
        this.#line.breach("the game showed something that is not JSON");
        return;
      }
      listener(message);
    });
  }

  /** Watches no more. */
  close(): void {
    this.#line.close();
  }

  #role(): Role {
    return {
      enter: () => this.#toEnter(),
      entered: (body) => this.#entered(body),
      mend: (refused) => this.#mend(refused),
      receive: (body) => this.#receive(body),
      dropped: (dropped) => this.#events.emit("dropped", dropped),
      resumed: (resumed) => this.#events.emit("resumed", resumed),
      gone: (closed) => this.#events.emit("gone", closed),
    };
  }

  #toEnter(): ClientBody {
    return { case: "reqWatchScene", value: { watchToken: this.#watch.watchToken } };
  }

  #entered(body: ServerBody): Entered {
    this.#inside = this.#line.expect(body, "resWatchScene");
    return { resumed: false, afterSeq: 0, graceMs: 0, requestsArrived: 0, messagesArrived: 0 };
  }

  /** A token lets in once, so each return needs another one. */
  async #mend(refused: Refused): Promise<boolean> {
    if (refused.code !== "BAD_TOKEN" && refused.code !== "TOKEN_EXPIRED") return false;
    this.#watch = await this.#renew();
    return true;
  }

  #receive(body: ServerBody): void {
    switch (body.case) {
      case "sceneMessage":
        return this.#receiveMessage(body.value.body);
      case "synSceneEnded":
        this.#end = toSceneEnd(body.value);
        this.#events.emit("ended", this.#end);
        return this.#line.close();
    }
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

// A connection to watch a game: what the game shows, and nothing the other way.
//
// Invariant: those of its `GameLine`; and a way in is used once.
import type { ClientBody } from "./codec.js";
import type { Listener } from "./emitter.js";
import type { Closed, Refused } from "./errors.js";
import { GameLine, type SceneEnd } from "./game-line.js";
import type { ResWatchScene } from "./gen/scenehost/v1/client_pb.js";
import type { ConnectOptions, Dropped, Entered, Resumed, ServerBody } from "./line.js";
import type { Player } from "./scene.js";

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
  readonly #game: GameLine;
  readonly #renew: () => Promise<Watch>;
  #watch: Watch;
  #inside!: ResWatchScene;

  private constructor(watch: Watch, renew: () => Promise<Watch>, options: ConnectOptions) {
    this.#watch = watch;
    this.#renew = renew;
    this.#game = new GameLine(new URL(watch.sceneUrl), options, {
      enter: () => this.#toEnter(),
      entered: (body) => this.#entered(body),
      mend: (refused) => this.#mend(refused),
    });
  }

  /** Comes in; `renew` gives another way when this one was used. `Lobby.watchScene` does all that. */
  static async enter(
    watch: Watch,
    renew: () => Promise<Watch>,
    options: ConnectOptions,
  ): Promise<Spectator> {
    const spectator = new Spectator(watch, renew, options);
    await spectator.#game.line.begin();
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

  /**
   * Calls `listener` at every `event`; the returned function ends that. The first listener for
   * messages gets those that came before it, and `ended` and `gone` are told late, too.
   */
  on<E extends keyof SpectatorEvents>(
    event: E,
    listener: Listener<SpectatorEvents[E]>,
  ): () => void {
    return this.#game.on(event, listener);
  }

  /** What the game shows, as JSON of this type; nothing checks the type. */
  onJson<In>(listener: Listener<In>): () => void {
    return this.#game.onJson(listener);
  }

  /** Watches no more. */
  close(): void {
    this.#game.line.close();
  }

  #toEnter(): ClientBody {
    return { case: "reqWatchScene", value: { watchToken: this.#watch.watchToken } };
  }

  #entered(body: ServerBody): Entered {
    this.#inside = this.#game.line.expect(body, "resWatchScene");
    return { resumed: false, afterSeq: 0, graceMs: 0, requestsArrived: 0, messagesArrived: 0 };
  }

  /** A token lets in once, so each return needs another one. */
  async #mend(refused: Refused): Promise<boolean> {
    if (refused.code !== "BAD_TOKEN" && refused.code !== "TOKEN_EXPIRED") return false;
    this.#watch = await this.#renew();
    return true;
  }
}

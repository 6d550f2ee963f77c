// A line to a game, a player's or a spectator's: what the game says over it, and how it ended.
//
// Invariant: no message is lost between coming in and the first listener; `ended` comes at most once
// and `gone` exactly once, as the last event.
import { Emitter, type Listener } from "./emitter.js";
import { Closed, Refused } from "./errors.js";
import { SynSceneEnded_Reason, type SynSceneEnded } from "./gen/scenehost/v1/client_pb.js";
import {
  Line,
  type ConnectOptions,
  type Dropped,
  type Resumed,
  type Role,
  type ServerBody,
} from "./line.js";

/** Why a scene ended for this user: the schema's names, for example `"FINISHED"`. */
export type EndReason = keyof typeof SynSceneEnded_Reason;

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

/** What happens on the line. */
export interface GameEvents {
  message: Uint8Array;
  refused: Refused;
  dropped: Dropped;
  resumed: Resumed;
  ended: SceneEnd;
  gone: Closed;
}

/** Messages that may wait for the first listener; a line with more of them is closed. */
export const EARLY_MESSAGES_MAX = 1_024;

export class GameLine {
  readonly line: Line;
  readonly #events = new Emitter<GameEvents>();
  /** What came before the first listener for messages; undefined from then on. */
  #early: Uint8Array[] | undefined = [];
  #end: SceneEnd | undefined;
  #heardOfEnd: SceneEnd | undefined;

  /** `way`: how this side comes in. */
  constructor(url: URL, options: ConnectOptions, way: Pick<Role, "enter" | "entered" | "mend">) {
    this.line = new Line(url, options, {
      ...way,
      receive: (body) => this.#receive(body),
      dropped: (dropped) => this.#events.emit("dropped", dropped),
      resumed: (resumed) => this.#events.emit("resumed", resumed),
      gone: (closed) => this.#gone(closed),
    });
  }

  /** How the game ended for this user, once it has. */
  get end(): SceneEnd | undefined {
    return this.#end;
  }

  /** As `Scene.on`. */
  on<E extends keyof GameEvents>(event: E, listener: Listener<GameEvents[E]>): () => void {
    const off = this.#events.on(event, listener);
    if (event === "message") this.#flushEarly();
    const past = event === "ended" ? this.#end : event === "gone" ? this.line.gone : undefined;
    if (past) queueMicrotask(() => listener(past as GameEvents[E]));
    return off;
  }

  /** Messages as JSON of this type, which nothing checks; what is none is a breach of the protocol. */
  onJson<In>(listener: Listener<In>): () => void {
    return this.on("message", (bytes) => {
      let message: In;
      try {
        message = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)) as In;
      } catch {
        this.line.breach("the game sent a message that is not JSON");
        return;
      }
      listener(message);
    });
  }

  /** As `Scene.hearOfEnd`. */
  hearOfEnd(end: SceneEnd): void {
    if (this.#end) return;
    if (this.line.dropped) this.#ended(end);
    else this.#heardOfEnd = end;
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
    this.line.close();
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
    this.line.close(
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

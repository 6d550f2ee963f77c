// `Scene`, the class that a game extends. Each handler has a default, so that a game names only what
// it cares about; only `start` has none.
import type { Context } from "./context.js";
import type { Init, LeaveReason, Player, SaveOutcome, Seat, StopNotice } from "./contract.js";
import type { Random } from "./random.js";
import { readJson, type Shape, Unreadable } from "./shape.js";
import type { Timer } from "./timer.js";

/**
 * The logic of one game. The host keeps one value of the class for each scene. `Request` is what
 * players send and `Reply` what the scene sends.
 *
 * The value's fields are the scene's whole state: what is not in them, such as a variable of the
 * module, does not survive a save, and is not the scene's own. A step gives the events since the last
 * one to their handlers, in order, and then calls `tick`. Handlers are not `async`. What one throws is
 * written to the scene's log, and ends this scene and no other.
 */
export abstract class Scene<Request = never, Reply = unknown> {
  /**
   * Begins the scene: fills its fields. `random` is the scene's own randomness, later
   * `Context.random`. What it throws ends the scene before anybody enters.
   */
  abstract start(init: Init, random: Random): void;

  /**
   * The game's own condition to enter, asked before each `joined`. A text refuses, and is shown to the
   * player.
   */
  admit(_player: Player): string | undefined {
    return undefined;
  }

  /** A player is inside and connected. */
  joined(_ctx: Context<Reply>, _player: Player): void {}

  /** A player's connection was lost; the seat is kept for the fleet's grace period. */
  dropped(_ctx: Context<Reply>, _seat: Seat): void {}

  /**
   * A dropped player is back. `missed`: messages of this scene did not reach the client, so send its
   * whole state; else it has got all that was sent meanwhile.
   */
  resumed(_ctx: Context<Reply>, _seat: Seat, _missed: boolean): void {}

  /** A player is gone for good, or never came. */
  left(_ctx: Context<Reply>, _seat: Seat, _reason: LeaveReason): void {}

  /**
   * A player's message as bytes. By default it is read as JSON by the class's `requests` and given to
   * `message`, or to `unreadable` if it is not one. Override it for raw bytes or another codec; answer
   * with `Context.sendBytes`, and count what cannot be read with `Context.countUnreadable`.
   */
  received(ctx: Context<Reply>, from: Seat, body: Uint8Array): void {
    let message: Request;
    try {
      const { requests } = this.constructor as SceneClass;
      message = readJson(requests as Shape<Request>, utf8(body));
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      ctx.countUnreadable(from, error.message);
      this.unreadable(ctx, from, error);
      return;
    }
    return this.message(ctx, from, message);
  }

  /** A player has sent a message of the game. */
  message(_ctx: Context<Reply>, _from: Seat, _message: Request): void {}

  /** A player has sent something else. It was counted and logged already. */
  unreadable(_ctx: Context<Reply>, _from: Seat, _error: Unreadable): void {}

  /** A timer set by `Context.setTimer` is due. */
  timer(_ctx: Context<Reply>, _timer: Timer): void {}

  /** A message from outside the game: an operator, or the game's own backend. */
  signal(_ctx: Context<Reply>, _name: string, _body: Uint8Array): void {}

  /** The answer to a `Context.save`, by the id it returned. While the store is down it may come late. */
  saved(_ctx: Context<Reply>, _id: number, _outcome: SaveOutcome): void {}

  /** The host is about to end the scene. By default it is let do so. */
  stopping(_ctx: Context<Reply>, _notice: StopNotice): void {}

  /**
   * The host wants the whole view of users who watch: answer with `Context.showWhole`. Only in fleets
   * whose games can be watched, and at most once a second.
   */
  watched(_ctx: Context<Reply>): void {}

  /** Once in each step, after its events: at the tick rate, or at rate 0 when something happened. */
  tick(_ctx: Context<Reply>): void {}

  /**
   * The state that a snapshot keeps: by default the fields. Plain objects, lists, maps, sets, numbers,
   * texts and bytes; override it where a field is something else.
   */
  save(): unknown {
    return { ...this };
  }

  /**
   * The reverse of `save`, called on a fresh value instead of `start`. By default what was saved goes
   * into the fields, so a field that a newer version adds has what its declaration gives it.
   */
  load(state: unknown, _init: Init): void {
    Object.assign(this, state);
  }
}

/** A scene, whatever its messages are. */
export type AnyScene = Scene<any, any>;

/** What players of a scene send, and what it sends. */
export type RequestOf<S> = S extends Scene<infer Request, infer _> ? Request : never;
export type ReplyOf<S> = S extends Scene<infer _, infer Reply> ? Reply : never;

/** A class that extends `Scene`, with what it has besides. */
export interface SceneClass<S extends AnyScene = AnyScene> {
  new (): S;
  /** How players' messages are read. Left out only if the scene overrides `received`. */
  readonly requests?: Shape<RequestOf<S>>;
}

/**
 * Reads the fleet's configuration for this game. Use `optional` for everything that may be left out; a
 * misspelt name is told.
 */
export function configured<T>(init: Init, shape: Shape<T>): T {
  try {
    return readJson(shape, init.configuration, { strict: true });
  } catch (error) {
    throw new Error(`the fleet's configuration of this game: ${(error as Error).message}`);
  }
}

function utf8(body: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(body);
  } catch {
    throw new Unreadable("", "JSON in UTF-8");
  }
}

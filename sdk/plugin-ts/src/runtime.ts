// `Runtime`, a scene with its context: gives events to their handlers and owns the snapshot, which is
// what the context keeps and the scene's own state.
import { Context, Kept } from "./context.js";
import type { Command, Event, Init, Moment, Player } from "./contract.js";
import type { AnyScene, ReplyOf, SceneClass } from "./scene.js";
import { fromBytes, SnapshotError, toBytes } from "./snapshot.js";
import { Timer } from "./timer.js";

/** A scene in a host: what the functions of the contract do. What they throw ends the scene. */
export class Runtime<S extends AnyScene> {
  private constructor(
    readonly scene: S,
    readonly ctx: Context<ReplyOf<S>>,
    readonly kept: Kept,
  ) {}

  /** Begins the scene. */
  static start<S extends AnyScene>(Class: SceneClass<S>, init: Init): Runtime<S> {
    const kept = Kept.begin(init);
    const scene = new Class();
    finished("start", scene.start(init, kept.random));
    return new Runtime(scene, new Context(init.tickRateHz, kept), kept);
  }

  /** Begins the scene from a snapshot. */
  static load<S extends AnyScene>(
    Class: SceneClass<S>,
    init: Init,
    snapshot: Uint8Array,
  ): Runtime<S> {
    const [saved, state, ...more] = fromBytes(snapshot);
    if (state === undefined || more.length > 0) {
      throw new SnapshotError("not a snapshot of this SDK: it has not two parts");
    }
    const kept = Kept.load(init, saved);
    const scene = new Class();
    finished("load", scene.load(state, init));
    return new Runtime(scene, new Context(init.tickRateHz, kept), kept);
  }

  save(): Uint8Array {
    return toBytes(this.kept.save(), this.scene.save());
  }

  /** The text of a refusal, if the player may not enter. */
  admit(player: Player): string | undefined {
    return this.scene.admit(player);
  }

  /** One step: the events to their handlers, then the tick. */
  step(at: Moment, events: readonly Event[]): Command[] {
    const { ctx, scene } = this;
    ctx.begin(at);
    for (const event of events) {
      if (ctx.isOver) break;
      finished(event.tag, this.#handle(event));
    }
    if (!ctx.isOver) finished("tick", scene.tick(ctx));
    return ctx.end();
  }

  /** Keeps the roster before the handler sees it; only a leaver stays known until after. */
  #handle(event: Event): unknown {
    const { ctx, scene } = this;
    const { roster } = this.kept;
    switch (event.tag) {
      case "joined":
        roster.put(event.val, "inside");
        return scene.joined(ctx, event.val);
      case "dropped":
        roster.mark(event.val, "dropped");
        return scene.dropped(ctx, event.val);
      case "resumed":
        roster.mark(event.val.seat, "inside");
        return scene.resumed(ctx, event.val.seat, event.val.missed);
      case "left": {
        roster.mark(event.val.seat, "dropped");
        const left: unknown = scene.left(ctx, event.val.seat, event.val.reason);
        roster.remove(event.val.seat);
        return left;
      }
      case "message":
        return scene.received(ctx, event.val.from, event.val.body);
      case "timer":
        return scene.timer(ctx, Timer.fromId(event.val));
      case "signal":
        return scene.signal(ctx, event.val.name, event.val.body);
      case "saved":
        return scene.saved(ctx, Number(event.val.id), event.val.outcome);
      case "stopping":
        return scene.stopping(ctx, event.val);
      case "watched":
        return scene.watched(ctx);
    }
  }
}

/** What comes after an `await` would run in no step. */
function finished(handler: string, returned: unknown): void {
  if (typeof returned === "object" && returned !== null && "then" in returned) {
    throw new TypeError(
      `the handler of "${handler}" is async: a step is over when its handlers return, so nothing in ` +
        "a scene can wait. Use a timer, or the event that answers",
    );
  }
}

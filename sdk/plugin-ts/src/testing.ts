// The test kit: plays a scene in Node, in a plain `node --test`, as the host would.
//
// Two things are checked in every test without a line of its own: in each step the scene is saved,
// loaded into a twin, and both must answer the step alike; and `assertReplays` plays the same inputs
// once more from the start. What a handler throws, the test gets. What scenes must not use is not there
// while the scene runs.
import assert from "node:assert/strict";
import type {
  Audience,
  Command,
  Event,
  Init,
  LeaveReason,
  Moment,
  Opening,
  Player,
  RawResult,
  SaveOperation,
  SaveOutcome,
  Seat,
  StopNotice,
} from "./contract.js";
import { guarded } from "./guard.js";
import { sendLinesTo, type Level } from "./log.js";
import { Runtime } from "./runtime.js";
import type { AnyScene, ReplyOf, RequestOf, SceneClass } from "./scene.js";
import type { Timer } from "./timer.js";

/**
 * What a scene starts with in a test: so many matched players, seats from 0, tick rate 0, an empty
 * configuration and seed 1. Change single fields by `{ ...players(2), tickRateHz: 20 }`.
 */
export function players(count: number): Init {
  return {
    seed: 1n,
    tickRateHz: 0,
    configuration: "{}",
    players: Array.from({ length: count }, (_, seat) => player(seat)),
    chosen: [],
    bots: 0,
  };
}

/** A player for a seat: `player 0` is user 100 with rating 1500, and came alone. */
export function player(seat: Seat): Player {
  const [user, name] = [100n + BigInt(seat), `player ${seat}`];
  return { seat, user, name, rating: 1500, team: 0, party: seat };
}

/** One step, as it was: what went in and what came out. */
interface Step {
  readonly at: Moment;
  readonly events: readonly Event[];
  readonly commands: readonly Command[];
}

/** What a scene has asked for besides messages, in its order. */
type Told<Tag extends Command["tag"]> =
  Extract<Command, { tag: Tag }> extends { val: infer V } ? V : never;

/**
 * A scene in play. At tick rate 0 every event is a step at once; in a ticking scene events wait for
 * `ticks` or `advanceMs`. After the end nothing reaches the scene any more.
 */
export class SceneTest<S extends AnyScene> {
  /** The saves the scene has asked for. */
  readonly saves: { readonly id: number; readonly operations: readonly SaveOperation[] }[] = [];
  /** The players the scene has kicked; each has left in the step after. */
  readonly kicks: Told<"kick">[] = [];
  /** Whom the scene has sent on to their next matches; they have left in the step after. */
  readonly nextMatches: Told<"match-again">[] = [];
  /** The lines the scene has logged. */
  readonly log: { readonly level: Level; readonly text: string }[] = [];
  /** What is still open of the scene's search for players. Empty if it seeks nobody. */
  search: readonly Opening[] = [];

  readonly #Class: SceneClass<S>;
  readonly #init: Init;
  #runtime: Runtime<S>;
  #tickNext = 0;
  #nowMs = 0;
  #queue: Event[] = [];
  /** When each timer that is set is due, by its id. */
  readonly #timers = new Map<bigint, number>();
  /** Seats that were joined and not left, and of those the connected ones. */
  readonly #held = new Set<Seat>();
  readonly #connected = new Set<Seat>();
  readonly #inboxes = new Map<Seat, Uint8Array[]>();
  readonly #history: Step[] = [];
  #shown: { readonly whole: boolean; readonly body: Uint8Array }[] = [];
  #label: string | undefined;
  #results: readonly RawResult[] | undefined;

  private constructor(Class: SceneClass<S>, init: Init) {
    this.#Class = Class;
    this.#init = init;
    this.#runtime = this.#logged(() => Runtime.start(Class, init));
  }

  /** Starts the scene. Throws what the scene throws. */
  static start<S extends AnyScene>(Class: SceneClass<S>, init: Init): SceneTest<S> {
    return new SceneTest(Class, init);
  }

  /**
   * A player comes in: the one matched for the seat, else a new one as by `player`. Throws if the scene
   * does not admit them.
   */
  join(seat: Seat): void {
    const refusal = this.tryJoin(this.#init.players.find((it) => it.seat === seat) ?? player(seat));
    if (refusal !== undefined) assert.fail(`seat ${seat} was not admitted: ${refusal}`);
  }

  /** A player comes in, or the text of the refusal is returned. */
  tryJoin(player: Player): string | undefined {
    const refusal = this.#logged(() => this.#runtime.admit(player));
    if (refusal !== undefined) return refusal;
    this.#fillOpening(player);
    this.#held.add(player.seat);
    this.#connected.add(player.seat);
    this.#event({ tag: "joined", val: player });
    return undefined;
  }

  /** A player's connection is lost. */
  dropOut(seat: Seat): void {
    this.#connected.delete(seat);
    this.#event({ tag: "dropped", val: seat });
  }

  /** A dropped player is back, and has missed messages if `missed`. */
  resume(seat: Seat, missed: boolean): void {
    this.#connected.add(seat);
    this.#event({ tag: "resumed", val: { seat, missed } });
  }

  /** A player is gone for good, by wish or for another reason. */
  leave(seat: Seat, reason: LeaveReason = "left"): void {
    this.#held.delete(seat);
    this.#connected.delete(seat);
    this.#event({ tag: "left", val: { seat, reason } });
  }

  /** A player sends a message of the game. */
  send(from: Seat, message: RequestOf<S>): void {
    this.sendText(from, JSON.stringify(message));
  }

  /** A player sends a text, which may be anything. */
  sendText(from: Seat, text: string): void {
    this.sendBytes(from, new TextEncoder().encode(text));
  }

  /** A player sends bytes. */
  sendBytes(from: Seat, body: Uint8Array): void {
    this.#event({ tag: "message", val: { from, body } });
  }

  /** A message from outside the game. */
  signal(name: string, body: Uint8Array): void {
    this.#event({ tag: "signal", val: { name, body } });
  }

  /** The answer to one of the scene's `saves`. */
  answerSave(id: number, outcome: SaveOutcome): void {
    this.#event({ tag: "saved", val: { id: BigInt(id), outcome } });
  }

  /** The host asks the scene to end. */
  stop(reason: StopNotice["reason"], graceMs: number): void {
    this.#event({ tag: "stopping", val: { reason, graceMs } });
  }

  /** The host wants the whole view of those who watch. */
  watched(): void {
    this.#event({ tag: "watched" });
  }

  /** Makes so many steps of a ticking scene. While nobody holds a seat it sleeps. */
  ticks(count: number): void {
    assert.notEqual(this.#init.tickRateHz, 0, "this scene does not tick");
    for (let i = 0; i < count; i++) this.#stepTicking();
  }

  /** Lets time pass, and makes the steps and fires the timers that fall into it. */
  advanceMs(ms: number): void {
    const untilMs = this.#nowMs + ms;
    if (this.#init.tickRateHz > 0) {
      while (this.#tickMs(this.#tickNext) <= untilMs && this.#stepTicking());
      return;
    }
    for (;;) {
      const dueMs = Math.min(...this.#timers.values());
      if (dueMs > untilMs) break;
      this.#nowMs = Math.max(dueMs, this.#nowMs);
      this.#queueDueTimers();
      this.#settle();
    }
    this.#nowMs = untilMs;
  }

  /** Continues in a scene loaded from a snapshot, as after a crash or a move. */
  reload(): void {
    this.#runtime = this.#twin();
  }

  /** The messages a player got since the last call, read from JSON. */
  received(seat: Seat): ReplyOf<S>[] {
    return this.receivedBytes(seat).map((body) => read(body) as ReplyOf<S>);
  }

  /** The messages a player got since the last call. */
  receivedBytes(seat: Seat): Uint8Array[] {
    const bodies = this.#inboxes.get(seat) ?? [];
    this.#inboxes.delete(seat);
    return bodies;
  }

  /** What was shown to those who watch since the last call: a whole view or a change, from JSON. */
  shown(): { readonly whole: boolean; readonly view: unknown }[] {
    const shown = this.#shown.map(({ whole, body }) => ({ whole, view: read(body) }));
    this.#shown = [];
    return shown;
  }

  /** The scene's state. */
  get scene(): S {
    return this.#runtime.scene;
  }

  /** Milliseconds since the scene started. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** How the scene finished, if it has: one result for each player that counts. */
  get results():
    { readonly seat: Seat; readonly place: number; readonly score: number }[] | undefined {
    return this.#results?.map((result) => ({ ...result, score: Number(result.score) }));
  }

  /** The scene's label, if it has said one. */
  get label(): unknown {
    return this.#label === undefined ? undefined : JSON.parse(this.#label);
  }

  /** Milliseconds until a timer is due, if it is set. */
  timerDueMs(timer: Timer): number | undefined {
    const dueMs = this.#timers.get(timer.id);
    return dueMs === undefined ? undefined : Math.max(dueMs - this.#nowMs, 0);
  }

  /** Plays all inputs again in a new scene with the same seed: every step has to answer as it did. */
  assertReplays(): void {
    const again = this.#silent(() => Runtime.start(this.#Class, this.#init));
    for (const { at, events, commands } of this.#history) {
      const answer = this.#silent(() => again.step(at, events));
      assert.deepEqual(answer, commands, `step ${at.tick} is not a function of the scene's inputs`);
    }
  }

  #event(event: Event): void {
    this.#queue.push(event);
    if (this.#init.tickRateHz === 0) this.#settle();
  }

  /** At tick rate 0: steps until nothing more has happened. */
  #settle(): void {
    while (this.#queue.length > 0) this.#step();
  }

  /** One step at the tick rate; false if the scene sleeps or has ended. */
  #stepTicking(): boolean {
    const sleeps = this.#held.size === 0 && this.#queue.length === 0;
    if (this.#results !== undefined || sleeps) return false;
    this.#nowMs = this.#tickMs(this.#tickNext);
    this.#queueDueTimers();
    this.#step();
    return true;
  }

  #step(): void {
    const events = this.#queue;
    this.#queue = [];
    if (this.#results !== undefined) return;
    const at = { tick: BigInt(this.#tickNext), elapsedMs: BigInt(this.#nowMs) };
    this.#tickNext += 1;
    const twin = this.#twin();
    const commands = this.#logged(() => this.#runtime.step(at, events));
    assert.deepEqual(
      this.#silent(() => twin.step(at, events)),
      commands,
      `step ${at.tick}: a scene loaded from the snapshot answers otherwise; its state is not whole`,
    );
    for (const command of commands) {
      if (this.#results === undefined) this.#carryOut(command);
    }
    this.#history.push({ at, events, commands });
  }

  #carryOut(command: Command): void {
    switch (command.tag) {
      case "send":
        return this.#deliver(command.val.to, command.val.body);
      case "show":
        this.#shown.push(command.val);
        return;
      case "kick":
        this.#goes(command.val.seat, "kicked");
        this.kicks.push(command.val);
        return;
      case "label":
        this.#label = command.val;
        return;
      case "seek-players":
        this.search = command.val;
        return;
      case "stop-seeking":
        this.search = [];
        return;
      case "match-again":
        command.val.seats.forEach((seat) => this.#goes(seat, "next-match"));
        this.nextMatches.push(command.val);
        return;
      case "timer":
        this.#timers.set(command.val.id, this.#nowMs + command.val.afterMs);
        return;
      case "cancel-timer":
        this.#timers.delete(command.val);
        return;
      case "save":
        this.saves.push({ ...command.val, id: Number(command.val.id) });
        return;
      case "finish":
        this.#results = command.val.results;
        return;
    }
  }

  /** The scene has sent a player away; it hears of it in the next step. */
  #goes(seat: Seat, reason: LeaveReason): void {
    this.#connected.delete(seat);
    if (this.#held.delete(seat)) this.#queue.push({ tag: "left", val: { seat, reason } });
  }

  /** A player who was not matched at the beginning takes a place of the search, if there is one. */
  #fillOpening(player: Player): void {
    if (this.#init.players.some((matched) => matched.seat === player.seat)) return;
    const fits = ({ team, role }: Opening) =>
      (team === undefined || team === player.team) &&
      (role === undefined || player.role === undefined || role === player.role);
    const taken = this.search.findIndex(fits);
    this.search = this.search
      .map((opening, at) => (at === taken ? { ...opening, count: opening.count - 1 } : opening))
      .filter((opening) => opening.count > 0);
  }

  #deliver(to: Audience, body: Uint8Array): void {
    const hears = (seat: Seat) => {
      switch (to.tag) {
        case "one":
          return seat === to.val;
        case "many":
          return to.val.includes(seat);
        case "all":
          return true;
        case "all-but":
          return seat !== to.val;
      }
    };
    for (const seat of [...this.#connected].filter(hears)) {
      this.#inboxes.set(seat, [...(this.#inboxes.get(seat) ?? []), body]);
    }
  }

  #twin(): Runtime<S> {
    return this.#silent(() => {
      return Runtime.load(this.#Class, this.#init, this.#runtime.save());
    });
  }

  #queueDueTimers(): void {
    const due = [...this.#timers]
      .filter(([, dueMs]) => dueMs <= this.#nowMs)
      .sort(([a, aMs], [b, bMs]) => aMs - bMs || (a < b ? -1 : 1));
    for (const [id] of due) {
      this.#timers.delete(id);
      this.#queue.push({ tag: "timer", val: id });
    }
  }

  #tickMs(tick: number): number {
    return Math.floor((tick * 1000) / this.#init.tickRateHz);
  }

  /** Runs the scene as the host would, and keeps its lines. */
  #logged<T>(run: () => T): T {
    return withLines((level, text) => this.log.push({ level, text }), run);
  }

  #silent<T>(run: () => T): T {
    return withLines(() => {}, run);
  }
}

function withLines<T>(lines: Parameters<typeof sendLinesTo>[0], run: () => T): T {
  const before = sendLinesTo(lines);
  try {
    return guarded(run);
  } finally {
    sendLinesTo(before);
  }
}

function read(body: Uint8Array): unknown {
  return JSON.parse(new TextDecoder().decode(body));
}

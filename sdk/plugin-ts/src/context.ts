// `Context`, what a handler sees and what it wants done. Invariant: it holds nothing that is not a
// function of the scene's inputs, and what must outlive a step is in `Kept`, which is part of the
// snapshot. What a handler gives is checked here, since the contract's types would bend a wrong number
// into another one.
import type {
  Audience,
  Command,
  Init,
  Moment,
  Opening,
  Player,
  SaveOperation,
  Seat,
} from "./contract.js";
import { log, type Level } from "./log.js";
import { Random } from "./random.js";
import { Roster, type Place, type Presence } from "./roster.js";
import type { Timer } from "./timer.js";

/** Who gets a message: a seat, several seats, all, or all but one. */
export type Target = Seat | readonly Seat[] | "all" | { readonly allBut: Seat };

/** How one player ended. */
export interface Result {
  readonly seat: Seat;
  /** 1 is best; equal places are a draw between them. */
  readonly place: number;
  /** The game's own points, a whole number. */
  readonly score: number | bigint;
}

/** Sends players on to their next match. */
export interface NextMatch {
  /** At most 200. */
  readonly seats: readonly Seat[];
  /** The domain in which they look for it; without it the one that made this scene. */
  readonly domain?: string;
  /** All of them come into the same match, as if they were one party. */
  readonly together?: boolean;
}

/** How `Kept` goes into the snapshot. The seed is the scene's input, and stays out. */
interface SavedKept {
  readonly randomWords: number;
  readonly roster: Place[];
  readonly nextSaveId: number;
}

/** The part of a context that outlives a step. */
export class Kept {
  constructor(
    readonly random: Random,
    readonly roster: Roster,
    public nextSaveId = 1,
  ) {}

  static begin(init: Init): Kept {
    return new Kept(Random.seeded(init.seed), Roster.expecting(init.players));
  }

  static load(init: Init, saved: unknown): Kept {
    const { randomWords, roster, nextSaveId } = saved as SavedKept;
    return new Kept(Random.seeded(init.seed, randomWords), new Roster(roster), nextSaveId);
  }

  save(): SavedKept {
    const { random, roster, nextSaveId } = this;
    return { randomWords: random.taken, roster: roster.places, nextSaveId };
  }
}

/**
 * The scene's surroundings in one step: the time, the players, randomness, and the commands. All
 * commands are carried out in their order after the step.
 */
export class Context<Reply = unknown> {
  readonly #kept: Kept;
  #nowMs = 0;
  #tick = 0;
  #commands: Command[] = [];
  #failure: string | undefined;
  #finished = false;

  constructor(
    /** Steps per second; 0 if a step comes only when something happened. */
    readonly tickRateHz: number,
    kept: Kept,
  ) {
    this.#kept = kept;
  }

  /** For the runtime: a step begins. */
  begin(at: Moment): void {
    this.#tick = Number(at.tick);
    this.#nowMs = Number(at.elapsedMs);
  }

  /** For the runtime: whether handlers need not be called any more. */
  get isOver(): boolean {
    return this.#finished || this.#failure !== undefined;
  }

  /** For the runtime: the step has ended. Throws what made the scene fail. */
  end(): Command[] {
    const commands = this.#commands;
    this.#commands = [];
    if (this.#failure !== undefined) throw new Error(this.#failure);
    return commands;
  }

  /** Milliseconds since the scene started. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** The number of this step, from 0. */
  get tick(): number {
    return this.#tick;
  }

  /** The length of a step in seconds, to move things by; 0 at tick rate 0. */
  get stepS(): number {
    return this.tickRateHz === 0 ? 0 : 1 / this.tickRateHz;
  }

  /** The scene's randomness. Its state is part of the snapshot. */
  get random(): Random {
    return this.#kept.random;
  }

  /** Who holds a seat, be it inside, dropped or on the way. In `left` still the one who left. */
  player(seat: Seat): Player | undefined {
    return this.#kept.roster.at(seat)?.player;
  }

  /** Everybody who holds a seat, by seat. */
  players(): Player[] {
    return this.#kept.roster.places.map((place) => place.player);
  }

  /** Everybody who is inside and connected, by seat. */
  present(): Player[] {
    const inside = this.#kept.roster.places.filter((place) => place.presence === "inside");
    return inside.map((place) => place.player);
  }

  /** Whether the holder of a seat is inside and connected. */
  isPresent(seat: Seat): boolean {
    return this.#is(seat, "inside");
  }

  /** Whether the holder of a seat was matched and has not come in yet. */
  isExpected(seat: Seat): boolean {
    return this.#is(seat, "expected");
  }

  /** Sends a message as JSON: to a seat, several seats, `"all"` or `{ allBut: seat }`. */
  send(to: Target, message: Reply): void {
    this.sendBytes(to, json(message));
  }

  /** Sends bytes as they are. */
  sendBytes(to: Target, body: Uint8Array): void {
    this.#commands.push({ tag: "send", val: { to: audience(to), body } });
  }

  /** Shows those who watch a change of what was shown to them before, as JSON. */
  show(change: unknown): void {
    this.showBytes(false, json(change));
  }

  /**
   * Shows those who watch all that they may see now, as JSON: when `Scene.watched` asks for it, and
   * whenever a whole view is as good as a change.
   */
  showWhole(view: unknown): void {
    this.showBytes(true, json(view));
  }

  /** Shows bytes as they are. */
  showBytes(whole: boolean, body: Uint8Array): void {
    this.#commands.push({ tag: "show", val: { whole, body } });
  }

  /** Removes a player; the reason is shown to them, at most 256 bytes. `left` follows. */
  kick(seat: Seat, reason: string): void {
    this.#commands.push({ tag: "kick", val: { seat: u32(seat, "a seat"), reason } });
  }

  /**
   * Sends players on to their next match, each alone or with the party that the player leads. They
   * leave this scene for good, and `left` follows. Before `finish` if the game is over with that.
   */
  matchAgain(...seats: readonly Seat[]): void {
    this.nextMatch({ seats });
  }

  /** The same, with all that can be said: in another domain, or all of them into the same match. */
  nextMatch({ seats, domain, together = false }: NextMatch): void {
    this.#commands.push({ tag: "match-again", val: { seats: seatList(seats), domain, together } });
  }

  /**
   * Describes the scene for the list of scenes, in which users find it by the fields that are texts,
   * numbers, true or false: an object of at most 32 fields and 2 KiB. Told at most once a second.
   */
  label(label: Readonly<Record<string, unknown>>): void {
    this.#commands.push({ tag: "label", val: text(label) });
  }

  /**
   * Asks matching for this many players, whatever the team and the role, at most 200; 0 ends the
   * search. Count the places that are empty as far as the game knows: who is on the way already is
   * taken off. Replaces the last search; it may change once a second.
   */
  seekPlayers(count: number): void {
    this.seek([{ count }]);
  }

  /** Asks for particular players, by their teams and roles: at most 16 openings. */
  seek(openings: readonly Opening[]): void {
    const wanted = openings
      .map(({ count, team, role }) => ({
        count: u32(count, "a count of players"),
        team: team === undefined ? undefined : u32(team, "a team"),
        role,
      }))
      .filter((opening) => opening.count > 0);
    if (wanted.length === 0) this.stopSeeking();
    else this.#commands.push({ tag: "seek-players", val: wanted });
  }

  /** Ends the search. Players who are on the way still come. */
  stopSeeking(): void {
    this.#commands.push({ tag: "stop-seeking" });
  }

  /**
   * Sets a timer from now, or sets it anew. It is due in the first step at or after that time; at most
   * 24 hours.
   */
  setTimer(timer: Timer, afterMs: number): void {
    const val = { id: timer.id, afterMs: u32(Math.ceil(afterMs), "a timer's milliseconds") };
    this.#commands.push({ tag: "timer", val });
  }

  /** Clears a timer; one that is not set is no error. */
  cancelTimer(timer: Timer): void {
    this.#commands.push({ tag: "cancel-timer", val: timer.id });
  }

  /**
   * Changes the store, all operations together or none. Returns the id by which `Scene.saved` tells
   * the outcome. It is made also if the scene finishes without waiting for the answer.
   */
  save(operations: readonly SaveOperation[]): number {
    const id = this.#kept.nextSaveId;
    this.#kept.nextSaveId += 1;
    this.#commands.push({ tag: "save", val: { id: BigInt(id), operations } });
    return id;
  }

  /**
   * Ends the scene as intended. One result for each player that counts; none: the game was not
   * decided. What was sent before is delivered first, no further event is handled, and commands after
   * it are passed over.
   */
  finish(results: readonly Result[] = []): void {
    const raw = results.map(({ seat, place, score }) => ({
      seat: u32(seat, "a result's seat"),
      place: u32(place, "a result's place"),
      score: whole(score, "a result's score"),
    }));
    this.#commands.push({ tag: "finish", val: { results: raw } });
    this.#finished = true;
  }

  /** Ends the scene as broken. The reason goes to its designer; the step's commands are dropped. */
  fail(reason: string): void {
    this.#failure ??= reason;
  }

  /** Writes a line for the game's designer. */
  log(level: Level, text: string): void {
    log(level, text);
  }

  /**
   * Counts a message that could not be read. The 1st, 2nd, 4th, 8th ... of a seat are logged, so that
   * a broken client is seen and a hostile one cannot fill the log.
   */
  countUnreadable(from: Seat, error: string): void {
    const place = this.#kept.roster.at(from);
    if (!place) return;
    place.unreadable += 1;
    if (Number.isInteger(Math.log2(place.unreadable))) {
      log("warn", `seat ${from}, ${place.unreadable} unreadable so far: ${error}`);
    }
  }

  /** How many messages of a seat could not be read. */
  unreadableCount(seat: Seat): number {
    return this.#kept.roster.at(seat)?.unreadable ?? 0;
  }

  #is(seat: Seat, presence: Presence): boolean {
    return this.#kept.roster.at(seat)?.presence === presence;
  }
}

function audience(to: Target): Audience {
  if (typeof to === "number") return { tag: "one", val: u32(to, "a seat") };
  if (to === "all") return { tag: "all" };
  if ("allBut" in to) return { tag: "all-but", val: u32(to.allBut, "a seat") };
  return { tag: "many", val: seatList(to) };
}

function seatList(seats: readonly Seat[]): Uint32Array {
  return Uint32Array.from(seats, (seat) => u32(seat, "a seat"));
}

function u32(value: number, what: string): number {
  if (Number.isInteger(value) && value >= 0 && value < 2 ** 32) return value;
  throw new RangeError(`${what} has to be a whole number from 0 to 2^32 - 1, and is ${value}`);
}

function whole(value: number | bigint, what: string): bigint {
  const fits = typeof value === "bigint" || Number.isSafeInteger(value);
  const wide = fits ? BigInt(value) : 2n ** 63n;
  if (BigInt.asIntN(64, wide) === wide) return wide;
  throw new RangeError(`${what} has to be a whole number, and is ${value}`);
}

function json(message: unknown): Uint8Array {
  return new TextEncoder().encode(text(message));
}

function text(message: unknown): string {
  const text = JSON.stringify(message) as string | undefined;
  if (text === undefined) throw new TypeError(`a ${typeof message} cannot be sent as JSON`);
  return text;
}

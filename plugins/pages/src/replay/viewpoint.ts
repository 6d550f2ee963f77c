// With whose eyes a match is seen: a seat's, or those of who watched; and what those were told.
//
// Invariant: `feed` is all that a view needs to stand at a time, and no more than that: it is short however long the
// match is, so that going back is as quick as going on.
import { isPlayer, type Fields, type Journal, type Player } from "./journal.js";
import { lastWhere } from "./playhead.js";

/** A seat, or -1 for those who watched. */
export type Viewpoint = number;
export const SPECTATORS: Viewpoint = -1;

/** With more entries in between, making a view anew is quicker than going on. */
const FAR_ENTRIES = 200;

export interface Message {
  ms: number;
  /** The number of its entry. */
  entry: number;
  type: string;
  body: Fields;
}

/** How a game tells its state by its messages. */
export interface Telling {
  /** These say the whole state: what was told before counts no more. */
  whole: ReadonlySet<string>;
  /** These are replaced by the next of their kind, but that what they show fades for so long. */
  fading: ReadonlyMap<string, number>;
  /** Before one of these nothing can be seen. */
  first: ReadonlySet<string>;
  /** Whether the view can show this message. */
  isGood: (body: Fields) => boolean;
}

export interface Told {
  messages: readonly Message[];
  /** Messages that are none of this game's as the page knows it, and are not shown. */
  strange: number;
}

/** Who can be seen with, and how they are called. */
export function viewpointsOf(journal: Journal): { viewpoint: Viewpoint; name: string }[] {
  const players = [...journal.players, ...comingsOf(journal).map(({ player }) => player)];
  const seats = new Map(players.map(({ seat, name }) => [seat, name]));
  const shown = journal.entries.some(({ out }) => out.some(({ command }) => command === "show"));
  const list = [...seats].sort(([a], [b]) => a - b);
  const named = list.map(([seat, name]) => ({
    viewpoint: seat,
    name: `${name}, seat ${seat}`,
  }));
  return shown ? [...named, { viewpoint: SPECTATORS, name: "Spectators" }] : named;
}

/** Who came in, by the number of the entry. */
export function comingsOf(journal: Journal): { entry: number; player: Player }[] {
  return journal.entries.flatMap((entry, index) =>
    entry.in.flatMap(({ event, player }) =>
      event === "joined" && isPlayer(player) ? [{ entry: index, player }] : [],
    ),
  );
}

/** What was told to somebody, in order. */
export function toldTo(journal: Journal, viewpoint: Viewpoint, telling: Telling): Told {
  const messages: Message[] = [];
  let strange = 0;
  let isIn = wasThere(journal, viewpoint);
  journal.entries.forEach((entry, index) => {
    for (const event of entry.in) isIn = inAfter(event, viewpoint, isIn);
    if (!isIn) return;
    for (const command of entry.out) {
      if (!isFor(command, viewpoint)) continue;
      const body = bodyOf(command);
      if (body && telling.isGood(body)) {
        messages.push({ ms: entry.ms, entry: index, type: String(body["type"]), body });
      } else strange += 1;
    }
  });
  return { messages, strange };
}

/** A time, and what had happened of all that happened at that time. */
export interface Moment {
  ms: number;
  /** The number of the last entry. */
  entry: number;
}

/** Those of the messages until then without which a view would not be as it was. */
export function feed(messages: readonly Message[], at: Moment, telling: Telling): Message[] {
  const needed: Message[] = [];
  const replaced = new Set<string>();
  for (let index = lastUpTo(messages, at.entry); index >= 0; index--) {
    const message = messages[index]!;
    const fadesMs = telling.fading.get(message.type);
    const isFading = at.ms - message.ms <= (fadesMs ?? Infinity);
    if (isFading || !replaced.has(message.type)) needed.push(message);
    if (fadesMs !== undefined) replaced.add(message.type);
    if (telling.whole.has(message.type)) break;
  }
  return needed.reverse();
}

/**
 * A view that is taken from moment to moment. Going on tells it what is new; going back, or far on, makes it anew of
 * what is needed.
 */
export class Follower<View> {
  readonly #messages: readonly Message[];
  readonly #telling: Telling;
  readonly #make: () => View;
  readonly #hear: (view: View, message: Message) => View;
  #view: View;
  #at: Moment = { ms: -1, entry: -1 };

  constructor(
    messages: readonly Message[],
    telling: Telling,
    make: () => View,
    hear: (view: View, message: Message) => View,
  ) {
    this.#messages = messages;
    this.#telling = telling;
    this.#make = make;
    this.#hear = hear;
    this.#view = make();
  }

  /** The view as it was then. */
  at(moment: Moment): View {
    const from = this.#at;
    const far = moment.entry - from.entry > FAR_ENTRIES;
    const goesOn = moment.entry >= from.entry && moment.ms >= from.ms && !far;
    let news: readonly Message[];
    if (goesOn) {
      const [first, last] = [from.entry, moment.entry].map((entry) =>
        lastUpTo(this.#messages, entry),
      );
      news = this.#messages.slice(first! + 1, last! + 1);
    } else {
      this.#view = this.#make();
      news = feed(this.#messages, moment, this.#telling);
    }
    for (const message of news) this.#view = this.#hear(this.#view, message);
    this.#at = moment;
    return this.#view;
  }
}

/** The place of the last message that is not after this entry; -1 if all are. */
function lastUpTo(messages: readonly Message[], entry: number): number {
  return lastWhere(messages, (message) => message.entry <= entry);
}

/** Whether somebody is in the game before the first of its events that tells: true if that is not their coming. */
function wasThere(journal: Journal, viewpoint: Viewpoint): boolean {
  if (viewpoint === SPECTATORS) return true;
  for (const entry of journal.entries) {
    for (const event of entry.in) {
      if (inAfter(event, viewpoint, false)) return false;
      if (!inAfter(event, viewpoint, true)) return true;
    }
  }
  return true;
}

function inAfter(event: Fields, viewpoint: Viewpoint, before: boolean): boolean {
  if (event["event"] === "joined" && isPlayer(event["player"])) {
    return before || event["player"].seat === viewpoint;
  }
  if (event["event"] === "left") return before && event["seat"] !== viewpoint;
  return before;
}

function isFor(command: Fields, viewpoint: Viewpoint): boolean {
  if (viewpoint === SPECTATORS) return command["command"] === "show";
  if (command["command"] !== "send") return false;
  const to = command["to"] as unknown;
  if (to === "all") return true;
  if (Array.isArray(to)) return to.includes(viewpoint);
  return typeof to === "object" && to !== null && "all_but" in to && to.all_but !== viewpoint;
}

/** A body that is a JSON object. */
export function bodyOf(message: Fields): Fields | undefined {
  const { text } = message;
  if (typeof text !== "string") return undefined;
  try {
    const body: unknown = JSON.parse(text);
    return typeof body === "object" && body !== null && !Array.isArray(body)
      ? (body as Fields)
      : undefined;
  } catch {
    return undefined;
  }
}

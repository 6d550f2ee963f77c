// What happened in a game, read from the lines of JSON that `scenehost replay SCENE --export FILE` writes.
//
// Invariant: the entries are in the order of what happened, and their times never go back. Whatever is not as the
// export writes it is told by its line and read no further.

/** How many lines are read; a match of ten minutes at 20 steps a second has some 12,000. */
export const LINES_MAX = 1_000_000;

export type Json =
  null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
export type Fields = { readonly [key: string]: Json };

export interface Log {
  level: string;
  text: string;
}

/** One line of what happened: a step, somebody who asked to enter, another version, a failure, the end. */
export interface Entry {
  kind: "step" | "admit" | "swapped" | "swapped_back" | "failed" | "ended";
  tick: number;
  /** From the beginning of the game. */
  ms: number;
  /** Events, each with its name in `event`. */
  in: readonly Fields[];
  /** Commands, each with its name in `command`. */
  out: readonly Fields[];
  /** What the game logged in this call. */
  logs: readonly Log[];
  /** Of the other kinds: what their line says, in words. */
  text: string;
}

export interface Player {
  seat: number;
  name: string;
}

export interface Journal {
  scene: string;
  plugin: string;
  fleet: string;
  /** The version of the game, by its SHA-256. */
  digest: string;
  startedMs: number;
  /** Steps a second; 0 for a game that runs only when something happens. */
  tickRateHz: number;
  /** Who was matched. */
  players: readonly Player[];
  entries: readonly Entry[];
  /** The times of the first entry and the last. A long journal begins in the middle of its game. */
  beginMs: number;
  endMs: number;
  /** Whether the file has its last line; without it, it was cut off. */
  isWhole: boolean;
}

/** A file that cannot be played back, with what to do about it. */
export class BadFile extends Error {}

const AGAIN = "Write the file again with scenehost replay SCENE --export FILE.";

/** Takes the lines one by one. */
export class JournalReader {
  #began: Omit<Journal, "entries" | "beginMs" | "endMs" | "isWhole"> | undefined;
  #entries: Entry[] = [];
  #logs: Log[] = [];
  #isWhole = false;
  #line = 0;
  /** A line that is not JSON: good only as the last, where a file was cut off. */
  #torn: number | undefined;

  /** Takes a line without its end. Throws `BadFile`. */
  push(text: string): void {
    this.#line += 1;
    if (text.trim() === "") return;
    if (this.#line > LINES_MAX) {
      throw new BadFile(
        `The file has more than ${LINES_MAX} lines, more than this page plays back.`,
      );
    }
    if (this.#torn !== undefined) throw this.#damaged("is not JSON", this.#torn);
    let line: unknown;
    try {
      line = JSON.parse(text);
    } catch {
      if (!this.#began) throw notAnExport();
      this.#torn = this.#line;
      return;
    }
    if (!isFields(line)) throw this.#began ? this.#damaged("is no object") : notAnExport();
    if (this.#began) this.#take(line);
    else this.#begin(line);
  }

  /** What was read. Throws `BadFile`. */
  end(): Journal {
    if (!this.#began) throw notAnExport();
    const [first, last] = [this.#entries[0], this.#entries.at(-1)];
    if (!first || !last) {
      throw new BadFile(`The file ends before the first step of the game. ${AGAIN}`);
    }
    const isWhole = this.#isWhole && this.#torn === undefined;
    return {
      ...this.#began,
      entries: this.#entries,
      beginMs: first.ms,
      endMs: last.ms,
      isWhole,
    };
  }

  #begin(line: Fields): void {
    const { began } = line;
    if (!isFields(began) || !isCount(began["tick_rate_hz"]) || !Array.isArray(began["players"])) {
      throw notAnExport();
    }
    const text = (key: string) => (typeof began[key] === "string" ? began[key] : "");
    const startedMs = isCount(began["started_ms"]) ? began["started_ms"] : 0;
    this.#began = {
      scene: text("scene"),
      plugin: text("plugin"),
      fleet: text("fleet"),
      digest: text("digest"),
      startedMs,
      tickRateHz: began["tick_rate_hz"],
      players: (began["players"] as Json[])
        .filter(isPlayer)
        .map(({ seat, name }) => ({ seat, name })),
    };
  }

  #take(line: Fields): void {
    if ("log" in line) {
      this.#logs.push({ level: String(line["log"]), text: String(line["text"]) });
    } else if ("failed" in line) {
      const text = `${String(line["failed"])}: ${String(line["text"])}`;
      this.#add({ kind: "failed", ...this.#moment(line), in: this.#list(line, "in"), text });
    } else if ("tick" in line) {
      const [events, commands] = [this.#list(line, "in"), this.#list(line, "out")];
      this.#add({ kind: "step", ...this.#moment(line), in: events, out: commands });
    } else if ("admit" in line) {
      const name = isPlayer(line["admit"]) ? line["admit"].name : "Somebody";
      const { answer } = line;
      const text = typeof answer === "string" ? `may not enter: ${answer}` : "may enter";
      this.#add({ kind: "admit", text: `${name} ${text}` });
    } else if ("swapped" in line) {
      this.#add({ kind: "swapped", text: `version ${String(line["swapped"])}` });
    } else if ("swapped_back" in line) {
      this.#add({ kind: "swapped_back", text: String(line["swapped_back"]) });
    } else if (isFields(line["ended"])) {
      this.#add({ kind: "ended", text: endText(line["ended"]) });
      this.#isWhole = true;
    }
    // Lines of kinds that later versions add are passed over.
  }

  #add(entry: Pick<Entry, "kind"> & Partial<Entry>): void {
    if (this.#isWhole) throw this.#damaged("comes after the end");
    const last = this.#entries.at(-1);
    const at = { tick: last?.tick ?? 0, ms: last?.ms ?? 0 };
    this.#entries.push({ ...at, in: [], out: [], text: "", ...entry, logs: this.#logs });
    this.#logs = [];
  }

  /** When it was; a failure outside of a step has no time of its own. */
  #moment(line: Fields): { tick?: number; ms?: number } {
    const { tick, ms } = line;
    if (tick === undefined && ms === undefined) return {};
    if (!isCount(tick) || !isCount(ms)) throw this.#damaged("has no time");
    if (ms < (this.#entries.at(-1)?.ms ?? 0)) throw this.#damaged("goes back in time");
    return { tick, ms };
  }

  #list(line: Fields, key: string): readonly Fields[] {
    const list = line[key] ?? [];
    if (!Array.isArray(list) || !list.every(isFields))
      throw this.#damaged(`has no list in "${key}"`);
    return list;
  }

  #damaged(how: string, line = this.#line): BadFile {
    return new BadFile(`The file is damaged: line ${line} ${how}. ${AGAIN}`);
  }
}

/** Reads a whole file. Throws `BadFile`. */
export function readJournal(text: string): Journal {
  const reader = new JournalReader();
  for (const line of text.split("\n")) reader.push(line);
  return reader.end();
}

export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A number from 0 that counts exactly. */
function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

export function isPlayer(value: unknown): value is Fields & Player {
  return isFields(value) && isCount(value["seat"]) && typeof value["name"] === "string";
}

function endText(ended: Fields): string {
  switch (ended["how"]) {
    case "ended":
      return `The game ended: ${String(ended["reason"])}`;
    case "failed":
      return `The game failed: ${String(ended["kind"])}`;
    case "torn":
      return "The journal breaks off here, as that of a host that was killed.";
    default:
      return "The game was still running when this was written.";
  }
}

export function notAnExport(): BadFile {
  return new BadFile(
    "This is not a match that was exported. Export one with scenehost replay SCENE --export FILE, and open that file.",
  );
}

// What stands out in a match: who came and went, what failed, and the end.
import type { Entry, Fields, Journal } from "./journal.js";
import { isPlayer } from "./journal.js";

export type MarkKind =
  "came" | "dropped" | "back" | "left" | "log" | "version" | "failed" | "ended";

export interface Mark {
  kind: MarkKind;
  ms: number;
  /** The number of its entry. */
  entry: number;
  text: string;
}

/** Marks of a kind that are closer than this part of the whole line are drawn as one. */
const APART = 1 / 250;

/** All marks, in the order of what happened. */
export function marksOf(journal: Journal): Mark[] {
  const names = new Map(journal.players.map(({ seat, name }) => [seat, name]));
  const marks: Mark[] = [];
  journal.entries.forEach((entry, index) => {
    const add = (kind: MarkKind, text: string) =>
      marks.push({ kind, ms: entry.ms, entry: index, text });
    for (const { level, text } of entry.logs) {
      if (level === "warn" || level === "error") add("log", `${level}: ${text}`);
    }
    for (const event of entry.in) markEvent(event, names, add);
    for (const command of entry.out) {
      if (command["command"] === "kick")
        add("left", `${nameOf(names, command["seat"])} is removed`);
    }
    markKind(entry, add);
  });
  return marks;
}

/** Those that are drawn: where many of a kind are close together, the first of them. */
export function drawnMarks(marks: readonly Mark[], lengthMs: number): Mark[] {
  const lastMs = new Map<MarkKind, number>();
  return marks.filter(({ kind, ms }) => {
    const last = lastMs.get(kind);
    if (last !== undefined && ms - last < lengthMs * APART) return false;
    lastMs.set(kind, ms);
    return true;
  });
}

/** By whom a seat is known; who comes later changes `names`. */
export function nameOf(names: ReadonlyMap<number, string>, seat: unknown): string {
  const name = typeof seat === "number" ? names.get(seat) : undefined;
  return name ?? `Seat ${String(seat)}`;
}

type Add = (kind: MarkKind, text: string) => void;

function markEvent(event: Fields, names: Map<number, string>, add: Add): void {
  const who = () => nameOf(names, event["seat"]);
  switch (event["event"]) {
    case "joined": {
      const { player } = event;
      if (!isPlayer(player)) return;
      names.set(player.seat, player.name);
      return add("came", `${player.name} came in`);
    }
    case "dropped":
      return add("dropped", `${who()} lost the connection`);
    case "resumed":
      return add("back", `${who()} is back`);
    case "left":
      return add("left", `${who()} ${leftText(String(event["reason"]))}`);
    case "stopping":
      return add("version", `The game is told to end: ${String(event["reason"])}`);
  }
}

function leftText(reason: string): string {
  const texts: Record<string, string> = {
    left: "left",
    dropped: "did not come back in time",
    "never-joined": "did not come",
    kicked: "is gone: removed by the game",
    removed: "is gone: removed by the host",
    "next-match": "went on to the next match",
  };
  return texts[reason] ?? `left: ${reason}`;
}

function markKind({ kind, text }: Entry, add: Add): void {
  if (kind === "failed") add("failed", `The game failed: ${text.split("\n")[0]}`);
  else if (kind === "ended") add("ended", text);
  else if (kind === "swapped") add("version", `Another version from here: ${text}`);
  else if (kind === "swapped_back") add("version", `The other version is not used: ${text}`);
}

// Events and commands in words, with what they carry below them.
import { isFields, isPlayer, type Fields, type Json } from "./journal.js";
import { nameOf } from "./marks.js";
import { pretty } from "./pretty.js";

/** More of a body is not shown. */
const BODY_CHARS_MAX = 20_000;

export interface Described {
  /** The name in the contract. */
  name: string;
  /** Whom it is from, or for. */
  who: string;
  /** What it carries, over several lines if it is JSON; empty for nothing. */
  body: string;
}

export function describe(item: Fields, names: ReadonlyMap<number, string>): Described {
  const { event, command, from, to, seat, player, text, base64, ...rest } = item;
  const name = String(event ?? command);
  const carries = text ?? base64;
  const others = Object.keys(rest).length > 0 ? pretty(rest) : "";
  const body = typeof carries === "string" ? bodyText(item) : "";
  return {
    name: rest["whole"] === true ? `${name}, the whole state` : name,
    who: whoText(item, names),
    body: [name === "show" ? "" : others, body].filter((part) => part !== "").join("\n"),
  };
}

function whoText({ from, to, seat, player }: Fields, names: ReadonlyMap<number, string>): string {
  if (isPlayer(player)) return `${player.name}, seat ${player.seat}`;
  if (from !== undefined) return `from ${nameOf(names, from)}`;
  if (to !== undefined) return `to ${targetText(to, names)}`;
  return seat === undefined || seat === null ? "" : nameOf(names, seat);
}

function targetText(to: Json, names: ReadonlyMap<number, string>): string {
  if (Array.isArray(to)) return (to as Json[]).map((seat) => nameOf(names, seat)).join(", ");
  return isFields(to) ? `all but ${nameOf(names, to["all_but"])}` : String(to);
}

function bodyText({ text, base64 }: Fields): string {
  if (typeof text !== "string") return `base64: ${cut(String(base64))}`;
  try {
    return cut(pretty(JSON.parse(text) as Json));
  } catch {
    // Text that is none of JSON, or nested so deep that nobody could read it.
    return cut(text);
  }
}

function cut(text: string): string {
  const more = text.length - BODY_CHARS_MAX;
  return more > 0 ? `${text.slice(0, BODY_CHARS_MAX)}\n… and ${more} characters` : text;
}

// JSON for people: what fits on a line stands on one, so that a row of numbers is a row.
import type { Json } from "./journal.js";

const LINE_CHARS_MAX = 56;
const INDENT = "  ";

export function pretty(value: Json, indent = ""): string {
  const line = onOneLine(value);
  const isLeaf = typeof value !== "object" || value === null;
  if (isLeaf || indent.length + line.length <= LINE_CHARS_MAX) return line;
  const inner = indent + INDENT;
  const [open, close] = isList(value) ? "[]" : "{}";
  const items = isList(value)
    ? value.map((item) => inner + pretty(item, inner))
    : Object.entries(value).map(([key, item]) => `${inner}${keyed(key, pretty(item, inner))}`);
  return `${open}\n${items.join(",\n")}\n${indent}${close}`;
}

function onOneLine(value: Json): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (isList(value)) return `[${value.map(onOneLine).join(", ")}]`;
  const items = Object.entries(value).map(([key, item]) => keyed(key, onOneLine(item)));
  return items.length > 0 ? `{ ${items.join(", ")} }` : "{}";
}

function keyed(key: string, value: string): string {
  return `${JSON.stringify(key)}: ${value}`;
}

// The check of the library forgets that a list may be one that nobody changes.
function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

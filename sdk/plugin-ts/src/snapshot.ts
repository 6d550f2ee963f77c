// The state of a scene as bytes, and back: JSON, and what JSON cannot say as an object with the one
// field "$".
//
// Invariant: what can be saved comes back equal, and what cannot is an error that names the place.
// So a snapshot never loses a part of the state in silence, but for private `#fields`, which nothing
// outside of their class can see.

/** Deeper state would take more stack than a component has. */
const DEPTH_MAX = 100;

/** A state that a snapshot cannot hold, or bytes that are no snapshot. */
export class SnapshotError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "SnapshotError";
  }
}

/** Several states, each by itself, as bytes. */
export function toBytes(...states: readonly unknown[]): Uint8Array {
  const written = states.map((state) => new Writer().plain(state, "", 0));
  return new TextEncoder().encode(JSON.stringify(written));
}

/** What `toBytes` was given. */
export function fromBytes(bytes: Uint8Array): readonly unknown[] {
  try {
    const read = revived(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)));
    if (!Array.isArray(read)) throw new SnapshotError("not a snapshot of this SDK: it is no list");
    return read;
  } catch (error) {
    if (error instanceof SnapshotError) throw error;
    throw new SnapshotError(`not a snapshot of this SDK: ${(error as Error).message}`);
  }
}

class Writer {
  /** Where each object was seen first: one that is in two places would come back as two. */
  readonly #seen = new Map<object, string>();

  plain(value: unknown, path: string, depth: number): unknown {
    switch (typeof value) {
      case "string":
      case "boolean":
        return value;
      case "number":
        return Number.isFinite(value) && !Object.is(value, -0)
          ? value
          : { $: "number", is: Object.is(value, -0) ? "-0" : String(value) };
      case "bigint":
        return { $: "bigint", is: String(value) };
      case "undefined":
        return { $: "undefined" };
      case "object":
        return value === null ? null : this.#object(value, path, depth);
      default:
        throw new SnapshotError(`${place(path)} is a ${typeof value}, ${WHAT_TO_DO}`);
    }
  }

  #object(value: object, path: string, depth: number): unknown {
    const first = this.#seen.get(value);
    if (first !== undefined) {
      throw new SnapshotError(
        `${place(path)} and ${place(first)} are the same object, and would be two after a load: ` +
          "keep it once, and a key to it elsewhere",
      );
    }
    this.#seen.set(value, path);
    if (depth > DEPTH_MAX) throw new SnapshotError(`${place(path)} is too deep in the state`);
    const item = (inner: unknown, name: string) => this.plain(inner, `${path}${name}`, depth + 1);
    if (Array.isArray(value) && isJust(value, Array))
      return Array.from(value, (inner, i) => item(inner, `[${i}]`));
    if (value instanceof Map && isJust(value, Map)) {
      const of = [...value].map(([k, v], i) => [
        item(k, `.keys[${i}]`),
        item(v, `.get(${label(k)})`),
      ]);
      return { $: "map", of };
    }
    if (value instanceof Set && isJust(value, Set))
      return { $: "set", of: [...value].map((v, i) => item(v, `[${i}]`)) };
    if (value instanceof Uint8Array && isJust(value, Uint8Array)) {
      return { $: "bytes", is: Array.from(value) };
    }
    if (!isPlain(value)) {
      throw new SnapshotError(`${place(path)} is a ${value.constructor.name}, ${WHAT_TO_DO}`);
    }
    const entries = Object.entries(value).map(([k, v]) => [k, item(v, `.${k}`)] as const);
    return Object.hasOwn(value, "$") ? { $: "object", of: entries } : Object.fromEntries(entries);
  }
}

const WHAT_TO_DO =
  "which a snapshot cannot hold: keep plain objects, lists, maps and sets in the scene's fields, " +
  "or override `save` and `load`";

function place(path: string): string {
  return path === "" ? "the scene's state" : `the scene's ${path.replace(/^\./, "")}`;
}

function label(key: unknown): string {
  return typeof key === "string" ? JSON.stringify(key) : String(key);
}

/** Of this class and of none that extends it, whose own would be lost. */
function isJust(value: object, Class: { readonly prototype: object }): boolean {
  return Object.getPrototypeOf(value) === Class.prototype;
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

interface Marked {
  readonly $: string;
  readonly is?: unknown;
  readonly of?: readonly unknown[];
}

function revived(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(revived);
  if (!Object.hasOwn(value, "$")) {
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, revived(v)]));
  }
  const marked = value as Marked;
  const of = () => (marked.of ?? []).map(revived);
  switch (marked.$) {
    case "number":
      return Number(marked.is);
    case "bigint":
      return BigInt(String(marked.is));
    case "undefined":
      return undefined;
    case "map":
      return new Map(of() as [unknown, unknown][]);
    case "set":
      return new Set(of());
    case "bytes":
      return Uint8Array.from(marked.is as number[]);
    case "object":
      return Object.fromEntries(of() as [string, unknown][]);
    default:
      throw new SnapshotError(`not a snapshot of this SDK: it holds a ${marked.$}`);
  }
}

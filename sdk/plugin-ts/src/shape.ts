// Shapes of values that come from outside, such as players' messages and the fleet's configuration.
// A shape reads a value, or says what is wrong and where; its TypeScript type follows from it.
//
// Invariant: what a shape has read is a fresh plain value that holds nothing the shape does not
// name, so nobody outside decides what gets into a scene's state.

/** What cannot be read: where, and what was expected there. */
export class Unreadable extends Error {
  constructor(path: string, expected: string) {
    super(`${path === "" ? "the whole" : path}: expected ${expected}`);
    this.name = "Unreadable";
  }
}

/** How to read. */
interface Way {
  /** Refuse fields that no shape names: for what people write, who misspell. */
  readonly strict: boolean;
}

export interface Shape<T> {
  /** Reads the value at a path, or throws `Unreadable`. */
  readonly read: (value: unknown, path: string, way: Way) => T;
}

/** The type that a shape reads: `type Request = Read<typeof request>`. */
export type Read<S> = S extends Shape<infer T> ? T : never;

type Fields = Record<string, Shape<unknown>>;
type Object_<F extends Fields> = { [K in keyof F]: Read<F[K]> };

/** A whole number from `min` to `max`. */
export function integer(min: number, max: number): Shape<number> {
  return shape(
    (value) => typeof value === "number" && Number.isInteger(value) && value >= min && value <= max,
    `a whole number from ${min} to ${max}`,
  );
}

/** A number from `min` to `max`. */
export function number(min: number, max: number): Shape<number> {
  return shape(
    (value) => typeof value === "number" && value >= min && value <= max,
    `a number from ${min} to ${max}`,
  );
}

/** True or false. */
export const boolean: Shape<boolean> = shape(
  (value) => typeof value === "boolean",
  "true or false",
);

/** A text of at most so many UTF-16 code units. */
export function text(lengthMax: number): Shape<string> {
  return shape(
    (value) => typeof value === "string" && value.length <= lengthMax,
    `a text of at most ${lengthMax} characters`,
  );
}

/** One of these texts. */
export function oneOf<const T extends string>(...choices: readonly T[]): Shape<T> {
  return shape(
    (value) => choices.some((choice) => choice === value),
    `one of ${choices.map((choice) => JSON.stringify(choice)).join(", ")}`,
  );
}

/** A list of at most so many. */
export function list<T>(of: Shape<T>, lengthMax: number): Shape<T[]> {
  return {
    read: (value, path, way) => {
      if (!Array.isArray(value) || value.length > lengthMax) {
        throw new Unreadable(path, `a list of at most ${lengthMax}`);
      }
      return value.map((item: unknown, index) => of.read(item, `${path}[${index}]`, way));
    },
  };
}

/** What may be left out: then it is this. */
export function optional<T>(of: Shape<T>, otherwise: T): Shape<T> {
  return {
    read: (value, path, way) => (value === undefined ? otherwise : of.read(value, path, way)),
  };
}

/** An object with these fields. */
export function object<F extends Fields>(fields: F): Shape<Object_<F>> {
  return {
    read: (value, path, way) => {
      if (!isObject(value)) throw new Unreadable(path, "an object");
      if (way.strict) refuseOthers(value, fields, path);
      const read = (name: string) => {
        const at = path === "" ? name : `${path}.${name}`;
        return [name, fields[name]!.read(own(value, name), at, way)] as const;
      };
      return Object.fromEntries(Object.keys(fields).map(read)) as Object_<F>;
    },
  };
}

/**
 * Objects that are told apart by their field `type`:
 *
 *     const request = tagged({ throw: { hand: oneOf("rock", "paper") }, resign: {} });
 *     // { type: "throw"; hand: "rock" | "paper" } | { type: "resign" }
 */
export function tagged<M extends Record<string, Fields>>(
  cases: M,
): Shape<{ [K in keyof M & string]: { type: K } & Object_<M[K]> }[keyof M & string]> {
  const type = oneOf(...Object.keys(cases));
  return {
    read: (value, path, way) => {
      if (!isObject(value)) throw new Unreadable(path, "an object");
      const name = type.read(own(value, "type"), path === "" ? "type" : `${path}.type`, way);
      return object({ type, ...cases[name]! }).read(value, path, way) as never;
    },
  };
}

/** Reads JSON text. */
export function readJson<T>(shape: Shape<T>, json: string, way: Way = { strict: false }): T {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw new Unreadable("", "JSON");
  }
  return shape.read(value, "", way);
}

function shape<T>(fits: (value: unknown) => boolean, expected: string): Shape<T> {
  return {
    read: (value, path) => {
      if (!fits(value)) throw new Unreadable(path, expected);
      return value as T;
    },
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function own(value: Record<string, unknown>, name: string): unknown {
  return Object.hasOwn(value, name) ? value[name] : undefined;
}

function refuseOthers(value: Record<string, unknown>, fields: Fields, path: string): void {
  const other = Object.keys(value).find((name) => !Object.hasOwn(fields, name));
  if (other === undefined) return;
  const known = Object.keys(fields).join(", ");
  throw new Unreadable(
    path === "" ? other : `${path}.${other}`,
    `no such field; there is ${known}`,
  );
}

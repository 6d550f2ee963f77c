// What is not there in a scene: clocks, randomness and whatever else would make a replay go another
// way. Using it throws and says what to use instead, in a component and in the test kit alike.

const NOW = "use ctx.nowMs, the time of the step";
const RANDOM = "use ctx.random, which grows from the scene's seed";
const LATER = "use ctx.setTimer and Scene.timer";
const GONE = "when memory is given back must not be seen";

/** What is forbidden: in which global, which of its functions, and what to use instead. */
const FORBIDDEN: readonly (readonly [string, string, string])[] = [
  ["Math", "random", RANDOM],
  ["crypto", "getRandomValues", RANDOM],
  ["crypto", "randomUUID", RANDOM],
  ["Date", "now", NOW],
  ["performance", "now", NOW],
  ["globalThis", "setTimeout", LATER],
  ["globalThis", "setInterval", LATER],
  ["globalThis", "setImmediate", LATER],
  ["globalThis", "queueMicrotask", LATER],
  ["globalThis", "fetch", "a scene has no network; use Context.save, or signals of your backend"],
  ["globalThis", "WeakRef", GONE],
  ["globalThis", "FinalizationRegistry", GONE],
];

/** Something that a scene must not use, since the same inputs would not give the same game. */
export class Forbidden extends Error {
  constructor(what: string, instead: string) {
    super(`${what} is not there in a scene, since a replay would go another way: ${instead}`);
    this.name = "Forbidden";
  }
}

/** Takes all of it away, and returns what brings it back. */
export function guard(): () => void {
  const undo = FORBIDDEN.map(([owner, name, instead]) => {
    const object = owner === "globalThis" ? globalThis : (globalThis as Globals)[owner];
    if (typeof object !== "object" && typeof object !== "function") return () => {};
    const what = owner === "globalThis" ? name : `${owner}.${name}`;
    return replace(
      object as object,
      name,
      () =>
        function () {
          throw new Forbidden(what, instead);
        },
    );
  });
  undo.unshift(replace(globalThis, "Date", (date) => withoutNow(date as DateConstructor)));
  return () => undo.forEach((back) => back());
}

/** Runs something without all of it. */
export function guarded<T>(run: () => T): T {
  const back = guard();
  try {
    return run();
  } finally {
    back();
  }
}

type Globals = Record<string, unknown>;

/** Puts something into the place of a property that is there, until it is taken back. */
function replace(object: object, name: string, by: (before: unknown) => unknown): () => void {
  if (!(name in object)) return () => {};
  const before = Object.getOwnPropertyDescriptor(object, name);
  const value = by((object as Globals)[name]);
  Object.defineProperty(object, name, { value, configurable: true, writable: true });
  return () => {
    if (before) Object.defineProperty(object, name, before);
    else delete (object as Globals)[name];
  };
}

/** Dates that are given as numbers or parts are values like others. */
function withoutNow(date: DateConstructor): DateConstructor {
  const need = (args: readonly unknown[]) => {
    if (args.length === 0) throw new Forbidden("the current date", NOW);
  };
  return new Proxy(date, {
    apply() {
      throw new Forbidden("the current date", NOW);
    },
    construct(target, args, newTarget: Function) {
      need(args);
      return Reflect.construct(target, args, newTarget) as object;
    },
  });
}

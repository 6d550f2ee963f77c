// What is not there in a scene: clocks, randomness and whatever else would make a replay go another
// way. Using it throws and says what to use instead, in a component and in the test kit alike.

const NOW = "use ctx.nowMs, the time of the step";
const RANDOM = "use ctx.random, which grows from the scene's seed";
const LATER = "use ctx.setTimer and Scene.timer";
const GONE = "when memory is given back must not be seen";

/** What is forbidden: a global, or a function of one, and what to use instead. */
const FORBIDDEN: readonly (readonly [string, string])[] = [
  ["Math.random", RANDOM],
  ["crypto.getRandomValues", RANDOM],
  ["crypto.randomUUID", RANDOM],
  ["Date.now", NOW],
  ["performance.now", NOW],
  ["setTimeout", LATER],
  ["setInterval", LATER],
  ["setImmediate", LATER],
  ["queueMicrotask", LATER],
  ["fetch", "a scene has no network; use Context.save, or signals of your backend"],
  ["WeakRef", GONE],
  ["FinalizationRegistry", GONE],
];

/** These are replaced whole: engines do not let their functions be. */
const WHOLE = ["crypto", "performance"];

/** Something that a scene must not use, since the same inputs would not give the same game. */
export class Forbidden extends Error {
  constructor(what: string, instead: string) {
    super(`${what} is not there in a scene, since a replay would go another way: ${instead}`);
    this.name = "Forbidden";
  }
}

/** Takes all of it away, and returns what brings it back. */
export function guard(): () => void {
  const undo = [
    replace(globalThis, "Date", (date) => withoutNow(date as DateConstructor)),
    ...WHOLE.map((name) => replace(globalThis, name, () => ({}))),
    ...FORBIDDEN.map(([what, instead]) => {
      const [owner, name] = what.split(".") as [string, string | undefined];
      const thrower = function () {
        throw new Forbidden(what, instead);
      };
      return name === undefined
        ? replace(globalThis, owner, () => thrower)
        : replace((globalThis as Globals)[owner] as object | undefined, name, () => thrower);
    }),
  ];
  // The last first, so that what was inside of something comes back before it goes.
  return () => undo.reverse().forEach((back) => back());
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

/** Puts something into the place of a property, until it is taken back; where there is no object, nothing. */
function replace(
  object: object | undefined,
  name: string,
  by: (before: unknown) => unknown,
): () => void {
  if (object === undefined) return () => {};
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

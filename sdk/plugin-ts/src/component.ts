// The WebAssembly side: `exportScene`, by which a game's file says what it is, and the functions of
// the contract for the class that was exported.
//
// Invariant: what a scene throws becomes the contract's `err`, a text for its designer, with the
// stack in the log.
import type { Logic } from "./contract.js";
import { failing } from "./guest.js";
import { sendLinesTo, type Sink } from "./log.js";
import { Runtime } from "./runtime.js";
import { type AnyScene, Scene, type SceneClass } from "./scene.js";

let exported: SceneClass | undefined;

/**
 * Makes the program a component of this scene: `exportScene(MyScene);`, once. Without a component,
 * as in a test, it only checks the class.
 */
export function exportScene<S extends AnyScene>(Class: SceneClass<S>): void {
  if (exported && exported !== Class) {
    throw new Error(
      `exportScene is called for ${exported.name} and ${Class.name}: a game is one scene`,
    );
  }
  const readsItself =
    (Class as unknown as typeof Scene).prototype.received !== Scene.prototype.received;
  if (Class.requests === undefined && !readsItself) {
    throw new Error(
      `${Class.name} does not say what players send: give it \`static readonly requests = tagged({ … })\`, ` +
        "or override `received`",
    );
  }
  exported = Class;
}

/** The functions of the contract, with the host's log. Nothing that scenes must not use is there. */
export function logicOf(lines: Sink): Logic {
  if (!exported) throw new Error("this file has no scene: end it with `exportScene(MyScene);`");
  const Class = exported;
  let runtime: Runtime<AnyScene> | undefined;
  const running = () => {
    if (!runtime) throw new Error("the scene was not started");
    return runtime;
  };
  return {
    start(init) {
      sendLinesTo(lines);
      runtime = failing("start", () => Runtime.start(Class, init));
    },
    load(init, snapshot) {
      sendLinesTo(lines);
      runtime = failing("load", () => Runtime.load(Class, init, snapshot));
    },
    admit(player) {
      const refusal = failing("admit", () => running().admit(player));
      if (refusal !== undefined) throw refusal;
    },
    step: (at, events) => failing("step", () => running().step(at, events)),
    save: () => failing("save", () => running().save()),
  };
}

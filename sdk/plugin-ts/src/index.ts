// Everything a Scenehost game in TypeScript is written with. A game is one class that extends `Scene`
// and is handed to `exportScene`; built by `scenehost-plugin build` it becomes a component with the
// world of `wit/scene.wit`, and the test kit, `@scenehost/plugin/testing`, plays it in Node.
//
// Invariant: a scene is a function of its inputs. Handlers get time, randomness and players from their
// `Context` alone, and everything they want done is a command collected there.
//
// Map: `scene.ts` and its handlers, `context.ts`, `shape.ts` for what comes from outside, `timer.ts`,
// `random.ts`, `log.ts`; `runtime.ts` drives a scene, `snapshot.ts` is its state as bytes; `guard.ts` is
// what scenes must not use; `component.ts` is the WebAssembly side. `cli.ts` is the command, `build.ts` the
// build of a component by `bundle.ts`, `engine.ts` and `encase.ts`, `page.ts` that of a page.
export { exportScene } from "./component.js";
export type { Context, NextMatch, Result, Target } from "./context.js";
export type {
  Amount,
  Init,
  LeaveReason,
  Opening,
  Player,
  SaveError,
  SaveOperation,
  SaveOutcome,
  Seat,
  StopNotice,
} from "./contract.js";
export { Forbidden } from "./guard.js";
export { log, type Level } from "./log.js";
export { Random } from "./random.js";
export { configured, Scene, type SceneClass } from "./scene.js";
export {
  boolean,
  integer,
  list,
  number,
  object,
  oneOf,
  optional,
  tagged,
  text,
  Unreadable,
  type Read,
  type Shape,
} from "./shape.js";
export { SnapshotError } from "./snapshot.js";
export { Timer } from "./timer.js";

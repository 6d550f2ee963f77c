// Everything a rule of matching in TypeScript is written with: who may enter a domain, who is to meet whom, which
// of several matches is the best. A rule is one class that extends `MatchRule` and is handed to `exportRule`; built
// by `scenehost-plugin build` it becomes a component with the world of `wit/match-rule.wit`, and the test kit,
// `@scenehost/plugin/rule/testing`, asks it in Node.
//
// Invariant: a rule is a pure function of its configuration and of what it is asked. The host makes a fresh
// instance for each call, so what is kept in a variable does not live until the next one.
//
// Map: `rule.ts` and its methods; `facts.ts`, what it is asked about; `runtime.ts` reads the contract's values and
// checks the answers; `component.ts` is the WebAssembly side.
export { log, type Level } from "../log.js";
export {
  boolean,
  integer,
  list,
  number,
  object,
  oneOf,
  optional,
  text,
  Unreadable,
  type Read,
  type Shape,
} from "../shape.js";
export { exportRule } from "./component.js";
export type { Player, Proposal, Ticket } from "./facts.js";
export { MatchRule, type Class, type Description, type Fact, type RuleClass } from "./rule.js";

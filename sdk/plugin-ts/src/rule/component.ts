// The WebAssembly side of rules: `exportRule`, by which a rule's file says what it is, and the functions of
// the contract for the class that was exported.
//
// Invariant: the texts of `describe` and `classify` are for operators and users; every other error is a line in
// the log with its stack, and the host makes the decision without the rule.
import { failing, logged } from "../guest.js";
import { sendLinesTo, type Sink } from "../log.js";
import type { RuleFunctions } from "./contract.js";
import type { RuleClass } from "./rule.js";
import { functionsOf, type Named } from "./runtime.js";

let exported: RuleClass | undefined;

/** Makes the program a component of this rule: `exportRule(MyRule);`, once. In a test it does nothing. */
export function exportRule(Rule: RuleClass): void {
  if (exported && exported !== Rule) {
    throw new Error(
      `exportRule is called for ${exported.name} and ${Rule.name}: a component is one rule`,
    );
  }
  exported = Rule;
}

/** The functions of the contract, with the host's log. */
export function ruleOf(lines: Sink, named: Named): RuleFunctions {
  if (!exported) throw new Error("this file has no rule: end it with `exportRule(MyRule);`");
  sendLinesTo(lines);
  const functions = functionsOf(exported, named);
  return {
    describe: (...of) => failing("describe", () => functions.describe(...of)),
    classify(...of) {
      try {
        return functions.classify(...of);
      } catch (thrown) {
        // A text is a refusal, for users to read. An error is thrown as one, which ends the call without an answer.
        if (typeof thrown !== "string") logged("classify", thrown);
        throw thrown;
      }
    },
    judge: (...of) => failing("judge", () => functions.judge(...of)),
    scoreTeams: (...of) => failing("teamStrength", () => functions.scoreTeams(...of)),
  };
}

// What the functions of the contract do: read the configuration, ask the rule, and check what it answers.
//
// `describe` is where a wrong configuration is told. Matching calls the others only after it, with the same one.
import { object, readJson } from "../shape.js";
import type { RawClass, RawDescription, RuleFunctions } from "./contract.js";
import { Player, Proposal, Ticket } from "./facts.js";
import { type Class, MatchRule, type RuleClass } from "./rule.js";

/** What a rule is called; operators see it. */
export interface Named {
  readonly name: string;
  readonly version: string;
}

const PROPERTIES_MAX = 16;
const BRACKET_BYTES_MAX = 64;
const REFUSAL_BYTES_MAX = 256;

/** The functions of the contract. `classify` throws the text of a refusal; all else that is thrown is an error. */
export function functionsOf(Rule: RuleClass, { name, version }: Named): RuleFunctions {
  const shape = Rule.configuration ?? object({});
  const of = (json: string) => new Rule(readJson(shape, json, { strict: true }));
  const asks = (method: "classify" | "judge" | "teamStrength") =>
    (Rule.prototype as MatchRule)[method] !== MatchRule.prototype[method];
  const answers = {
    classify: asks("classify"),
    judge: asks("judge"),
    scoreTeams: asks("teamStrength"),
  };
  return {
    describe: (json) => ({ name, version, answers, ...wishes(of(json)) }),
    classify(json, words, ticket) {
      const answer = of(json).classify(new Ticket(ticket, words));
      if (typeof answer === "string") throw text(answer, "a refusal", 1, REFUSAL_BYTES_MAX);
      return classOf(answer);
    },
    judge(json, words, raw, proposals) {
      const rule = of(json);
      const tickets = raw.map((ticket) => new Ticket(ticket, words));
      return proposals.map((proposal) => {
        const verdict = rule.judge(new Proposal(proposal, tickets, words));
        if (verdict === "veto") return { tag: "veto" };
        return { tag: "score", val: whole(verdict, "a score", 'or "veto"') };
      });
    },
    scoreTeams(json, words, teams) {
      const rule = of(json);
      const strength = (team: (typeof teams)[number]) =>
        whole(rule.teamStrength(team.map((player) => new Player(player, words))), "a strength");
      return Int32Array.from(teams, strength);
    },
  };
}

function wishes(rule: MatchRule): Pick<RawDescription, "facts" | "proposed"> {
  const { knows = ["games", "roles", "regions"], properties = [], ...more } = rule.describe();
  const { teams = [], ratings } = more;
  if (properties.length > PROPERTIES_MAX) {
    throw new RangeError(`at most ${PROPERTIES_MAX} properties can be known`);
  }
  const [games, roles, regions] = (["games", "roles", "regions"] as const).map((fact) =>
    knows.includes(fact),
  ) as [boolean, boolean, boolean];
  return {
    facts: { games, roles, regions, properties },
    proposed: {
      teams: teams.map(({ min, max }) => ({ playersMin: min, playersMax: max })),
      ratings: ratings && {
        range: ratings.range,
        rangePerS: ratings.perS,
        rangeMax: ratings.max,
      },
    },
  };
}

function classOf({ rating, bracket = "", forMs }: Class): RawClass {
  if (forMs !== undefined && !(Number.isInteger(forMs) && forMs >= 0)) {
    throw new RangeError(`forMs is whole milliseconds, and not ${String(forMs)}`);
  }
  return {
    rating: rating === undefined ? undefined : whole(rating, "a rating"),
    bracket: text(bracket, "a bracket", 0, BRACKET_BYTES_MAX),
    bracketMs: forMs === undefined ? undefined : BigInt(forMs),
  };
}

function whole(value: unknown, what: string, or = ""): number {
  if (typeof value === "number" && (value | 0) === value) return value;
  const expected = `a whole number of 32 bits${or && ` ${or}`}`;
  throw new RangeError(`${what} is ${expected}, and not ${String(value)}: round it, for instance`);
}

function text(value: string, what: string, bytesMin: number, bytesMax: number): string {
  const bytes = new TextEncoder().encode(value).length;
  if (bytes >= bytesMin && bytes <= bytesMax && !/[\u0000-\u001f\u007f-\u009f]/.test(value))
    return value;
  throw new RangeError(
    `${what} has ${bytesMin} to ${bytesMax} bytes and no control characters, and this is ` +
      `${JSON.stringify(value)} (${bytes} bytes)`,
  );
}

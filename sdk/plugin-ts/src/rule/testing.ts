// The test kit of rules: asks one in Node, in a plain `node --test`, as the host would.
//
// Four things are checked in every test without a line of its own: each call is made twice and has to answer the
// same; the rule is asked only what its class has a method for; it knows only what its description says, for the
// rest is left out; and its answers keep to the contract's limits. What must not be used is not there while it runs.
import assert from "node:assert/strict";
import { guarded } from "../guard.js";
import { sendLinesTo, type Level } from "../log.js";
import type {
  RawDescription,
  RawPlayer,
  RawProposal,
  RawTicket,
  RuleFunctions,
} from "./contract.js";
import type { Class, RuleClass } from "./rule.js";
import { functionsOf } from "./runtime.js";

/** A rule judges at most so many proposals in one call. */
const PROPOSALS_MAX = 32;

/** A player who is in a test. */
export interface TestPlayer {
  readonly user: number;
  /** 1500 if it is left out. */
  readonly rating?: number;
  readonly games?: number;
  readonly roles?: readonly string[];
  /** Each with one value, or several. */
  readonly properties?: Readonly<Record<string, string | readonly string[]>>;
}

/** A ticket that is in a test. */
export interface TestTicket {
  /** One or more. The ticket has its number from the first of them. */
  readonly players: readonly TestPlayer[];
  readonly waitedMs?: number;
  /** The round trip to each in milliseconds. */
  readonly regions?: Readonly<Record<string, number>>;
}

/** A proposal that is in a test. */
export interface TestProposal {
  readonly tickets: readonly TestTicket[];
  /** The team of each player, in the order of the tickets and of the players in each. */
  readonly teams?: readonly number[];
  readonly region?: string;
}

/** A rule under test. */
export class RuleTest {
  /** The lines that the rule has logged. */
  readonly log: { readonly level: Level; readonly text: string }[] = [];
  readonly #json: string;
  readonly #functions: RuleFunctions;
  readonly #description: RawDescription;

  /** A rule with its configuration. Throws if the rule refuses it. */
  constructor(Rule: RuleClass, configuration: object = {}) {
    this.#json = JSON.stringify(configuration);
    this.#functions = functionsOf(Rule, { name: "test", version: "0.0.0" });
    this.#description = this.#twice(() => this.#functions.describe(this.#json));
  }

  /** Where a ticket belongs, or the text that its users are told who may not enter. */
  classify(ticket: TestTicket): Class | string {
    this.#asked("classify", "classify");
    const words = new Words();
    const raw = this.#ticket(ticket, words);
    return this.#twice(() => {
      try {
        const of = this.#functions.classify(this.#json, words.list, raw);
        return {
          ...(of.rating !== undefined && { rating: of.rating }),
          ...(of.bracket !== "" && { bracket: of.bracket }),
          ...(of.bracketMs !== undefined && { forMs: Number(of.bracketMs) }),
        };
      } catch (thrown) {
        if (typeof thrown === "string") return thrown;
        throw thrown;
      }
    });
  }

  /** The verdicts on up to 32 proposals. */
  judge(...proposals: readonly TestProposal[]): (number | "veto")[] {
    this.#asked("judge", "judge");
    assert.ok(
      proposals.length <= PROPOSALS_MAX,
      `a rule judges at most ${PROPOSALS_MAX} proposals in one call`,
    );
    const words = new Words();
    const tickets: RawTicket[] = [];
    const raw = proposals.map((proposal) => this.#proposal(proposal, tickets, words));
    const verdicts = this.#twice(() => this.#functions.judge(this.#json, words.list, tickets, raw));
    return verdicts.map((verdict) => (verdict.tag === "veto" ? "veto" : verdict.val));
  }

  /** Which of the proposals would be made, by its place; none if the rule vetoes all. */
  choose(...proposals: readonly TestProposal[]): number | undefined {
    const scores = this.judge(...proposals).map((it) => (it === "veto" ? -Infinity : it));
    const best = Math.max(...scores);
    return best === -Infinity ? undefined : scores.indexOf(best);
  }

  /** How strong a team is. */
  teamStrength(...players: readonly TestPlayer[]): number {
    this.#asked("scoreTeams", "teamStrength");
    const words = new Words();
    const team = players.map((player) => this.#player(player, words));
    return this.#twice(() => this.#functions.scoreTeams(this.#json, words.list, [team]))[0]!;
  }

  #asked(answer: keyof RawDescription["answers"], method: string): void {
    assert.ok(
      this.#description.answers[answer],
      `the rule is never asked this: its class has no \`${method}\``,
    );
  }

  #twice<T>(call: () => T): T {
    const before = sendLinesTo((level, text) => this.log.push({ level, text }));
    try {
      const [first, second] = [guarded(call), guarded(call)];
      assert.deepEqual(
        second,
        first,
        "the same call twice gave two answers: keep no state, for the host makes each call afresh",
      );
      return first;
    } finally {
      sendLinesTo(before);
    }
  }

  #proposal(proposal: TestProposal, tickets: RawTicket[], words: Words): RawProposal {
    const { teams = [], region } = proposal;
    const places = proposal.tickets.map((ticket) => {
      const number = numberOf(ticket);
      const known = tickets.findIndex((other) => other.number === number);
      return known >= 0 ? known : tickets.push(this.#ticket(ticket, words)) - 1;
    });
    const players = proposal.tickets.flatMap(({ players }) => players).length;
    assert.ok(
      teams.length === 0 || teams.length === players,
      `${teams.length} teams for ${players} players: give one for each player`,
    );
    const told = region !== undefined && this.#description.facts.regions;
    return {
      tickets: Uint32Array.from(places),
      teams: Uint32Array.from(teams),
      region: told ? words.of(region) : undefined,
    };
  }

  #ticket(ticket: TestTicket, words: Words): RawTicket {
    const regions = this.#description.facts.regions ? Object.entries(ticket.regions ?? {}) : [];
    return {
      number: numberOf(ticket),
      waitedMs: BigInt(ticket.waitedMs ?? 0),
      players: ticket.players.map((player) => this.#player(player, words)),
      regions: regions.map(([name, rttMs]) => ({ name: words.of(name), rttMs })),
    };
  }

  #player(player: TestPlayer, words: Words): RawPlayer {
    const { facts } = this.#description;
    const known = Object.entries(player.properties ?? {}).filter(([name]) =>
      facts.properties.includes(name),
    );
    const roles = facts.roles ? (player.roles ?? []) : [];
    return {
      user: BigInt(player.user),
      rating: player.rating ?? 1500,
      games: facts.games ? (player.games ?? 0) : 0,
      roles: Uint32Array.from(roles, (role) => words.of(role)),
      properties: known.flatMap(([name, values]) =>
        [values].flat().map((value) => ({ name: words.of(name), value: words.of(value) })),
      ),
    };
  }
}

function numberOf({ players }: TestTicket): bigint {
  const [first] = players;
  assert.ok(first, "a ticket has at least one player");
  return BigInt(first.user);
}

/** The texts of a call, each once. */
class Words {
  readonly list: string[] = [];

  of(text: string): number {
    const known = this.list.indexOf(text);
    return known >= 0 ? known : this.list.push(text) - 1;
  }
}

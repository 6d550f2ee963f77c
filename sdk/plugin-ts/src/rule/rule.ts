// `MatchRule`, the class that a rule extends. Each method has a default, and matching asks for what the class
// itself has: what is left out costs nothing, and is done as without a rule.
import type { Shape } from "../shape.js";
import type { Player, Proposal, Ticket } from "./facts.js";

/**
 * The conditions of one game on its matches. The value has nothing but `config`, what the domain's operator has
 * configured: each call is made in a fresh instance of the component, so nothing that is kept lives until the next.
 *
 * What a method throws is written to the log for the operator, and this one decision is made without the rule.
 */
export abstract class MatchRule<Configuration = unknown> {
  constructor(readonly config: Configuration) {}

  /**
   * What the rule wants to know, and what it proposes; by default it knows everything but players' properties. What
   * it throws says what is wrong with the configuration; the domain does not take the rule then.
   */
  describe(): Description {
    return {};
  }

  /**
   * Where a ticket belongs that enters. A text refuses it, 1 to 256 bytes that are shown to its users. By default it
   * is with all others, and is searched by the mean of its ratings.
   */
  classify(_ticket: Ticket): Class | string {
    return {};
  }

  /**
   * How good a match would be: the one with the highest score is made, of equal ones the first, and none with a
   * `"veto"`. A score is a whole number of 32 bits. By default all are equal.
   */
  judge(_proposal: Proposal): number | "veto" {
    return 0;
  }

  /**
   * How strong a team is, a whole number of 32 bits; teams of one match are the fairer the nearer their strengths. By
   * default it is the sum of its ratings.
   */
  teamStrength(team: readonly Player[]): number {
    return team.reduce((sum, { rating }) => sum + rating, 0);
  }
}

/** What matching can tell of tickets beside users, ratings and waiting; each of them costs a little. */
export type Fact = "games" | "roles" | "regions";

export interface Description {
  /** What the rule wants to know; all of it if it is left out. */
  readonly knows?: readonly Fact[];
  /** Which properties of players it wants to know, at most 16. */
  readonly properties?: readonly string[];
  /** The teams that it proposes, with how many players each has. One alone is a game without teams. */
  readonly teams?: readonly { readonly min: number; readonly max: number }[];
  /** How far apart ratings may be at first, how much more with each second, and where that stops. */
  readonly ratings?: { readonly range: number; readonly perS: number; readonly max: number };
}

/** Where a ticket belongs. */
export interface Class {
  /** By which rating it is searched; by the mean of its players' if it is left out. */
  readonly rating?: number;
  /** Only tickets of the same bracket meet, a name of at most 64 bytes. Left out, it is the one that is open to all. */
  readonly bracket?: string;
  /** After waiting for so long the ticket moves to the open bracket. */
  readonly forMs?: number;
}

/** A class that extends `MatchRule`, with what it has besides. */
export interface RuleClass<Configuration = any> {
  new (config: Configuration): MatchRule<Configuration>;
  /** How the configuration is read. Left out if there is none. */
  readonly configuration?: Shape<Configuration>;
}

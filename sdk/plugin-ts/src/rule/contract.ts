// The types of `wit/match-rule.wit`, as a component in JavaScript gets and gives them. Rules see them by the
// views of `facts.ts`, in which texts are texts and not places in a list of them.

/** A text by its place in the `words` of the same call. */
export type Word = number;

export interface RawPlayer {
  readonly user: bigint;
  readonly rating: number;
  readonly games: number;
  readonly roles: ArrayLike<Word>;
  readonly properties: readonly { readonly name: Word; readonly value: Word }[];
}

export interface RawTicket {
  readonly number: bigint;
  readonly waitedMs: bigint;
  readonly players: readonly RawPlayer[];
  readonly regions: readonly { readonly name: Word; readonly rttMs: number }[];
}

export interface RawProposal {
  /** Places in the `tickets` of the call. */
  readonly tickets: ArrayLike<number>;
  /** The team of each player, in the order of the tickets; empty in games without teams. */
  readonly teams: ArrayLike<number>;
  readonly region?: Word | undefined;
}

export interface RawDescription {
  readonly name: string;
  readonly version: string;
  readonly answers: {
    readonly classify: boolean;
    readonly judge: boolean;
    readonly scoreTeams: boolean;
  };
  readonly facts: {
    readonly games: boolean;
    readonly roles: boolean;
    readonly regions: boolean;
    readonly properties: readonly string[];
  };
  readonly proposed: {
    readonly teams: readonly { readonly playersMin: number; readonly playersMax: number }[];
    readonly ratings:
      { readonly range: number; readonly rangePerS: number; readonly rangeMax: number } | undefined;
  };
}

export interface RawClass {
  readonly rating: number | undefined;
  readonly bracket: string;
  readonly bracketMs: bigint | undefined;
}

export type RawVerdict = { readonly tag: "veto" } | { readonly tag: "score"; readonly val: number };

/** The interface `rule`. What `describe` and `classify` throw as a text is the contract's `err`. */
export interface RuleFunctions {
  describe(configuration: string): RawDescription;
  classify(configuration: string, words: readonly string[], ticket: RawTicket): RawClass;
  judge(
    configuration: string,
    words: readonly string[],
    tickets: readonly RawTicket[],
    proposals: readonly RawProposal[],
  ): RawVerdict[];
  scoreTeams(
    configuration: string,
    words: readonly string[],
    teams: readonly (readonly RawPlayer[])[],
  ): Int32Array;
}

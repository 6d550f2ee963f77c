// The types of `wit/scene.wit`, as a component in JavaScript gets and gives them: records are
// objects, variants are a `tag` with a `val`, 64-bit numbers are `bigint`, bytes are `Uint8Array`.
//
// Games see them only where they are as simple as a game wants them; `Context` has the rest.

/** A place in this scene, from 0. It belongs to one user for the scene's whole life. */
export type Seat = number;

/** A user who holds a seat. */
export interface Player {
  readonly seat: Seat;
  /** The user's number, the same in every scene of this deployment. */
  readonly user: bigint;
  /** The display name, at most 32 characters. */
  readonly name: string;
  /** The user's rating in the domain that made the match; 1500 for a newcomer. */
  readonly rating: number;
  /** The team that matching chose, from 0. All are 0 in games without teams. */
  readonly team: number;
  /** The role in the team that matching chose, in games with roles. */
  readonly role?: string | undefined;
  /** Players of the scene who share this number have come together, as a party. */
  readonly party: number;
}

/** What a scene knows when its life begins. */
export interface Init {
  /** The seed of all randomness in this scene. `Random` has grown from it; do not show it. */
  readonly seed: bigint;
  /** Steps per second, 1 to 120. 0: a step comes only when something happened. */
  readonly tickRateHz: number;
  /** The fleet's configuration for this game, JSON text; read it with `configured`. */
  readonly configuration: string;
  /** The players who were matched, by seat. They are expected, not yet inside. */
  readonly players: readonly Player[];
  /** Where the scene runs, if matching has chosen a region or the machine has one. */
  readonly region?: string | undefined;
  /** What the players have agreed on while they were matched: names and values. */
  readonly chosen: readonly (readonly [string, string])[];
  /** How many places matching leaves to the game to fill with bots; 0: none. */
  readonly bots: number;
}

/** The time of a step. */
export interface Moment {
  readonly tick: bigint;
  readonly elapsedMs: bigint;
}

/** Why a player has left for good. */
export type LeaveReason = "left" | "dropped" | "never-joined" | "kicked" | "removed" | "next-match";

/** Why the host could not do a save. Nothing was changed. */
export type SaveError =
  | { readonly tag: "unavailable" }
  | { readonly tag: "conflict"; readonly val: string }
  | { readonly tag: "invalid"; readonly val: string };

/** The answer to a save: it is made and survives a crash, or it is not made. */
export type SaveOutcome = { readonly tag: "ok" } | { readonly tag: "err"; readonly val: SaveError };

/** The scene is asked to end. */
export interface StopNotice {
  readonly reason: "drain" | "time-limit" | "operator" | "empty" | "service-down";
  /** Milliseconds until the host ends the scene whether or not it has finished. */
  readonly graceMs: number;
}

/** One thing that happened since the last step. */
export type Event =
  | { readonly tag: "joined"; readonly val: Player }
  | { readonly tag: "dropped"; readonly val: Seat }
  | { readonly tag: "resumed"; readonly val: { readonly seat: Seat; readonly missed: boolean } }
  | { readonly tag: "left"; readonly val: { readonly seat: Seat; readonly reason: LeaveReason } }
  | { readonly tag: "message"; readonly val: { readonly from: Seat; readonly body: Uint8Array } }
  | { readonly tag: "timer"; readonly val: bigint }
  | { readonly tag: "signal"; readonly val: { readonly name: string; readonly body: Uint8Array } }
  | { readonly tag: "saved"; readonly val: { readonly id: bigint; readonly outcome: SaveOutcome } }
  | { readonly tag: "stopping"; readonly val: StopNotice }
  | { readonly tag: "watched" };

/** Who gets a message. */
export type Audience =
  | { readonly tag: "one"; readonly val: Seat }
  | { readonly tag: "many"; readonly val: Uint32Array }
  | { readonly tag: "all" }
  | { readonly tag: "all-but"; readonly val: Seat };

/** Places of one kind that matching shall fill. */
export interface Opening {
  /** How many players are wanted. */
  readonly count: number;
  /** The team they are wanted for, if it matters; else each gets the smallest one. */
  readonly team?: number | undefined;
  /** The role they are wanted for, if it matters; at most 64 bytes. */
  readonly role?: string | undefined;
}

/** One change in a save. */
export type SaveOperation =
  | {
      readonly tag: "put";
      readonly val: {
        /** Whose record it is; without a seat the game's. */
        readonly owner?: Seat | undefined;
        /** At most 128 bytes. */
        readonly key: string;
        readonly value: Uint8Array;
        /** Write only if the record has this version; 0n: only if there is none. */
        readonly ifVersion?: bigint | undefined;
      };
    }
  | { readonly tag: "grant" | "spend"; readonly val: Amount };

/** An amount of a currency or an item for one player. */
export interface Amount {
  readonly seat: Seat;
  /** The currency's or item's name in the deployment's catalogue. */
  readonly name: string;
  readonly count: bigint;
}

/** How one player ended, as the contract has it. */
export interface RawResult {
  readonly seat: Seat;
  readonly place: number;
  readonly score: bigint;
}

/** One thing that the scene wants done. */
export type Command =
  | { readonly tag: "send"; readonly val: { readonly to: Audience; readonly body: Uint8Array } }
  | { readonly tag: "show"; readonly val: { readonly whole: boolean; readonly body: Uint8Array } }
  | { readonly tag: "kick"; readonly val: { readonly seat: Seat; readonly reason: string } }
  | { readonly tag: "label"; readonly val: string }
  | { readonly tag: "seek-players"; readonly val: readonly Opening[] }
  | { readonly tag: "stop-seeking" }
  | {
      readonly tag: "match-again";
      readonly val: {
        readonly seats: Uint32Array;
        readonly domain: string | undefined;
        readonly together: boolean;
      };
    }
  | { readonly tag: "timer"; readonly val: { readonly id: bigint; readonly afterMs: number } }
  | { readonly tag: "cancel-timer"; readonly val: bigint }
  | {
      readonly tag: "save";
      readonly val: { readonly id: bigint; readonly operations: readonly SaveOperation[] };
    }
  | { readonly tag: "finish"; readonly val: { readonly results: readonly RawResult[] } };

/** The interface `logic`. What is thrown as a text is the contract's `err`. */
export interface Logic {
  start(init: Init): void;
  admit(player: Player): void;
  step(at: Moment, events: readonly Event[]): Command[];
  save(): Uint8Array;
  load(init: Init, snapshot: Uint8Array): void;
}

// What a user brings to a search and wants of it, how a search stands, and the domains there are.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Refused } from "../errors.js";
import { SynMatchState_State, type SynMatchState } from "../gen/scenehost/v1/client_pb.js";
import type { DomainInfo, WishSchema } from "../gen/scenehost/v1/matching_pb.js";
import type { Ask } from "./ask.js";

/** What a user brings to a search, and wants of it; at most 256 names, values and roles in all. */
export interface Wish {
  /** What the user has, by property; one that is left out: any of it. */
  has?: Readonly<Record<string, readonly string[]>>;
  /**
   * What the others are to have; of a property that is common to the match, what the match is to have.
   * One that is left out: any of it.
   */
  wants?: Readonly<Record<string, readonly string[]>>;
  /** The round trip to each region, in milliseconds. */
  roundTrips?: Readonly<Record<string, number>>;
  /** The ids of those with whom the user wants to play, and with nobody else; at most 16. */
  opponents?: readonly string[];
  /** Which roles of a team the user plays; none: any. */
  roles?: readonly string[];
}

/** A match that was found and waits to be accepted. */
export interface FoundMatch {
  readonly players: number;
  /** How many of them have accepted, and whether this user has. */
  readonly accepted: number;
  readonly youAccepted: boolean;
  /** Until when it has to be; who has not accepted by then has declined. */
  readonly until: Date;
}

export interface MatchState {
  /** `FOUND`: `Lobby.acceptMatch` says whether the user plays; `PLACING`: the scene is being made. */
  readonly state: keyof typeof SynMatchState_State;
  readonly domain: string;
  /** Since the request. */
  readonly waitedMs: number;
  /** How far apart the ratings may be now. */
  readonly ratingRange: number;
  /** How long a round trip may take now; undefined: that does not count here. */
  readonly pingMs: number | undefined;
  /** The properties of the others whose wanted values count no longer, after so much waiting. */
  readonly relaxed: readonly string[];
  /**
   * Three of four users of this rating have waited no longer lately, since they asked; undefined: not
   * known.
   */
  readonly usualWaitMs: number | undefined;
  /** How many users wait in this domain. */
  readonly waiting: number;
  readonly playersMin: number;
  readonly playersMax: number;
  /** While the state is `FOUND`. */
  readonly found: FoundMatch | undefined;
  /** Why the search ended, if it ended without a match. */
  readonly refused: Refused | undefined;
}

/** Something that users may have and want of the others: a language, a map, whether they speak. */
export interface DomainProperty {
  readonly name: string;
  readonly values: readonly string[];
  /** It is one for the whole match, as the map: users want some of its values, and have none. */
  readonly common: boolean;
  /** After so much waiting what is wanted counts no longer; undefined: it always counts. */
  readonly relaxMs: number | undefined;
}

/** What users can look for a match in. */
export interface Domain {
  readonly name: string;
  /** How many players make a match. */
  readonly playersMin: number;
  readonly playersMax: number;
  readonly properties: readonly DomainProperty[];
  /** Where its scenes can run; none: that makes no difference. */
  readonly regions: readonly string[];
  /** How long users have to accept a match; undefined: they are not asked. */
  readonly acceptMs: number | undefined;
  /** How long a search goes on without a match. */
  readonly waitMsMax: number;
  /** Whether its games change ratings. */
  readonly rated: boolean;
  /** Whether users may name their opponents. */
  readonly opponents: boolean;
  /** When it takes searches again; undefined: it does now. */
  readonly opens: Date | undefined;
  /** The teams of a match; none: all play in one, or each alone, as the game has it. */
  readonly teams: readonly DomainTeam[];
}

/** A team of a match, or several of a kind. */
export interface DomainTeam {
  /** How many of this kind. */
  readonly count: number;
  /** How many players each has: at most, at least. */
  readonly size: number;
  readonly sizeMin: number;
  /** How many players have which role; empty: it knows no roles. */
  readonly roles: Readonly<Record<string, number>>;
}

/** All domains, in the order of their names. */
export async function domains(ask: Ask): Promise<readonly Domain[]> {
  const all: Domain[] = [];
  for (;;) {
    const after = all.at(-1)?.name ?? "";
    const part = await ask({ case: "reqDomains", value: { after } }, "resDomains");
    all.push(...part.domains.map(toDomain));
    // A server that says that there are more and tells none would be asked for ever.
    if (!part.more || part.domains.length === 0) return all;
  }
}

export function toWish(wish: Wish): MessageInitShape<typeof WishSchema> {
  const { has = {}, wants = {}, roundTrips = {}, opponents = [], roles = [] } = wish;
  const whole = Object.entries(roundTrips).map(([region, ms]) => [region, wholeMs(ms)] as const);
  return {
    has: toLists(has),
    wants: toLists(wants),
    roundTrips: Object.fromEntries(whole),
    opponents: [...opponents],
    roles: [...roles],
  };
}

export function toMatchState(frame: SynMatchState): MatchState {
  const { domain, ratingRange, relaxed, waiting, playersMin, playersMax, found } = frame;
  return {
    state: (SynMatchState_State[frame.state] as MatchState["state"] | undefined) ?? "IDLE",
    domain,
    waitedMs: Number(frame.waitedMs),
    ratingRange,
    pingMs: frame.pingMs || undefined,
    relaxed,
    usualWaitMs: Number(frame.usualWaitMs) || undefined,
    waiting,
    playersMin,
    playersMax,
    found: found && {
      players: found.players,
      accepted: found.accepted,
      youAccepted: found.youAccepted,
      until: new Date(Date.now() + Number(found.leftMs)),
    },
    refused: frame.refused && Refused.from(frame.refused),
  };
}

function toLists(lists: Readonly<Record<string, readonly string[]>>) {
  const entries = Object.entries(lists).map(([name, values]) => [name, { values: [...values] }]);
  return Object.fromEntries(entries) as Record<string, { values: string[] }>;
}

/** Never less than it was measured as. */
function wholeMs(ms: number): number {
  return Math.max(0, Math.ceil(ms));
}

function toDomain(info: DomainInfo): Domain {
  const { name, playersMin, playersMax, regions, rated, opponents } = info;
  return {
    name,
    playersMin,
    playersMax,
    regions,
    rated,
    opponents,
    properties: info.properties.map(({ name, values, common, relaxMs }) => {
      return { name, values, common, relaxMs: Number(relaxMs) || undefined };
    }),
    acceptMs: Number(info.acceptMs) || undefined,
    waitMsMax: Number(info.waitMsMax),
    teams: info.teams.map(({ count, size, sizeMin, roles }) => ({ count, size, sizeMin, roles })),
    opens: info.opensMs ? new Date(Number(info.opensMs)) : undefined,
  };
}

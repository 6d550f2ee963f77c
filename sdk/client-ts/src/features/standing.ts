// Ratings, leaderboards and past matches.
import {
  LeaderboardKind,
  type LeaderboardPage as PageFrame,
  type MatchPlayer as MatchPlayerFrame,
  type ResStanding,
  type SynStanding,
} from "../gen/scenehost/v1/standing_pb.js";
import type { Ask } from "./ask.js";

export interface UserRating {
  readonly userId: string;
  readonly domain: string;
  readonly rating: number;
  /** How uncertain it is: the strength is within two of these with 95 %. */
  readonly deviation: number;
  /** Rated games: the sum of wins, draws and losses. */
  readonly games: number;
  readonly wins: number;
  readonly draws: number;
  readonly losses: number;
}

export interface MatchPlayer {
  readonly userId: string;
  /** As it was then; empty: the account is gone. */
  readonly name: string;
  readonly team: number;
  /** 1 is best; equal places are a draw. */
  readonly place: number;
  readonly score: bigint;
  /** After the match; `undefined`: it was not rated. */
  readonly rating: number | undefined;
  /** By how much the match has changed it. */
  readonly change: number;
}

export interface PlayedMatch {
  readonly sceneId: string;
  readonly domain: string;
  readonly ended: Date;
  /** The user whose history it is. */
  readonly own: MatchPlayer | undefined;
  /** Up to 16, the best first. */
  readonly players: readonly MatchPlayer[];
  readonly playersCount: number;
}

export interface Leaderboard {
  readonly name: string;
  readonly domain: string;
  readonly kind: "rating" | "score-best" | "score-sum" | "wins";
  /** Low scores are the best. */
  readonly lowestFirst: boolean;
  /** The one that is on, then the one before if it has entries. */
  readonly seasons: readonly {
    readonly name: string;
    readonly begins: Date;
    /** `undefined`: it does not end. */
    readonly ends: Date | undefined;
    readonly entries: number;
  }[];
}

export interface LeaderboardRow {
  /** 1 is the best. */
  readonly rank: number;
  readonly userId: string;
  readonly name: string;
  readonly score: bigint;
}

export interface LeaderboardPage {
  readonly board: string;
  readonly season: string;
  /** When the season ends; `undefined`: it does not. */
  readonly ends: Date | undefined;
  /** How many users have a score. */
  readonly entries: number;
  /** The best first. */
  readonly rows: readonly LeaderboardRow[];
}

/** The user's rating has changed. */
export interface RatingChange {
  readonly domain: string;
  readonly rating: number;
  readonly change: number;
  /** The user's place in the game; 0: it was no game, an operator has set the rating. */
  readonly place: number;
}

/** Part of a leaderboard that is asked for; `season` by its name, else the one that is on. */
export interface BoardPart {
  readonly board: string;
  readonly season?: string;
}

export class Standing {
  readonly #ask: Ask;

  /** Made by `Lobby`; see `Lobby.standing`. */
  constructor(ask: Ask) {
    this.#ask = ask;
  }

  /** The ratings of 1 to 64 users, by user and domain; who has none is left out. */
  async ratings(userIds: readonly string[]): Promise<UserRating[]> {
    const ask = { case: "ratings" as const, value: { userIds: [...userIds] } };
    const { ratings } = await this.#request(ask);
    return ratings.map(({ userId, domain, rating, deviation, games, wins, draws, losses }) => ({
      userId,
      domain,
      rating,
      deviation,
      games,
      wins,
      draws,
      losses,
    }));
  }

  /** One's own last matches, up to 16, the newest first, after so many. */
  async history(skip = 0, limit = 16): Promise<PlayedMatch[]> {
    const { matches } = await this.#request({ case: "history", value: { skip, limit } });
    return matches.map(({ sceneId, domain, endedMs, own, players, playersCount }) => ({
      sceneId,
      domain,
      ended: new Date(Number(endedMs)),
      own: own && toPlayer(own),
      players: players.map(toPlayer),
      playersCount,
    }));
  }

  /** The leaderboards there are. */
  async boards(): Promise<Leaderboard[]> {
    const { boards } = await this.#request({ case: "boards", value: {} });
    return boards.map(({ name, domain, kind, lowestFirst, seasons }) => ({
      name,
      domain,
      kind: kinds[kind] ?? "score-best",
      lowestFirst,
      seasons: seasons.map(({ name, beginsMs, endsMs, entries }) => ({
        name,
        begins: new Date(Number(beginsMs)),
        ends: dateOf(endsMs),
        entries,
      })),
    }));
  }

  /** A leaderboard from a rank on, 1 to 100 rows. */
  async top(part: BoardPart & { firstRank?: number; limit?: number }): Promise<LeaderboardPage> {
    const { board, season = "", firstRank = 1, limit = 20 } = part;
    const ask = { case: "top" as const, value: { board, season, firstRank, limit } };
    return toPage((await this.#request(ask)).page);
  }

  /** A user (you, if nobody is named) and up to 25 on each side; no rows for who has no score. */
  async around(
    part: BoardPart & { userId?: string; neighbours?: number },
  ): Promise<LeaderboardPage> {
    const { board, season = "", userId = "", neighbours = 5 } = part;
    const ask = { case: "around" as const, value: { board, season, userId, neighbours } };
    return toPage((await this.#request(ask)).page);
  }

  /** 1 to 64 users, each with the rank among all; who has no score is left out. */
  async ranks(part: BoardPart & { userIds: readonly string[] }): Promise<LeaderboardPage> {
    const { board, season = "", userIds } = part;
    const ask = { case: "ranks" as const, value: { board, season, userIds: [...userIds] } };
    return toPage((await this.#request(ask)).page);
  }

  #request(ask: StandingAsk): Promise<ResStanding> {
    return this.#ask({ case: "reqStanding", value: { ask } }, "resStanding");
  }
}

type StandingAsk =
  | { case: "ratings"; value: { userIds: string[] } }
  | { case: "history"; value: { skip: number; limit: number } }
  | { case: "boards"; value: object }
  | {
      case: "top";
      value: { board: string; season: string; firstRank: number; limit: number };
    }
  | {
      case: "around";
      value: { board: string; season: string; userId: string; neighbours: number };
    }
  | { case: "ranks"; value: { board: string; season: string; userIds: string[] } };

const kinds: Partial<Record<LeaderboardKind, Leaderboard["kind"]>> = {
  [LeaderboardKind.RATING]: "rating",
  [LeaderboardKind.SCORE_BEST]: "score-best",
  [LeaderboardKind.SCORE_SUM]: "score-sum",
  [LeaderboardKind.WINS]: "wins",
};

/** What `syn_standing` tells. */
export function toRatingChange({ domain, rating, change, place }: SynStanding): RatingChange {
  return { domain, rating, change, place };
}

function toPlayer(player: MatchPlayerFrame): MatchPlayer {
  const { userId, name, team, place, score, rating, change } = player;
  return { userId, name, team, place, score, rating, change };
}

function toPage(page: PageFrame | undefined): LeaderboardPage {
  const { board = "", season = "", endsMs = 0n, entries = 0, rows = [] } = page ?? {};
  return {
    board,
    season,
    ends: dateOf(endsMs),
    entries,
    rows: rows.map(({ rank, userId, name, score }) => ({ rank, userId, name, score })),
  };
}

function dateOf(ms: bigint): Date | undefined {
  return ms ? new Date(Number(ms)) : undefined;
}

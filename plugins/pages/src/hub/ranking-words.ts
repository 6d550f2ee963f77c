// How ratings, places and seasons are said.
import type { Leaderboard, LeaderboardPage, PlayedMatch, RatingChange } from "@scenehost/client";
import { isDomain, titles } from "../domains.js";

export function gameTitle(domain: string): string {
  return isDomain(domain) ? titles[domain] : domain;
}

/** By how much, with its sign. */
export function changeText(change: number): string {
  return change < 0 ? `−${-change}` : `+${change}`;
}

/** "1500 → 1512 (+12)" */
export function ratingText({ rating, change }: Pick<RatingChange, "rating" | "change">): string {
  return `${rating - change} → ${rating} (${changeText(change)})`;
}

export function boardTitle({ domain, kind }: Leaderboard): string {
  const kinds: Record<Leaderboard["kind"], string> = {
    rating: "rating",
    "score-best": "best score",
    "score-sum": "total score",
    wins: "wins",
  };
  return `${gameTitle(domain)}, ${kinds[kind]}`;
}

/** How a match ended for the user, in a word. */
export function outcomeText(match: PlayedMatch): string {
  const { own, players, playersCount } = match;
  if (!own) return "";
  const alike = players.filter(({ place }) => place === own.place).length > 1;
  if (playersCount > 2)
    return alike ? `Place ${own.place}, shared` : `Place ${own.place} of ${playersCount}`;
  if (alike) return "Draw";
  return own.place === 1 ? "Won" : "Lost";
}

/** Whom the user played against, as far as it is told. */
export function opponentsText({ own, players, playersCount }: PlayedMatch): string {
  const others = players.filter(({ userId }) => userId !== own?.userId);
  const names = others.slice(0, 2).map(({ name }) => name || "somebody");
  const more = playersCount - 1 - names.length;
  return more > 0 ? `${names.join(", ")} and ${more} more` : names.join(", ");
}

/** The best rows, and those around the user's own where it is not among them. */
export function joined(top: LeaderboardPage, own: LeaderboardPage): LeaderboardPage["rows"] {
  const last = top.rows.at(-1)?.rank ?? 0;
  return [...top.rows, ...own.rows.filter(({ rank }) => rank > last)];
}

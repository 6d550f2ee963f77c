// Behaviour of what is said about ratings, matches and leaderboards.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { LeaderboardPage, MatchPlayer, PlayedMatch } from "@scenehost/client";
import { joined, opponentsText, outcomeText, ratingText } from "../src/hub/ranking-words.js";

function player(userId: string, place: number): MatchPlayer {
  return { userId, name: userId, team: 0, place, score: 0n, rating: undefined, change: 0 };
}

function match(own: number, ...others: number[]): PlayedMatch {
  const me = player("Ada", own);
  const players = [me, ...others.map((place, i) => player(`P${i}`, place))];
  const ended = new Date(0);
  const playersCount = players.length;
  return { sceneId: "s", domain: "arena", ended, own: me, players, playersCount };
}

test("a rating change tells what it was and what it is", () => {
  assert.equal(ratingText({ rating: 1512, change: 12 }), "1500 → 1512 (+12)");
  assert.equal(ratingText({ rating: 1338, change: -162 }), "1500 → 1338 (−162)");
  assert.equal(ratingText({ rating: 1500, change: 0 }), "1500 → 1500 (+0)");
});

test("a match between two is won, lost or drawn; of more it is a place", () => {
  assert.equal(outcomeText(match(1, 2)), "Won");
  assert.equal(outcomeText(match(2, 1)), "Lost");
  assert.equal(outcomeText(match(1, 1)), "Draw");
  assert.equal(outcomeText(match(2, 1, 3)), "Place 2 of 3");
  assert.equal(outcomeText(match(1, 1, 3)), "Place 1, shared");
});

test("opponents are named, and counted where there are many", () => {
  assert.equal(opponentsText(match(1, 2)), "P0");
  assert.equal(opponentsText(match(1, 2, 3)), "P0, P1");
  assert.equal(opponentsText(match(1, 2, 3, 4, 5)), "P0, P1 and 2 more");
});

test("those around the player follow the best, and nobody stands twice", () => {
  const page = (...ranks: number[]): LeaderboardPage => ({
    board: "b",
    season: "s",
    ends: undefined,
    entries: 100,
    rows: ranks.map((rank) => ({ rank, userId: `u${rank}`, name: "", score: 0n })),
  });
  const ranks = (top: LeaderboardPage, own: LeaderboardPage) =>
    joined(top, own).map(({ rank }) => rank);
  assert.deepEqual(ranks(page(1, 2, 3), page(2, 3, 4, 5)), [1, 2, 3, 4, 5]);
  assert.deepEqual(ranks(page(1, 2, 3), page(40, 41)), [1, 2, 3, 40, 41]);
  assert.deepEqual(ranks(page(1, 2), page()), [1, 2]);
});

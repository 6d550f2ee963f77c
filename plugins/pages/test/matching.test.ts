// What players choose of how they like to play, and what is said of a search.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Refused, type Domain, type Lobby, type MatchState, type Wish } from "@scenehost/client";
import { keepLikes } from "../src/identity.js";
import { Likes, wishOf } from "../src/likes.js";
import { acceptedText, relaxedText, usualText } from "../src/ui/waiting-words.js";

const duel = {
  name: "gomoku-ranked",
  properties: [
    { name: "language", values: ["deutsch", "english"], common: false, relaxMs: 20_000 },
    { name: "map", values: ["ice"], common: true, relaxMs: undefined },
  ],
  acceptMs: 20_000,
} as unknown as Domain;

/** A lobby that notes what it is told. */
class FakeLobby {
  readonly wishes: Wish[] = [];
  problem: Refused | undefined;
  resumed: (resumed: { complete: boolean }) => void = () => {};

  domains(): Promise<Domain[]> {
    return Promise.resolve([duel]);
  }

  async setWish(wish: Wish): Promise<void> {
    if (this.problem) throw this.problem;
    this.wishes.push(wish);
  }

  on(_: "resumed", listener: (resumed: { complete: boolean }) => void): void {
    this.resumed = listener;
  }
}

async function likesAt(lobby: FakeLobby): Promise<Likes> {
  const likes = new Likes(lobby as unknown as Lobby);
  await settled();
  return likes;
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

test("what was chosen is had and wanted, but for what is one for the whole match", () => {
  const choices = { language: "deutsch", map: "ice", talk: "chatty" };
  const wants = { language: ["deutsch"], map: ["ice"] };
  assert.deepEqual(wishOf([duel], choices), { has: { language: ["deutsch"] }, wants });
  assert.deepEqual(wishOf([duel], { language: "klingon" }), { has: {}, wants: {} });
});

test("a choice is said at once, and again at the next lobby and after a break", async () => {
  keepLikes({});
  const lobby = new FakeLobby();
  const likes = await likesAt(lobby);
  assert.equal(lobby.wishes.length, 0, "there is nothing to say");
  likes.choose("language", "deutsch");
  await likes.said;
  assert.deepEqual(lobby.wishes.at(-1)?.has, { language: ["deutsch"] });

  const next = new FakeLobby();
  await (
    await likesAt(next)
  ).said;
  assert.equal(next.wishes.length, 1);
  next.resumed({ complete: true });
  await settled();
  assert.equal(next.wishes.length, 1);
  next.resumed({ complete: false });
  await settled();
  assert.equal(next.wishes.length, 2);

  likes.choose("language", "");
  await likes.said;
  assert.deepEqual(lobby.wishes.at(-1), { has: {}, wants: {} });
  assert.deepEqual(likes.choices.value, {});
});

test("a choice that the host does not take is told", async () => {
  keepLikes({});
  const lobby = new FakeLobby();
  const likes = await likesAt(lobby);
  lobby.problem = new Refused("RATE_LIMITED", "too many requests: try again in 1 s", 1_000);
  likes.choose("language", "english");
  await likes.said;
  assert.equal(likes.problem.value, "too many requests: try again in 1 s");
  lobby.problem = undefined;
  likes.choose("language", "deutsch");
  await likes.said;
  assert.equal(likes.problem.value, "");
});

test("a search says what is usual, and what does not matter any more", () => {
  const state = (more: Partial<MatchState>) =>
    ({ waitedMs: 5_000, usualWaitMs: undefined, relaxed: [], ...more }) as unknown as MatchState;
  assert.equal(usualText(state({})), "");
  assert.match(usualText(state({ usualWaitMs: 12_000 })), /no longer than 12 s/);
  assert.match(usualText(state({ usualWaitMs: 4_000 })), /takes longer than usual/);
  assert.match(usualText(state({ usualWaitMs: 90_000 })), /2 min/);
  assert.equal(relaxedText(state({})), "");
  assert.match(relaxedText(state({ relaxed: ["language"] })), /language does not matter/);
  assert.match(relaxedText(state({ relaxed: ["talk", "map"] })), /talking and map do not/);
});

test("a match that waits says who is missing", () => {
  const found = (players: number, accepted: number, youAccepted: boolean) =>
    acceptedText({ players, accepted, youAccepted, until: new Date() });
  assert.equal(found(2, 0, false), "Both of you have to accept.");
  assert.equal(found(2, 1, false), "Both of you have to accept. 1 of 2 have.");
  assert.equal(found(8, 3, false), "All 8 of you have to accept. 3 of 8 have.");
  assert.equal(found(2, 1, true), "Waiting for 1 more player.");
  assert.equal(found(4, 1, true), "Waiting for 3 more players.");
});

// What players are told when a connection does not come back, and the way on.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Closed, OutcomeUnknown, Refused } from "@scenehost/client";
import { lobbyGone, problemOf, sceneGone, troubleOf } from "../src/trouble.js";

const server = (code: Closed["code"]) => new Closed("server", "the server's words", code);

test("a session is over when the server says so, and only then", () => {
  for (const code of ["SESSION_ENDED", "BAD_TOKEN", "BANNED"] as const) {
    assert.ok(lobbyGone(server(code)).over, code);
  }
  for (const closed of [server("TAKEN_OVER"), server("STOPPING"), new Closed("lost", "gone")]) {
    assert.equal(lobbyGone(closed).over, false, closed.code);
  }
  assert.equal(lobbyGone(server("BANNED")).trouble.text, "the server's words");
});

test("a seat that is gone leads to the games, a server that is away to another try", () => {
  assert.equal(sceneGone(server("NO_SEAT")).action, "lobby");
  assert.equal(sceneGone(server("BAD_TOKEN")).title, "Your seat is gone");
  assert.equal(sceneGone(new Closed("lost", "gone")).action, "retry");
  assert.match(sceneGone(server("TAKEN_OVER")).title, /another window/);
});

test("a search of which nothing is known is told as lost", () => {
  assert.equal(troubleOf(new OutcomeUnknown("findMatch")).title, "The search was lost");
});

test("a refusal says when to try again, once", () => {
  const text = (message: string) => troubleOf(new Refused("OVERLOADED", message, 1500)).text;
  assert.equal(text("the room is full."), "the room is full. Try again in 2 s.");
  assert.equal(text("too many messages: try again in 2 s"), "too many messages: try again in 2 s");
});

test("what was asked for during a drop may have been done, and that is said", () => {
  assert.match(problemOf(new OutcomeUnknown("reqGuild")), /not known/);
  assert.equal(problemOf(new Refused("TAKEN", "the name is taken", 0)), "the name is taken");
});

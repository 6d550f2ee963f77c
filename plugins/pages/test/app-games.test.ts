// How the app follows a game: to the next match, through its failure, from the list of games.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Closed, Refused, type Match, type MatchState, type SceneEnd } from "@scenehost/client";
import type { App } from "../src/app.js";
import { FakeLobby, atHome, doors, newApp, settled, stage, troubleTitle } from "./fake-lobby.js";

const nextMatch = { sceneId: "s1", reason: "NEXT_MATCH", text: "", results: [] } as SceneEnd;

async function inAGame(): Promise<[App, FakeLobby]> {
  const lobby = new FakeLobby();
  lobby.heldSceneId = "s1";
  doors.push(lobby);
  const app = newApp();
  app.start();
  await settled();
  assert.equal(app.view.at, "playing");
  return [app, lobby];
}

test("whom a game sends on to the next match takes the search up once the lobby has told of it", async () => {
  const [app, lobby] = await inAGame();
  lobby.endScene(nextMatch);
  await settled();
  assert.deepEqual([stage(app), lobby.asked], ["searching", ["rejoin"]]);
  lobby.stand("SEARCHING");
  await settled();
  assert.deepEqual([stage(app), lobby.asked], ["searching", ["rejoin", "findMatch gomoku"]]);
  lobby.search.resolve({ domain: "gomoku" } as Match);
  await settled();
  assert.equal(stage(app), "playing");
});

test("the lobby may tell of the search before the game does", async () => {
  const [app, lobby] = await inAGame();
  lobby.matchState = { state: "SEARCHING", domain: "gomoku", waitedMs: 0 } as MatchState;
  lobby.endScene(nextMatch);
  await settled();
  assert.equal(stage(app), "searching");
});

test("why there is no next match is told", async () => {
  const [app, lobby] = await inAGame();
  lobby.endScene(nextMatch);
  const refused = new Refused("CLOSED", "it opens at 18:00", 0);
  lobby.tell("matchState", { state: "IDLE", domain: "gomoku", refused });
  await settled();
  assert.equal(app.view.at, "trouble");
  assert.deepEqual(lobby.asked, ["rejoin"]);
});

test("who does not want the next match takes its search back, also before anything is told of it", async () => {
  const [app, lobby] = await inAGame();
  lobby.endScene(nextMatch);
  app.cancel();
  assert.deepEqual([stage(app), lobby.asked], ["cancelling", ["rejoin", "cancelMatch"]]);
  lobby.tell("matchState", { state: "IDLE", domain: "gomoku" });
  await settled();
  assert.equal(app.view.at, "home");
});

const restarting = new Closed("server", "the game has failed and starts again", "RESTARTING");

async function inAGameThatFails(): Promise<[App, FakeLobby]> {
  const [app, lobby] = await atHome();
  app.play("gomoku");
  await settled();
  lobby.search.resolve({ domain: "gomoku" } as Match);
  await settled();
  assert.equal(app.view.at, "playing");
  lobby.sceneGone(restarting);
  await settled();
  assert.deepEqual(app.view, { at: "connecting", text: "The game failed and starts again" });
  return [app, lobby];
}

test("a game that fails and begins anew is entered again", async () => {
  const [app, lobby] = await inAGameThatFails();
  lobby.tell("match", { domain: "gomoku" });
  await settled();
  assert.equal(app.view.at, "playing");
  assert.deepEqual(lobby.asked, ["findMatch gomoku"]);
});

test("a game that fails too often is told to have crashed", async () => {
  const [app, lobby] = await inAGameThatFails();
  lobby.tell("sceneEnded", { reason: "CRASHED", text: "it failed", results: [] });
  await settled();
  assert.equal(troubleTitle(app), "The game crashed");
  lobby.tell("match", { domain: "gomoku" });
  await settled();
  assert.equal(app.view.at, "playing", "unless it has begun anew after all");
});

test("who does something else meanwhile is not drawn back", async () => {
  const [app, lobby] = await inAGameThatFails();
  app.home();
  await settled();
  lobby.tell("match", { domain: "gomoku" });
  await settled();
  assert.equal(app.view.at, "home");
});

test("a game that goes on is joined from the list", async () => {
  const [app, lobby] = await atHome();
  app.join("s7");
  await settled();
  assert.deepEqual(lobby.asked, ["joinScene s7"]);
  assert.equal(app.view.at, "playing");
});

test("a game without a free seat says so", async () => {
  const [app, lobby] = await atHome();
  lobby.noRoom = new Refused("SCENE_FULL", "all seats are taken", 0);
  app.join("s7");
  await settled();
  assert.equal(troubleTitle(app), "There is no room");
});

test("a game is watched until the player does something else", async () => {
  const [app, lobby] = await atHome();
  app.watch("arena", "s7");
  await settled();
  assert.equal(app.view.at, "watching");
  assert.equal(lobby.spectator.closed, false);
  app.play("gomoku");
  assert.equal(lobby.spectator.closed, true);
  assert.equal(app.view.at, "waiting");
});

test("who watches a game that is over stays with its result", async () => {
  const [app, lobby] = await atHome();
  app.watch("arena", "s7");
  await settled();
  lobby.spectator.end = { reason: "FINISHED" } as SceneEnd;
  lobby.spectator.listeners.get("gone")!(new Closed("left", "closed by this side") as never);
  assert.equal(app.view.at, "watching");
});

test("a game that cannot be watched on is told with the way back", async () => {
  const [app, lobby] = await atHome();
  app.watch("arena", "s7");
  await settled();
  const failed = new Closed("server", "the game has failed", "RESTARTING");
  lobby.spectator.listeners.get("gone")!(failed as never);
  assert.equal(troubleTitle(app), "The game failed");
});

// How a search for a match leads on: taken back, kept through a reload, accepted, or refused.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Cancelled, Refused, TimedOut, type Match } from "@scenehost/client";
import { Answer, FakeLobby, atHome, doors, lost, newApp, settled, stage } from "./fake-lobby.js";

test("a search that nothing has been heard of is taken back, and the player waits for its end", async () => {
  const [app, lobby] = await atHome();
  lobby.drop();
  app.play("gomoku");
  await settled();
  assert.equal(stage(app), "searching");
  app.cancel();
  assert.deepEqual(lobby.asked, ["findMatch gomoku", "cancelMatch"]);
  await settled();
  assert.equal(stage(app), "cancelling");
  app.cancel();
  assert.equal(lobby.asked.length, 2);
  lobby.search.reject(new Cancelled());
  await settled();
  assert.equal(app.view.at, "home");
});

test("a search that could not be taken back is still shown", async () => {
  const [app, lobby] = await atHome();
  app.play("gomoku");
  await settled();
  app.cancel();
  lobby.answer.reject(new TimedOut("reqCancelMatch", 10_000));
  await settled();
  assert.equal(stage(app), "searching");
  app.cancel();
  assert.equal(stage(app), "cancelling");
});

test("that a search could not be taken back says nothing of the one after it", async () => {
  const [app, lobby] = await atHome();
  app.play("gomoku");
  await settled();
  app.cancel();
  const first = lobby.answer;
  lobby.search.reject(new Cancelled());
  await settled();
  app.play("arena");
  await settled();
  app.cancel();
  first.reject(new TimedOut("reqCancelMatch", 10_000));
  await settled();
  assert.equal(stage(app), "cancelling");
});

test("whoever cancels before the lobby is there searches for nothing", async () => {
  const first = new Answer<FakeLobby>();
  const [app, lobby] = await atHome();
  lobby.end(lost);
  doors.push(first.promise, new FakeLobby());
  app.play("gomoku");
  await settled();
  assert.equal(stage(app), "connecting");
  app.cancel();
  await settled();
  const late = new FakeLobby();
  first.resolve(late);
  await settled();
  assert.equal(app.view.at, "home");
  assert.deepEqual(late.asked, ["close"]);
});

test("whoever cancels before the old seat is left searches for nothing", async () => {
  const lobby = new FakeLobby();
  lobby.heldSceneId = "s1";
  doors.push(lobby);
  const app = newApp();
  app.start();
  await settled();
  assert.equal(stage(app), "playing");
  app.play("arena");
  await settled();
  app.cancel();
  assert.equal(stage(app), "home");
  lobby.left.resolve();
  await settled();
  assert.equal(stage(app), "home");
  assert.deepEqual(lobby.asked, ["rejoin", "leave"]);
});

test("a page that the browser kept while it searched connects anew, and searches on", async () => {
  const [app, lobby] = await atHome();
  app.play("arena");
  await settled();
  app.hide();
  assert.equal(lobby.asked.at(-1), "close");
  const next = new FakeLobby();
  doors.push(next);
  app.start();
  await settled();
  assert.deepEqual([stage(app), next.asked], ["searching", ["findMatch arena"]]);
});

test("a page that is loaded again while it takes its search back does not search on", async () => {
  const [app] = await atHome();
  app.play("arena");
  await settled();
  app.cancel();
  app.hide();
  doors.push(new FakeLobby());
  app.start();
  await settled();
  assert.equal(app.view.at, "home");
});

test("a match that was found is accepted by word of the player", async () => {
  const [app, lobby] = await atHome();
  app.play("gomoku-ranked");
  await settled();
  assert.ok(lobby.asked.includes("findMatch gomoku-ranked"));
  void app.acceptMatch(true);
  assert.equal(lobby.asked.at(-1), "acceptMatch true");
});

test("who declines is told why there is no game", async () => {
  const [app, lobby] = await atHome();
  app.play("gomoku-ranked");
  await settled();
  lobby.search.reject(new Refused("CANCELLED", "you did not accept the match", 0));
  await settled();
  assert.ok(app.view.at === "trouble");
  assert.deepEqual(app.view.trouble, {
    title: "The search is over",
    text: "you did not accept the match",
    action: "lobby",
  });
});

test("a search waits until the lobby, too, has heard that the old seat is left", async () => {
  const [app, lobby] = await atHome();
  app.play("gomoku");
  await settled();
  lobby.search.resolve({ domain: "gomoku" } as Match);
  await settled();
  assert.equal(app.view.at, "playing");
  lobby.heldSceneId = "s1";
  const searches = () => lobby.asked.filter((what) => what === "findMatch gomoku").length;
  app.play("gomoku");
  lobby.left.resolve();
  await settled();
  assert.equal(searches(), 1);
  lobby.heldSceneId = undefined;
  lobby.tell("sceneEnded", {});
  await settled();
  assert.equal(searches(), 2);
});

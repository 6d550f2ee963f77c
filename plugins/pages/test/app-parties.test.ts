// How the app goes along with its party, and what is told of it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Refused, type Match, type Party, type SceneEnd } from "@scenehost/client";
import { FakeLobby, atHome, doors, newApp, settled, signedIn, stage } from "./fake-lobby.js";

const member = (userId: string, name: string) => ({ userId, name }) as Party["members"][number];
const party = {
  partyId: "p1",
  leaderId: "bb",
  members: [member("bb", "Bob"), member("aa", "Ada")],
  invited: [],
} as unknown as Party;

test("a member goes along with the search that the leader has begun, into the match", async () => {
  const [app, lobby] = await atHome();
  lobby.enter(party);
  lobby.stand("SEARCHING");
  assert.deepEqual([stage(app), lobby.asked], ["searching", ["findMatch gomoku"]]);
  lobby.stand("PLACING");
  assert.equal(lobby.asked.length, 1, "it is one search");
  lobby.search.resolve({ domain: "gomoku" } as Match);
  await settled();
  assert.equal(stage(app), "playing");
});

test("a member goes along from the result of a game, and from no game that goes on", async () => {
  for (const over of [true, false]) {
    const lobby = new FakeLobby();
    lobby.heldSceneId = "s1";
    lobby.sceneEnd = over ? ({} as SceneEnd) : undefined;
    doors.push(lobby);
    const app = newApp();
    app.start();
    await settled();
    lobby.enter(party);
    lobby.stand("SEARCHING");
    assert.equal(stage(app), over ? "searching" : "playing");
  }
});

test("nobody goes along with a search that is no party's", async () => {
  const [app, lobby] = await atHome();
  lobby.stand("SEARCHING");
  assert.deepEqual([stage(app), lobby.asked], ["home", []]);
});

test("who has stopped the party's search is told at the party", async () => {
  const [app, lobby] = await atHome();
  lobby.seatless = true;
  lobby.enter(party);
  lobby.stand("SEARCHING");
  lobby.stand("IDLE", new Refused("BUSY", "Bob has stopped the search", 0));
  await settled();
  assert.equal(app.view.at, "home");
  assert.equal(app.around?.party.news.value, "Bob has stopped the search");
  lobby.stand("SEARCHING");
  assert.equal(app.around?.party.news.value, "", "that is over with the next one");
});

test("why the party cannot search is told at the party, also where nobody of this page has asked", async () => {
  const [app, lobby] = await atHome();
  lobby.seatless = true;
  lobby.enter({ ...party, leaderId: "aa" });
  app.play("gomoku");
  await settled();
  lobby.search.reject(new Refused("INVALID", "your party is too large", 0));
  await settled();
  assert.deepEqual(
    [app.view.at, app.around?.party.news.value],
    ["home", "your party is too large"],
  );
  lobby.stand("IDLE", new Refused("BUSY", "a member of your party is away", 0));
  assert.equal(app.around?.party.news.value, "a member of your party is away");
});

test("who plays alone and holds no seat is told why there is no match", async () => {
  const [app, lobby] = await atHome();
  lobby.seatless = true;
  app.play("gomoku");
  await settled();
  lobby.search.reject(new Refused("BUSY", "you are elsewhere", 0));
  await settled();
  assert.ok(app.view.at === "trouble" && app.view.trouble.text === "you are elsewhere");
});

test("a guest comes into a party under the name that was chosen, and keeps it there", async () => {
  const [app, first] = await atHome();
  const lobby = new FakeLobby();
  doors.push(lobby);
  app.chooseName(" Bo ");
  const entered = app.enterParty((party) => party.join("K7MX2B"));
  first.answer.resolve();
  await settled();
  assert.deepEqual([first.asked, lobby.asked], [["signOut"], ["join K7MX2B"]]);
  const { guest } = signedIn.at(-1) as { guest: { name: string } };
  assert.equal(guest.name, "Bo");
  lobby.enter(party);
  lobby.answer.resolve();
  await entered;
  app.play("gomoku", "Cy");
  await settled();
  assert.deepEqual(lobby.asked.slice(1), ["findMatch gomoku"], "signing out would be leaving");
});

test("the first invitation begins the party", async () => {
  const [app, lobby] = await atHome();
  const invited = app.inviteToParty("cc");
  await settled();
  assert.deepEqual(lobby.asked, ["create"]);
  lobby.enter(party);
  lobby.answer.resolve();
  await settled();
  assert.deepEqual(lobby.asked, ["create", "invite cc"]);
  lobby.answer.resolve();
  await invited;
  void app.inviteToParty("dd");
  await settled();
  assert.deepEqual(lobby.asked.slice(2), ["invite dd"]);
});

test("a page that goes while its party searches takes the search back, and stays in the party", async () => {
  const [app, lobby] = await atHome();
  lobby.enter(party);
  lobby.stand("SEARCHING");
  app.hide();
  assert.deepEqual(lobby.asked, ["findMatch gomoku", "cancelMatch"]);
  const next = new FakeLobby();
  doors.push(next);
  const loaded = newApp();
  loaded.start();
  await settled();
  assert.deepEqual([stage(loaded), next.asked], ["home", []], "the leader searches again");
});

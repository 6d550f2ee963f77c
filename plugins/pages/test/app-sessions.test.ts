// What the app does when a session is over, and at signing out.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Closed, Refused, type Lobby } from "@scenehost/client";
import * as identity from "../src/identity.js";
import {
  FakeLobby,
  atHome,
  doors,
  lost,
  newApp,
  settled,
  signedIn,
  stage,
  tokens,
  troubleTitle,
} from "./fake-lobby.js";

for (const code of ["BAD_TOKEN", "SESSION_ENDED", "BANNED"] as const) {
  test(`an account whose session is over with ${code} is told so before the tab is a guest`, async () => {
    identity.becomeAccount(tokens);
    doors.push(new Refused(code, "the server's words", 0), new FakeLobby());
    const app = newApp();
    app.start();
    await settled();
    const title = code === "BANNED" ? "This account is closed" : "You are signed out";
    assert.equal(troubleTitle(app), title);
    assert.equal(identity.hasAccount(), false);
    app.start();
    await settled();
    assert.equal(app.view.at, "home");
    assert.ok("guest" in signedIn.at(-1)!);
  });
}

test("a guest whose session is over is the same guest by the device, without a word", async () => {
  identity.keepTokens(tokens);
  doors.push(new Refused("BAD_TOKEN", "", 0));
  await atHome();
  assert.deepEqual(
    signedIn.map((credential) => Object.keys(credential)[0]),
    ["sessionToken", "guest"],
  );
});

for (const [what, error] of [
  ["is connected elsewhere", new Refused("BUSY", "elsewhere", 0)],
  ["meets a fault of the server", new Refused("INTERNAL", "", 0)],
  ["finds no server", lost],
] as const) {
  test(`an account that ${what} stays the tab's`, async () => {
    identity.becomeAccount(tokens);
    doors.push(error);
    const app = newApp();
    app.start();
    await settled();
    assert.equal(app.view.at, "trouble");
    assert.ok(identity.hasAccount());
    assert.ok(identity.sessionCredential());
  });
}

test("signing out ends the session and leads to the guest, without a word of trouble", async () => {
  identity.becomeAccount(tokens);
  const [app, lobby] = await atHome();
  const out = app.signOut(false);
  const next = new FakeLobby();
  doors.push(next);
  lobby.end(new Closed("server", "the session was ended", "SESSION_ENDED"));
  assert.equal(app.view.at, "home");
  lobby.answer.resolve();
  await out;
  await settled();
  assert.deepEqual([app.view.at, app.lobby], ["home", next as unknown as Lobby]);
  assert.ok("guest" in signedIn.at(-1)!);
});

for (const everywhere of [false, true]) {
  test(`signing out during a drop shows the drop, and fails as one (everywhere: ${everywhere})`, async () => {
    identity.becomeAccount(tokens);
    const [app, lobby] = await atHome();
    lobby.drop();
    const out = app.signOut(everywhere);
    assert.equal(app.dropped?.reason, lost);
    lobby.answer.reject(lost);
    await assert.rejects(out, lost);
    assert.equal(app.lobby, lobby as unknown as Lobby);
    assert.ok(identity.hasAccount());
    lobby.end(lost);
    assert.equal(troubleTitle(app), "The server cannot be reached");
  });
}

test("a failed sign-out does not bring back a lobby that another one has replaced", async () => {
  identity.becomeAccount(tokens);
  const [app, lobby] = await atHome();
  const out = app.signOut(true);
  lobby.end(lost);
  const next = new FakeLobby();
  doors.push(next);
  app.play("gomoku");
  await settled();
  lobby.answer.reject(lost);
  await assert.rejects(out, lost);
  assert.equal(app.lobby, next as unknown as Lobby);
  assert.equal(stage(app), "searching");
});

// Behaviour of what is kept of the server's state: loaded when it is wanted, and as it is from then on.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Refused, type Friend, type Lobby } from "@scenehost/client";
import { byPresence, keepFriends, keepMail, standingOf, type FriendBook } from "../src/hub/book.js";

function friend(name: string, state: Friend["presence"]["state"] = "OFFLINE"): Friend {
  return { userId: name, name, since: new Date(0), presence: { state, domain: "" } };
}

/** What the book uses of a lobby. */
class FakeLobby {
  friendsNow: Friend[] = [];
  loads = 0;
  refusal: Refused | undefined;
  /** Ids of notifications, in pages. */
  pages: bigint[][] = [[]];
  readonly #listeners: [string, (value: unknown) => void][] = [];
  readonly friends = {
    list: async (name: string) => {
      if (this.refusal) throw this.refusal;
      if (name !== "friends") return { users: [], appearsOffline: false };
      this.loads += 1;
      return { users: this.friendsNow, appearsOffline: false };
    },
  };
  readonly inbox = {
    list: async (after: bigint) => {
      const page = this.pages.find((ids) => ids.some((id) => id > after)) ?? [];
      const more = page !== this.pages.at(-1) && page.length > 0;
      return { notifications: page.map((id) => ({ id })), more, unread: 2 };
    },
  };

  on(event: string, listener: (value: unknown) => void): void {
    this.#listeners.push([event, listener]);
  }

  tell(event: string, value: unknown): void {
    for (const [name, listener] of this.#listeners) if (name === event) listener(value);
  }
}

const at = (lobby: FakeLobby) => lobby as unknown as Lobby;
const settled = () => new Promise((resolve) => setTimeout(resolve));
const names = (book: FriendBook | undefined) => book?.friends.map(({ name }) => name);

test("nothing is asked for until it is wanted, then every change is followed", async () => {
  const lobby = new FakeLobby();
  const kept = keepFriends(at(lobby));
  lobby.tell("friends", {});
  await settled();
  assert.equal(lobby.loads, 0);
  await kept.load();
  assert.deepEqual(names(kept.known.value.value), []);
  lobby.friendsNow = [friend("Bob")];
  lobby.tell("friends", {});
  await settled();
  assert.deepEqual(names(kept.known.value.value), ["Bob"]);
  lobby.friendsNow = [];
  lobby.tell("resumed", { complete: true });
  await settled();
  assert.deepEqual(names(kept.known.value.value), ["Bob"], "nothing was missed");
  lobby.tell("resumed", { complete: false });
  await settled();
  assert.deepEqual(names(kept.known.value.value), []);
});

test("a change during a loading is not lost, and many are loaded once", async () => {
  const lobby = new FakeLobby();
  const kept = keepFriends(at(lobby));
  const loading = kept.load();
  for (let i = 0; i < 5; i += 1) lobby.tell("friends", {});
  lobby.friendsNow = [friend("Bob")];
  await loading;
  assert.deepEqual(names(kept.known.value.value), ["Bob"]);
  assert.equal(lobby.loads, 2);
});

test("what cannot be loaded again stays, with the reason, until the store is back", async () => {
  const lobby = new FakeLobby();
  lobby.friendsNow = [friend("Bob")];
  const kept = keepFriends(at(lobby));
  await kept.load();
  lobby.refusal = new Refused("SERVICE_DOWN", "saving is not available now", 0);
  await kept.load();
  assert.deepEqual(names(kept.known.value.value), ["Bob"]);
  assert.equal(kept.known.value.problem, "saving is not available now");
  lobby.refusal = undefined;
  lobby.tell("service", { service: "DB", up: true });
  await settled();
  assert.equal(kept.known.value.problem, "");
});

test("what friends do is followed without asking, and who can be played with comes first", async () => {
  const lobby = new FakeLobby();
  lobby.friendsNow = [friend("Ada"), friend("Cy", "AWAY"), friend("Bob")];
  const kept = keepFriends(at(lobby));
  await kept.load();
  const online = { state: "ONLINE", domain: "" };
  lobby.tell("presence", [
    { userId: "Bob", presence: online },
    { userId: "nobody", presence: online },
  ]);
  const { friends } = kept.known.value.value!;
  assert.deepEqual(
    byPresence(friends).map(({ name }) => name),
    ["Bob", "Cy", "Ada"],
  );
  assert.equal(lobby.loads, 1);
});

test("the inbox is read to its end, the newest first", async () => {
  const lobby = new FakeLobby();
  lobby.pages = [[1n, 2n], [5n], [7n, 8n]];
  const kept = keepMail(at(lobby));
  await kept.load();
  const mail = kept.known.value.value!;
  assert.deepEqual(
    mail.notifications.map(({ id }) => id),
    [8n, 7n, 5n, 2n, 1n],
  );
  assert.equal(mail.unread, 2);
});

test("what is between two users is said, a block before all else", () => {
  const empty = { friends: [], received: [], sent: [], blocked: [], appearsOffline: false };
  const bob = [friend("Bob")];
  assert.equal(standingOf(empty, "Bob"), "none");
  assert.equal(standingOf({ ...empty, friends: bob }, "Bob"), "friend");
  assert.equal(standingOf({ ...empty, received: bob }, "Bob"), "received");
  assert.equal(standingOf({ ...empty, sent: bob }, "Bob"), "sent");
  assert.equal(standingOf({ ...empty, sent: bob, blocked: bob }, "Bob"), "blocked");
  assert.equal(standingOf({ ...empty, friends: bob }, "Cy"), "none");
});

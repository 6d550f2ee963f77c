// Behaviour of the chat's state: what is known, what is unread, and how it catches up.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  Refused,
  type ChatChannel,
  type ChatEvent,
  type ChatMessage,
  type GuildEvent,
  type Lobby,
  type Party,
  type PartyEvent,
  type Resumed,
} from "@scenehost/client";
import { Around } from "../src/hub/around.js";
import {
  chosenOf,
  continues,
  emptyLog,
  HISTORY_MAX,
  keyOf,
  MESSAGES_MAX,
  reduce,
  unreadOf,
  type Action,
  type Log,
} from "../src/hub/chat-log.js";

const OWN = "00000000000000aa";
const BOB = "00000000000000bb";
const room: ChatChannel = { kind: "room", room: "lobby" };
const bob: ChatChannel = { kind: "direct", userId: BOB };
const roomKey = keyOf(room);

function said(id: number, channel = room, userId = BOB): ChatMessage {
  const name = userId === OWN ? "Ada" : "Bob";
  return { channel, id: BigInt(id), userId, name, text: `text ${id}`, sent: new Date(id * 1000) };
}

function range(first: number, last: number, channel = room): ChatMessage[] {
  return Array.from({ length: last - first + 1 }, (_, i) => said(first + i, channel));
}

function after(...actions: Action[]): Log {
  return actions.reduce(reduce, emptyLog("lobby"));
}

function ids(log: Log, key = roomKey): number[] {
  const it = log.conversations.find((it) => it.key === key);
  return it!.messages.map(({ id }) => Number(id));
}

const newest = (messages: readonly ChatMessage[], key = roomKey): Action => ({
  type: "newest",
  key,
  messages,
});
const message = (message: ChatMessage): Action => ({ type: "message", message, own: OWN });

test("messages are in order and each once, however they arrive", () => {
  const log = after(message(said(3)), newest([said(1), said(2), said(3)]), message(said(4)));
  assert.deepEqual(ids(log), [1, 2, 3, 4]);
  assert.equal(chosenOf(log).state, "ready");
  assert.equal(chosenOf(log).more, false, "there is nothing before fewer than were asked for");
});

test("what does not join on to the newest is let go, and can be had again", () => {
  const log = after(newest(range(1, 5)), newest(range(50, 49 + HISTORY_MAX)));
  assert.equal(ids(log)[0], 50);
  assert.equal(chosenOf(log).more, true);
  const filled = reduce(log, { type: "earlier", key: roomKey, messages: range(30, 49) });
  assert.equal(ids(filled)[0], 30);
  assert.equal(chosenOf(filled).more, false);
});

test("no more is kept than the limit, the newest", () => {
  const log = after(...range(1, MESSAGES_MAX + 3).map(message));
  assert.equal(ids(log).length, MESSAGES_MAX);
  assert.equal(ids(log).at(-1), MESSAGES_MAX + 3);
  assert.equal(chosenOf(log).more, true);
});

test("what comes while it is not seen is unread, until it is seen; one's own is not", () => {
  const away = after(message(said(1)), message(said(1, bob)), message(said(2, bob, OWN)));
  assert.equal(unreadOf(away), 2);
  const there = reduce(away, { type: "watch", watched: true });
  assert.equal(unreadOf(there), 1, "the room is seen, Bob's conversation is not");
  assert.equal(unreadOf(reduce(there, message(said(2)))), 1);
  assert.equal(unreadOf(reduce(there, { type: "choose", key: keyOf(bob) })), 0);
  const left = reduce(there, { type: "watch", watched: false });
  assert.equal(unreadOf(reduce(left, message(said(2)))), 2);
});

test("who speaks directly has a conversation, after the guild's; a closed one leads to the room", () => {
  const guild: ChatChannel = { kind: "guild", guildId: "00000000000000cc" };
  const log = after(message(said(1, bob)), { type: "open", channel: guild, title: "Owls" });
  assert.deepEqual(
    log.conversations.map(({ title }) => title),
    ["Everybody", "Owls", "Bob"],
  );
  const chosen = reduce(log, { type: "choose", key: keyOf(bob) });
  const closed = reduce(chosen, { type: "close", key: keyOf(bob) });
  assert.equal(closed.chosen, roomKey);
  assert.equal(closed.conversations.length, 2);
});

test("what one user says in a row stands under one name", () => {
  assert.equal(continues(said(2), said(1)), true);
  assert.equal(continues(said(2), said(1, room, OWN)), false);
  assert.equal(continues(said(400), said(1)), false, "so much later it has a time of its own");
  assert.equal(continues(said(1), undefined), false);
});

/** What the talk uses of a lobby. */
class FakeLobby {
  readonly user = { id: OWN, name: "Ada" };
  readonly asked: string[] = [];
  history: (channel: ChatChannel) => ChatMessage[] = () => [];
  refusal: Refused | undefined;
  guild: { guildId: string; name: string } | undefined;
  readonly party = { current: undefined as Party | undefined, invites: [] };
  readonly #listeners: [string, (value: never) => void][] = [];
  readonly chat = {
    join: async (room: string) => void this.asked.push(`join ${room}`),
    say: async (channel: ChatChannel, text: string) => {
      if (this.refusal) throw this.refusal;
      return { ...said(9, channel, OWN), text };
    },
    history: async (channel: ChatChannel) => {
      this.asked.push(`history ${keyOf(channel)}`);
      if (this.refusal) throw this.refusal;
      return this.history(channel);
    },
  };
  readonly guilds = { mine: async () => ({ guild: this.guild, requests: [], invites: [] }) };

  on(event: string, listener: (value: never) => void): void {
    this.#listeners.push([event, listener]);
  }

  tell(event: "chat", value: ChatEvent): void;
  tell(event: "guild", value: GuildEvent): void;
  tell(event: "resumed", value: Resumed): void;
  tell(event: "party", value: PartyEvent): void;
  tell(event: string, value: unknown): void {
    for (const [name, listener] of this.#listeners) if (name === event) listener(value as never);
  }
}

/** The player is in this party now, of which so many messages were said. */
function inParty(lobby: FakeLobby, partyId: string, lastMessageId = 0n): void {
  const party = { partyId, lastMessageId, members: [], invited: [] } as unknown as Party;
  lobby.party.current = party;
  lobby.tell("party", { kind: "changed", party, change: "UNSPECIFIED", userId: "" });
}

function talkAt(lobby: FakeLobby) {
  return new Around(lobby as unknown as Lobby).talk;
}

/** Until everything that can go on has done so. */
const settled = () => new Promise((resolve) => setTimeout(resolve));

test("the room is joined when it is shown for the first time, and once", async () => {
  const lobby = new FakeLobby();
  lobby.history = () => range(1, 3);
  const talk = talkAt(lobby);
  await settled();
  assert.deepEqual(lobby.asked, [], "nothing is asked for before");
  talk.watch(true);
  talk.watch(false);
  talk.watch(true);
  await settled();
  assert.deepEqual(lobby.asked, ["join lobby", "history room/lobby"]);
  assert.deepEqual(ids(talk.log.value), [1, 2, 3]);
});

test("after a drop it loads what it has not seen, and nothing if it has seen all", async () => {
  const lobby = new FakeLobby();
  lobby.history = () => range(1, 3);
  const talk = talkAt(lobby);
  talk.watch(true);
  await settled();
  lobby.asked.length = 0;
  lobby.tell("chat", { kind: "rooms", rooms: [{ room: "lobby", lastId: 3n }] });
  await settled();
  assert.deepEqual(lobby.asked, []);
  lobby.history = () => range(1, 5);
  lobby.tell("chat", { kind: "rooms", rooms: [{ room: "lobby", lastId: 5n }] });
  await settled();
  assert.deepEqual(ids(talk.log.value), [1, 2, 3, 4, 5]);
});

test("after a return with nothing kept it joins again, and forgets what was of another time", async () => {
  const lobby = new FakeLobby();
  lobby.history = () => range(40, 42);
  const talk = talkAt(lobby);
  talk.watch(true);
  await settled();
  lobby.asked.length = 0;
  lobby.history = () => range(1, 2);
  lobby.tell("resumed", { complete: true } as Resumed);
  await settled();
  assert.deepEqual(lobby.asked, []);
  lobby.tell("resumed", { complete: false } as Resumed);
  await settled();
  assert.deepEqual(lobby.asked, ["join lobby", "history room/lobby"]);
  assert.deepEqual(ids(talk.log.value), [1, 2]);
});

test("the guild's conversation comes and goes with the guild", async () => {
  const lobby = new FakeLobby();
  const talk = talkAt(lobby);
  talk.watch(true);
  await settled();
  const titles = () => talk.log.value.conversations.map(({ title }) => title);
  assert.deepEqual(titles(), ["Everybody"]);
  lobby.guild = { guildId: "00000000000000cc", name: "Owls" };
  lobby.tell("guild", { what: "JOINED" } as GuildEvent);
  await settled();
  assert.deepEqual(titles(), ["Everybody", "Owls"]);
  lobby.guild = undefined;
  lobby.tell("guild", { what: "KICKED" } as GuildEvent);
  await settled();
  assert.deepEqual(titles(), ["Everybody"]);
});

test("the party's conversation comes and goes with the party, and another party has its own", async () => {
  const lobby = new FakeLobby();
  const talk = talkAt(lobby);
  const of = () =>
    talk.log.value.conversations.flatMap(({ channel, messages }) =>
      channel.kind === "party" ? [`${channel.partyId}: ${messages.length}`] : [],
    );
  inParty(lobby, "p1");
  lobby.tell("chat", { kind: "message", message: said(1, { kind: "party", partyId: "p1" }) });
  assert.deepEqual(of(), ["p1: 1"]);
  assert.equal(unreadOf(talk.log.value), 1);
  inParty(lobby, "p2");
  assert.deepEqual(of(), ["p2: 0"]);
  lobby.party.current = undefined;
  lobby.tell("party", { kind: "gone", partyId: "p2", change: "LEFT" });
  assert.deepEqual(of(), []);
});

test("what was said in the party during a drop is loaded", async () => {
  const lobby = new FakeLobby();
  const channel: ChatChannel = { kind: "party", partyId: "p1" };
  lobby.history = () => range(1, 2, channel);
  const talk = talkAt(lobby);
  inParty(lobby, "p1", 2n);
  talk.watch(true);
  talk.choose("party");
  await settled();
  lobby.asked.length = 0;
  inParty(lobby, "p1", 2n);
  await settled();
  assert.deepEqual(lobby.asked, []);
  lobby.history = () => range(1, 4, channel);
  inParty(lobby, "p1", 4n);
  await settled();
  assert.deepEqual(ids(talk.log.value, "party"), [1, 2, 3, 4]);
});

test("what cannot be loaded says why, and can be tried again", async () => {
  const lobby = new FakeLobby();
  lobby.refusal = new Refused("OVERLOADED", "the room is full", 0);
  const talk = talkAt(lobby);
  talk.watch(true);
  await settled();
  assert.equal(chosenOf(talk.log.value).state, "failed");
  assert.equal(chosenOf(talk.log.value).problem, "the room is full");
  lobby.refusal = undefined;
  await talk.load(chosenOf(talk.log.value));
  assert.equal(chosenOf(talk.log.value).state, "ready");
});

test("what is said stands in the log; who says too much is told to wait", async () => {
  const lobby = new FakeLobby();
  const talk = talkAt(lobby);
  talk.openDirect(BOB, "Bob");
  await talk.say(chosenOf(talk.log.value), "hi");
  assert.deepEqual(ids(talk.log.value, keyOf(bob)), [9]);
  assert.equal(unreadOf(talk.log.value), 0);
  lobby.refusal = new Refused("RATE_LIMITED", "slow down", 3000);
  await assert.rejects(talk.say(chosenOf(talk.log.value), "hi"), Refused);
  assert.ok(talk.quietUntilMs.value > performance.now() + 2000);
});

// What users ask the lobby for besides matches, against a scripted server.
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { ChatKind } from "../src/gen/scenehost/v1/chat_pb.js";
import { GuildEntry, GuildRole, SynGuild_What } from "../src/gen/scenehost/v1/guild_pb.js";
import {
  FriendList,
  Presence_State,
  SynFriends_Change,
} from "../src/gen/scenehost/v1/friends_pb.js";
import { NotificationKind } from "../src/gen/scenehost/v1/inbox_pb.js";
import { LedgerEntry_Kind, ShopOffer_Why } from "../src/gen/scenehost/v1/shop_pb.js";
import { LeaderboardKind } from "../src/gen/scenehost/v1/standing_pb.js";
import { RecordReaders } from "../src/gen/scenehost/v1/records_pb.js";
import { Code } from "../src/gen/scenehost/v1/client_pb.js";
import { Closed, Lobby, Refused, type GuildEvent } from "../src/index.js";
import { guest, Host, options, play, type Peer } from "./host.js";

let host: Host;
/** The server's end of the connection, once something was asked. */
let server: Peer | undefined;
afterEach(() => host.stop());

type Frame = Parameters<NonNullable<Parameters<typeof play>[0]>>[0];

/** A lobby whose server answers requests by `answer`; what was asked is noted in `asked`. */
async function lobbyThat(answer: (frame: Frame, peer: Peer) => void): Promise<[Lobby, Frame[]]> {
  const asked: Frame[] = [];
  server = undefined;
  host = await Host.start(
    play((frame, peer) => {
      server = peer;
      if (frame.body.case === "ping") {
        const { payload } = frame.body.value;
        return peer.send({ case: "pong", value: { payload } }, frame.request);
      }
      asked.push(frame);
      answer(frame, peer);
    }),
  );
  return [await Lobby.connect(host.url("/v1/lobby"), guest, options), asked];
}

test("shows profiles and changes one's own", async () => {
  const profile = { userId: "00000000000000aa", name: "Ada", sinceMs: 5n, status: "here" };
  const [lobby, asked] = await lobbyThat((frame, peer) =>
    peer.send({ case: "resProfile", value: { profiles: [profile] } }, frame.request),
  );
  const [shown] = await lobby.profiles.show(["00000000000000aa"]);
  assert.deepEqual(shown, {
    userId: "00000000000000aa",
    name: "Ada",
    since: new Date(5),
    status: "here",
    avatar: "",
    about: "",
  });
  assert.equal((await lobby.profiles.change({ status: "here" })).status, "here");
  const changed = asked[1]!.body;
  assert.ok(changed.case === "reqProfile" && changed.value.ask.case === "change");
  assert.equal(changed.value.ask.value.status, "here");
  assert.equal(changed.value.ask.value.about, undefined, "what is left out stays");
});

test("reads, lists and writes records, and hears of changes", async () => {
  const [lobby, asked] = await lobbyThat((frame, peer) => {
    assert.ok(frame.body.case === "reqRecords");
    const { ask } = frame.body.value;
    if (ask.case === "read") {
      const record = { key: "deck", value: new Uint8Array([1]), version: 7n, readOnly: true };
      const records = [{ ...record, readers: RecordReaders.ALL, writtenMs: 9n }];
      peer.send({ case: "resRecords", value: { records } }, frame.request);
    } else if (ask.case === "list") {
      const first = ask.value.after === "";
      const value = { keys: [first ? "deck" : "prize"], more: first };
      peer.send({ case: "resRecords", value }, frame.request);
    } else {
      peer.send({ case: "synRecords", value: { game: "gomoku", keys: ["prize"] } });
      peer.send({ case: "resRecords", value: { versions: [8n, 0n] } }, frame.request);
    }
  });
  const news: unknown[] = [];
  lobby.on("recordsChanged", ({ game, keys }) => news.push([game, [...keys]]));

  const [deck] = await lobby.records.read("gomoku", ["deck"], { userId: "00000000000000bb" });
  assert.deepEqual([deck!.version, deck!.readers, deck!.readOnly], [7n, "all", true]);
  assert.deepEqual([...deck!.value], [1]);
  assert.deepEqual(await lobby.records.keys("gomoku"), ["deck", "prize"]);
  const changes = [
    { key: "deck", value: new Uint8Array(), readers: "game", ifVersion: 0n },
    { key: "prize", value: null },
  ] as const;
  assert.deepEqual(await lobby.records.write("gomoku", changes), [8n, 0n]);
  assert.deepEqual(news, [["gomoku", ["prize"]]]);

  const owners = asked.map(({ body }) => body.case === "reqRecords" && body.value.owner);
  assert.deepEqual(owners, ["00000000000000bb", "", "", ""]);
  const written = asked[3]!.body;
  assert.ok(written.case === "reqRecords" && written.value.ask.case === "write");
  const [first, second] = written.value.ask.value.changes;
  assert.deepEqual(
    [first!.value?.length, first!.readers, first!.ifVersion],
    [0, RecordReaders.GAME, 0n],
  );
  assert.deepEqual([second!.value, second!.ifVersion], [undefined, undefined]);
});

test("talks in rooms, directly and in the guild, and hears what others say", async () => {
  const said = { id: 8n, userId: "00000000000000aa", name: "Ada", text: "hi", sentMs: 5n };
  const [lobby, asked] = await lobbyThat((frame, peer) => {
    assert.ok(frame.body.case === "reqChat");
    const { ask } = frame.body.value;
    if (ask.case === "leave") return peer.send({ case: "done", value: {} }, frame.request);
    if (ask.case === "join") {
      const room = { name: ask.value.room, lastId: 7n, members: 3 };
      return peer.send({ case: "resChat", value: { room } }, frame.request);
    }
    assert.ok(ask.case === "say" || ask.case === "history");
    const message = { ...said, channel: ask.value.channel! };
    peer.send({ case: "resChat", value: { messages: [message] } }, frame.request);
  });
  const events: unknown[] = [];
  lobby.on("chat", (event) => events.push(event));
  assert.deepEqual(await lobby.chat.join("lobby"), { room: "lobby", lastId: 7n, members: 3 });
  const room = { kind: "room", room: "lobby" } as const;
  const message = await lobby.chat.say(room, "hi");
  assert.deepEqual(message, {
    channel: room,
    id: 8n,
    userId: "00000000000000aa",
    name: "Ada",
    text: "hi",
    sent: new Date(5),
  });
  const direct = { kind: "direct", userId: "00000000000000bb" } as const;
  assert.deepEqual((await lobby.chat.history(direct, 9n))[0]!.channel, direct);
  assert.equal((await lobby.chat.say({ kind: "guild" }, "hi")).channel.kind, "guild");
  await lobby.chat.leave("lobby");

  const history = asked[2]!.body;
  assert.ok(history.case === "reqChat" && history.value.ask.case === "history");
  assert.equal(history.value.ask.value.before, 9n);

  const channel = { kind: ChatKind.DIRECT, of: "00000000000000bb" };
  server!.send({
    case: "synChat",
    value: { what: { case: "message", value: { ...said, channel } } },
  });
  const rooms = { rooms: [{ name: "lobby", lastId: 31n }] };
  server!.send({ case: "synChat", value: { what: { case: "rooms", value: rooms } } });
  server!.send({ case: "synChat", value: { what: { case: "mutedUntilMs", value: 60_000n } } });
  server!.send({ case: "synChat", value: { what: { case: "mutedUntilMs", value: 0n } } });
  await lobby.ping();
  assert.deepEqual(events.slice(1), [
    { kind: "rooms", rooms: [{ room: "lobby", lastId: 31n }] },
    { kind: "muted", until: new Date(60_000) },
    { kind: "muted", until: undefined },
  ]);
});

test("founds a guild, looks after it, and hears what happens in it", async () => {
  const members = [{ userId: "00000000000000aa", name: "Ada", role: GuildRole.LEADER }];
  const guild = { guildId: "g", name: "Owls", entry: GuildEntry.BY_REQUEST, members };
  const [lobby, asked] = await lobbyThat((frame, peer) => {
    assert.ok(frame.body.case === "reqGuild");
    const { ask } = frame.body.value;
    switch (ask.case) {
      case "create":
      case "show":
      case "change":
        return peer.send({ case: "resGuild", value: { guild } }, frame.request);
      case "mine":
        return peer.send({ case: "resGuild", value: {} }, frame.request);
      case "writeData":
        return peer.send({ case: "resGuild", value: { version: 3n } }, frame.request);
      default:
        return peer.send({ case: "done", value: {} }, frame.request);
    }
  });
  const events: GuildEvent[] = [];
  lobby.on("guild", (event) => events.push(event));
  const founded = await lobby.guilds.create({ name: "Owls", entry: "by-request" });
  assert.deepEqual([founded.entry, founded.members[0]!.role], ["by-request", "leader"]);
  assert.equal((await lobby.guilds.show("own")).name, "Owls");
  assert.deepEqual(await lobby.guilds.mine(), { guild: undefined, requests: [], invites: [] });
  await lobby.guilds.setRole("00000000000000bb", "officer");
  assert.equal((await lobby.guilds.change({ about: "" })).name, "Owls");
  assert.equal(await lobby.guilds.writeData("plan", null, 2n), 3n);

  const asks = asked.map(({ body }) => (body.case === "reqGuild" ? body.value.ask : undefined));
  assert.deepEqual(
    asks.map((ask) => ask?.case),
    ["create", "show", "mine", "setRole", "change", "writeData"],
  );
  const change = asks[4]!;
  assert.ok(change.case === "change");
  assert.deepEqual([change.value.about, change.value.limit], ["", undefined]);

  const what = SynGuild_What.ROLE;
  const news = { guildId: "g", name: "Owls", version: 4n, what, userId: "00000000000000aa" };
  server!.send({ case: "synGuild", value: { ...news, role: GuildRole.OFFICER } });
  server!.send({ case: "synGuild", value: { ...news, role: GuildRole.UNSPECIFIED } });
  await lobby.ping();
  assert.deepEqual(
    events.map(({ what, role }) => [what, role]),
    [
      ["ROLE", "officer"],
      ["ROLE", undefined],
    ],
  );
});

test("lists friends, asks users, and hears of them and of what they do", async () => {
  const inGame = { state: Presence_State.IN_GAME, domain: "gomoku" };
  const bob = { userId: "00000000000000bb", name: "Bob", sinceMs: 5n, presence: inGame };
  const [lobby, asked] = await lobbyThat((frame, peer) => {
    assert.ok(frame.body.case === "reqFriends");
    const { ask } = frame.body.value;
    if (ask.case !== "list") return peer.send({ case: "done", value: {} }, frame.request);
    const value = { list: ask.value, friends: [bob], appearsOffline: true };
    peer.send({ case: "resFriends", value }, frame.request);
  });
  const events: unknown[] = [];
  lobby.on("friends", (change) => events.push(change));
  lobby.on("presence", (friends) => events.push(friends));
  assert.deepEqual(await lobby.friends.list("friends"), {
    users: [
      {
        userId: "00000000000000bb",
        name: "Bob",
        since: new Date(5),
        presence: { state: "IN_GAME", domain: "gomoku" },
      },
    ],
    appearsOffline: true,
  });
  await lobby.friends.list("blocked");
  await lobby.friends.request(bob.userId);
  await lobby.friends.appearOffline(false);
  const asks = asked.map(({ body }) => (body.case === "reqFriends" ? body.value.ask : undefined));
  assert.deepEqual(
    asks.map((ask) => [ask?.case, ask?.value]),
    [
      ["list", FriendList.FRIENDS],
      ["list", FriendList.BLOCKED],
      ["request", bob.userId],
      ["appearOffline", false],
    ],
  );
  const change = { change: SynFriends_Change.RECEIVED, userId: bob.userId, name: "Bob" };
  server!.send({ case: "synFriends", value: change });
  const away = { userId: bob.userId, presence: { state: Presence_State.AWAY } };
  server!.send({ case: "synPresence", value: { friends: [away, { userId: "x" }] } });
  await lobby.ping();
  assert.deepEqual(events, [
    { change: "RECEIVED", userId: bob.userId, name: "Bob" },
    [
      { userId: bob.userId, presence: { state: "AWAY", domain: "" } },
      { userId: "x", presence: { state: "OFFLINE", domain: "" } },
    ],
  ]);
});

test("talks in the party", async () => {
  const [lobby, asked] = await lobbyThat((frame, peer) => {
    assert.ok(frame.body.case === "reqChat" && frame.body.value.ask.case === "say");
    const channel = { kind: ChatKind.PARTY, of: "p1" };
    const messages = [{ channel, id: 1n, text: frame.body.value.ask.value.text }];
    peer.send({ case: "resChat", value: { messages } }, frame.request);
  });
  const said = await lobby.chat.say({ kind: "party" }, "ready?");
  assert.deepEqual(said.channel, { kind: "party", partyId: "p1" });
  const { body } = asked[0]!;
  assert.ok(body.case === "reqChat" && body.value.ask.case === "say");
  assert.deepEqual(
    [body.value.ask.value.channel?.kind, body.value.ask.value.channel?.of],
    [ChatKind.PARTY, ""],
  );
});

test("reads and removes notifications, and hears of new ones", async () => {
  const note = { id: 7n, kind: NotificationKind.OPERATOR, title: "Soon", createdMs: 5n };
  const [lobby, asked] = await lobbyThat((frame, peer) =>
    peer.send(
      { case: "resInbox", value: { notifications: [note], unread: 1, more: true } },
      frame.request,
    ),
  );
  const news: unknown[] = [];
  lobby.on("notification", ({ notification, unread }) => news.push([notification.kind, unread]));
  const { notifications, more, unread } = await lobby.inbox.list(6n);
  assert.deepEqual([more, unread], [true, 1]);
  assert.deepEqual(notifications[0], {
    id: 7n,
    kind: "operator",
    userId: "",
    name: "",
    title: "Soon",
    body: "",
    data: "",
    created: new Date(5),
    expires: undefined,
    read: false,
  });
  assert.equal(await lobby.inbox.read("all"), 1);
  assert.equal(await lobby.inbox.remove([7n]), 1);
  const removed = asked[2]!.body;
  assert.ok(removed.case === "reqInbox" && removed.value.ask.case === "remove");
  assert.deepEqual(removed.value.ask.value.ids, [7n]);
  const kind = NotificationKind.FRIEND_REQUEST;
  server!.send({ case: "synNotification", value: { notification: { id: 8n, kind }, unread: 2 } });
  await lobby.ping();
  assert.deepEqual(news, [["friend-request", 2]]);
});

test("shows ratings, past matches and leaderboards, and hears of rating changes", async () => {
  const row = { rank: 3, userId: "00000000000000aa", name: "Ada", score: 1512n };
  const own = { userId: "00000000000000aa", name: "Ada", place: 1, rating: 1512, change: 12 };
  const season = { name: "2026-11", beginsMs: 1n, endsMs: 9n, entries: 40 };
  const value = {
    ratings: [{ userId: "00000000000000aa", domain: "gomoku", rating: 1512, games: 1, wins: 1 }],
    matches: [{ sceneId: "s", domain: "gomoku", endedMs: 5n, own, players: [own, { place: 2 }] }],
    boards: [{ name: "best", domain: "gomoku", kind: LeaderboardKind.RATING, seasons: [season] }],
    page: { board: "best", season: "2026-11", entries: 40, rows: [row] },
  };
  const [lobby, asked] = await lobbyThat((frame, peer) =>
    peer.send({ case: "resStanding", value }, frame.request),
  );
  const changes: unknown[] = [];
  lobby.on("rating", (change) => changes.push(change));
  const [rating] = await lobby.standing.ratings(["00000000000000aa"]);
  assert.deepEqual([rating!.rating, rating!.wins, rating!.losses], [1512, 1, 0]);
  const [match] = await lobby.standing.history();
  assert.deepEqual([match!.ended, match!.own?.change], [new Date(5), 12]);
  assert.equal(match!.players[1]!.rating, undefined, "it was not rated");
  const [board] = await lobby.standing.boards();
  assert.deepEqual([board!.kind, board!.seasons[0]!.ends], ["rating", new Date(9)]);
  const page = await lobby.standing.around({ board: "best", neighbours: 2 });
  assert.deepEqual([page.rows, page.ends], [[row], undefined]);
  await lobby.standing.top({ board: "best", season: "2026-10" });

  const asks = asked.map(({ body }) => (body.case === "reqStanding" ? body.value.ask : undefined));
  assert.deepEqual(
    asks.map((ask) => ask?.case),
    ["ratings", "history", "boards", "around", "top"],
  );
  const top = asks[4]!;
  assert.ok(top.case === "top");
  assert.deepEqual([top.value.season, top.value.firstRank, top.value.limit], ["2026-10", 1, 20]);
  const change = { domain: "gomoku", rating: 1512, change: 12, place: 1 };
  server!.send({ case: "synStanding", value: { ...change, endedMs: 5n } });
  await lobby.ping();
  assert.deepEqual(changes, [change]);
});

test("shows the wallet and all offers, buys by a request id, and hears of changes by others", async () => {
  const postings = [
    { account: "user", asset: "coin", amount: -10n },
    { account: "shop", asset: "coin", amount: 10n },
    { account: "user", asset: "hat", amount: 1n },
  ];
  const kind = LedgerEntry_Kind.PURCHASE;
  const entry = { number: 2n, timeMs: 5n, kind, offer: "hat", count: 1n, postings };
  const [lobby, asked] = await lobbyThat((frame, peer) => {
    assert.ok(frame.body.case === "reqShop");
    const { ask } = frame.body.value;
    const first = ask.case === "offers" && ask.value.after === "";
    const offers =
      ask.case !== "offers"
        ? []
        : first
          ? [{ name: "cape", price: { coin: 99n }, why: ShopOffer_Why.CANNOT_PAY, resetsMs: 9n }]
          : [{ name: "hat", price: { coin: 10n }, gives: { hat: 1n }, mayBuy: 1n }];
    const value = { balances: { coin: 7n }, offers, entries: [entry], more: first };
    peer.send({ case: "resShop", value }, frame.request);
  });
  const news: unknown[] = [];
  lobby.on("wallet", ({ balances, entry }) => news.push([balances, entry?.kind]));
  assert.deepEqual(await lobby.shop.wallet(), { coin: 7n });
  const [cape, hat] = await lobby.shop.offers();
  assert.deepEqual([cape!.why, cape!.resets, cape!.until], ["CANNOT_PAY", new Date(9), undefined]);
  assert.deepEqual([hat!.name, hat!.why, hat!.mayBuy], ["hat", undefined, 1n]);
  const bought = await lobby.shop.buy("hat", "b1946ac9");
  assert.deepEqual(bought.entry?.changes, { coin: -10n, hat: 1n });
  assert.deepEqual([bought.entry?.kind, bought.balances], ["purchase", { coin: 7n }]);
  assert.deepEqual((await lobby.shop.history(3n)).entries[0]!.time, new Date(5));

  const asks = asked.map(({ body }) => (body.case === "reqShop" ? body.value.ask : undefined));
  assert.deepEqual(
    asks.map((ask) => ask?.case),
    ["wallet", "offers", "offers", "buy", "history"],
  );
  const buy = asks[3]!;
  assert.ok(buy.case === "buy");
  assert.deepEqual(
    [buy.value.offer, buy.value.count, buy.value.requestId],
    ["hat", 1n, "b1946ac9"],
  );
  const grant = { number: 3n, kind: LedgerEntry_Kind.GRANT };
  server!.send({ case: "synWallet", value: { balances: { coin: 8n }, entry: grant } });
  await lobby.ping();
  assert.deepEqual(news, [[{ coin: 8n }, "grant"]]);
});

test("a refusal is thrown, and an answer of another kind ends the line", async () => {
  const [lobby] = await lobbyThat((frame, peer) => {
    if (frame.body.case === "reqProfile") {
      const value = { code: Code.SERVICE_DOWN, text: "saving is not available now" };
      return peer.send({ case: "refused", value }, frame.request);
    }
    peer.send({ case: "done", value: {} }, frame.request);
  });
  const refused = await lobby.profiles.show(["x"]).catch((error: unknown) => error);
  assert.ok(refused instanceof Refused && refused.code === "SERVICE_DOWN");
  const breach = await lobby.records.keys("gomoku").catch((error: unknown) => error);
  assert.ok(breach instanceof Closed && breach.kind === "protocol");
});

// Behaviour of parties, against a scripted server.
import type { MessageInitShape } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { Code, SynMatchState_State as State } from "../src/gen/scenehost/v1/client_pb.js";
import { Presence_State } from "../src/gen/scenehost/v1/friends_pb.js";
import { PartyChange, type SynPartySchema } from "../src/gen/scenehost/v1/party_pb.js";
import { Lobby, Refused, type Party, type PartyEvent } from "../src/index.js";
import { guest, Host, options, play, until, type Peer, type Script } from "./host.js";

let host: Host;
/** The server's end of the last connection. */
let server: Peer;
afterEach(() => host.stop());

/** A lobby at a server that answers requests by `answer`. */
async function enter(answer: Script = () => {}): Promise<Lobby> {
  const script = play((frame, peer) => {
    if (frame.body.case !== "ping") return answer(frame, peer);
    peer.send({ case: "pong", value: { payload: frame.body.value.payload } }, frame.request);
  });
  host = await Host.start((frame, peer) => {
    server = peer;
    script(frame, peer);
  });
  return Lobby.connect(host.url("/v1/lobby"), guest, options);
}

const ada = { userId: "00000000000000aa", name: "Ada", ready: true };
const ownParty = { partyId: "p1", code: "K7MX2B", leaderId: ada.userId, members: [ada] };

/** The server tells something of parties. */
function tellParty(what: NonNullable<MessageInitShape<typeof SynPartySchema>["what"]>): void {
  server.send({ case: "synParty", value: { what } });
}

/** It is another one from line to line, whatever was asserted of it before. */
const now = (lobby: Lobby): Party | undefined => lobby.party.current;

test("asks everything that a party can be asked for", async () => {
  const { party } = await enter((frame, peer) =>
    peer.send({ case: "done", value: {} }, frame.request),
  );
  await party.create();
  await party.invite("00000000000000bb");
  await party.uninvite("00000000000000bb");
  await party.accept("p1");
  await party.decline("p1");
  await party.join("k7m-x2b");
  await party.leave();
  await party.kick("00000000000000bb");
  await party.handOver("00000000000000bb");
  await party.setData("map 1");
  await party.setOwnData("");
  await party.checkReady("gomoku");
  await party.checkReady();
  await party.ready(false);
  const asks = host.received.flatMap(({ body }) =>
    body.case === "reqParty" ? [body.value.ask] : [],
  );
  assert.deepEqual(
    asks.map((ask) => [ask.case, typeof ask.value === "object" ? "" : ask.value]),
    [
      ["create", ""],
      ["invite", "00000000000000bb"],
      ["uninvite", "00000000000000bb"],
      ["accept", "p1"],
      ["decline", "p1"],
      ["join", "k7m-x2b"],
      ["leave", ""],
      ["kick", "00000000000000bb"],
      ["handOver", "00000000000000bb"],
      ["setData", "map 1"],
      ["setOwnData", ""],
      ["checkReady", ""],
      ["checkReady", ""],
      ["ready", false],
    ],
  );
  const domains = asks.flatMap((ask) => (ask.case === "checkReady" ? [ask.value.domain] : []));
  assert.deepEqual(domains, ["gomoku", ""]);
});

test("the party is known as it was told last, and every change is told", async () => {
  const lobby = await enter();
  const events: PartyEvent[] = [];
  lobby.on("party", (event) => events.push(event));
  assert.equal(now(lobby), undefined);
  const untilMs = BigInt(Date.now() + 20_000);
  const bob = { userId: "00000000000000bb", presence: { state: Presence_State.AWAY } };
  const told = { ...ownParty, members: [ada, bob], membersMax: 8, lastMessageId: 7n };
  const asking = {
    check: { untilMs, domain: "gomoku" },
    invited: [{ userId: "c", untilMs, byId: "b" }],
  };
  const about = { change: PartyChange.CHECK, userId: ada.userId };
  tellParty({ case: "party", value: { ...told, ...asking, ...about } });
  await lobby.ping();
  const until = new Date(Number(untilMs));
  const presence = { state: "OFFLINE", domain: "" };
  assert.deepEqual(lobby.party.current, {
    partyId: "p1",
    code: "K7MX2B",
    leaderId: ada.userId,
    members: [
      { ...ada, presence, data: "" },
      {
        userId: bob.userId,
        name: "",
        presence: { state: "AWAY", domain: "" },
        ready: false,
        data: "",
      },
    ],
    membersMax: 8,
    invited: [{ userId: "c", name: "", until, byId: "b" }],
    data: "",
    check: { until, domain: "gomoku" },
    lastMessageId: 7n,
  });
  tellParty({ case: "gone", value: { partyId: "another", change: PartyChange.LEFT } });
  await lobby.ping();
  assert.equal(now(lobby)?.partyId, "p1", "that was another one");
  tellParty({ case: "gone", value: { partyId: "p1", change: PartyChange.KICKED } });
  await lobby.ping();
  assert.equal(now(lobby), undefined);
  assert.deepEqual(
    events.map((event) => [event.kind, "change" in event && event.change]),
    [
      ["changed", "CHECK"],
      ["gone", "LEFT"],
      ["gone", "KICKED"],
    ],
  );
});

test("an invitation is open until it is over, taken back, or taken", async () => {
  const lobby = await enter();
  const events: PartyEvent[] = [];
  lobby.on("party", (event) => events.push(event));
  const invite = (partyId: string, inMs: number) => {
    const untilMs = BigInt(Date.now() + inMs);
    tellParty({
      case: "invited",
      value: { partyId, userId: "b", name: "Bob", members: 2, untilMs },
    });
  };
  for (const partyId of ["p1", "p2", "p3"]) invite(partyId, 60_000);
  invite("soon over", 40);
  await lobby.ping();
  const open = () => lobby.party.invites.map(({ partyId }) => partyId);
  assert.deepEqual(open(), ["p1", "p2", "p3", "soon over"]);
  assert.deepEqual([lobby.party.invites[0]!.name, lobby.party.invites[0]!.members], ["Bob", 2]);
  await until("its time is over", () => open().length === 3);
  tellParty({ case: "uninvited", value: "p2" });
  tellParty({ case: "party", value: ownParty });
  await lobby.ping();
  assert.deepEqual(open(), ["p3"]);
  const kinds = events.map(({ kind }) => kind);
  assert.deepEqual(kinds.slice(4), ["uninvited", "changed"]);

  // By a clock that is wrong by a day it would be over, or open for a day.
  invite("p4", -86_400_000);
  invite("p5", 86_400_000);
  await lobby.ping();
  const leftMs = lobby.party.invites.slice(1).map(({ until }) => until.getTime() - Date.now());
  assert.ok(leftMs.length === 2 && leftMs.every((ms) => ms > 100_000 && ms <= 120_000));
});

test("no more invitations are kept than the limit, the newest", async () => {
  const lobby = await enter();
  const untilMs = BigInt(Date.now() + 60_000);
  for (let i = 0; i < 40; i += 1)
    tellParty({ case: "invited", value: { partyId: `p${i}`, untilMs } });
  await lobby.ping();
  const ids = lobby.party.invites.map(({ partyId }) => partyId);
  assert.deepEqual([ids.length, ids[0], ids.at(-1)], [32, "p8", "p39"]);
});

test("after a return that is not complete, the party is the one that is told anew", async () => {
  const lobby = await enter();
  tellParty({ case: "party", value: ownParty });
  tellParty({ case: "invited", value: { partyId: "p2", untilMs: BigInt(Date.now() + 60_000) } });
  await lobby.ping();
  const seen: (string | undefined)[] = [];
  lobby.on("resumed", () => seen.push(now(lobby)?.partyId));
  host.cut();
  await until("the lobby is back", () => seen.length === 1);
  assert.deepEqual([seen, lobby.party.invites], [[undefined], []]);
  tellParty({ case: "party", value: { ...ownParty, partyId: "p3" } });
  await lobby.ping();
  assert.equal(now(lobby)?.partyId, "p3");
  lobby.close();
});

test("a search that the leader has begun is taken up, and says who has ended it", async () => {
  const lobby = await enter();
  const begun = new Promise<string>((resolve) => {
    lobby.on("matchState", ({ state, domain }) => state === "SEARCHING" && resolve(domain));
  });
  server.send({ case: "synMatchState", value: { state: State.SEARCHING, domain: "gomoku" } });
  const search = lobby.findMatch(await begun);
  const refused = { code: Code.BUSY, text: "Bob has stopped the search" };
  server.send({ case: "synMatchState", value: { state: State.IDLE, refused } });
  const error = await search.catch((error: unknown) => error);
  assert.ok(error instanceof Refused && error.message === "Bob has stopped the search");
  assert.ok(!host.cases().includes("reqMatch"), "nobody but the leader asks");
});

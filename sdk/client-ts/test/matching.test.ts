// Wishes, matches that wait to be accepted, and the domains, against a scripted server.
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { Code, SynMatchState_State } from "../src/gen/scenehost/v1/client_pb.js";
import { Lobby, Refused, type MatchState } from "../src/index.js";
import { guest, Host, options, play, until, type Peer, type Script } from "./host.js";

let host: Host;
afterEach(() => host.stop());

async function lobbyThat(answer: Script): Promise<Lobby> {
  host = await Host.start(play(answer));
  return Lobby.connect(host.url("/v1/lobby"), guest, options);
}

/** Tells a match that waits to be accepted. */
function found(peer: Peer, request: number, accepted: number, youAccepted: boolean): void {
  const value = { players: 2, accepted, youAccepted, leftMs: 9_000n };
  const state = { state: SynMatchState_State.FOUND, domain: "gomoku", found: value };
  peer.send({ case: "synMatchState", value: state }, request);
}

test("a wish comes with the search, or alone", async () => {
  const lobby = await lobbyThat((frame, peer) => {
    if (frame.body.case === "reqWish") return peer.send({ case: "done", value: {} }, frame.request);
    const refused = { code: Code.INVALID, text: "there is no property" };
    peer.send({ case: "refused", value: refused }, frame.request);
  });
  const wish = { has: { voice: ["on"] }, wants: { language: ["de", "en"] }, roles: ["tank"] };
  await lobby.setWish({ ...wish, roundTrips: { eu: 20.2 }, opponents: ["00000000000000bb"] });
  await assert.rejects(lobby.findMatch("gomoku", { wish }), Refused);
  await assert.rejects(lobby.findMatch("gomoku"), Refused);
  const [alone, first, second] = host.received.slice(1).map(({ body }) => body);
  assert.ok(alone?.case === "reqWish" && first?.case === "reqMatch" && second?.case === "reqMatch");
  assert.deepEqual(alone.value.wish?.wants["language"]?.values, ["de", "en"]);
  assert.deepEqual(alone.value.wish?.roundTrips, { eu: 21 });
  assert.deepEqual(alone.value.wish?.opponents, ["00000000000000bb"]);
  assert.deepEqual(first.value.wish?.has["voice"]?.values, ["on"]);
  assert.deepEqual(first.value.wish?.roles, ["tank"]);
  assert.equal(second.value.wish, undefined, "what was said last counts");
});

test("a search tells what is relaxed, and a match waits to be accepted", async () => {
  const lobby = await lobbyThat((frame, peer) => {
    switch (frame.body.case) {
      case "reqMatch": {
        const relaxed = { relaxed: ["language"], usualWaitMs: 12_000n, pingMs: 80 };
        const state = { state: SynMatchState_State.SEARCHING, domain: "gomoku", ...relaxed };
        peer.send({ case: "synMatchState", value: state }, frame.request);
        return found(peer, 0, 1, false);
      }
      case "reqAcceptMatch": {
        assert.equal(frame.body.value.accept, true);
        found(peer, frame.request, 2, true);
        const placing = { state: SynMatchState_State.PLACING, domain: "gomoku" };
        peer.send({ case: "synMatchState", value: placing });
        return peer.send({ case: "resMatch", value: { sceneId: "s1", sceneUrl: "/v1/scene" } });
      }
    }
  });
  const states: MatchState[] = [];
  const match = lobby.findMatch("gomoku", { onState: (state) => states.push(state) });
  await until("a match is found", () => lobby.matchState?.state === "FOUND");
  await lobby.acceptMatch(true);
  assert.equal((await match).sceneId, "s1");
  assert.deepEqual(
    states.map(({ state }) => state),
    ["SEARCHING", "FOUND", "FOUND", "PLACING"],
  );
  const { relaxed, usualWaitMs, pingMs } = states[0]!;
  assert.deepEqual(
    { relaxed, usualWaitMs, pingMs },
    { relaxed: ["language"], usualWaitMs: 12_000, pingMs: 80 },
  );
  const { until: untilDate, ...waits } = states[1]!.found!;
  assert.deepEqual(waits, { players: 2, accepted: 1, youAccepted: false });
  const leftMs = untilDate.getTime() - Date.now();
  assert.ok(leftMs > 0 && leftMs <= 9_000, `${leftMs}`);
  assert.equal(states[2]!.found!.youAccepted, true);
  assert.equal(states[3]!.found, undefined);
});

test("who declines has no search any more, and nothing to accept", async () => {
  const lobby = await lobbyThat((frame, peer) => {
    if (frame.body.case === "reqMatch") return found(peer, frame.request, 0, false);
    if (!lobby.matchState?.found) {
      const refused = { code: Code.OUT_OF_ORDER, text: "no match waits for your answer" };
      return peer.send({ case: "refused", value: refused }, frame.request);
    }
    const refused = { code: Code.CANCELLED, text: "you did not accept the match" };
    const idle = { state: SynMatchState_State.IDLE, refused };
    peer.send({ case: "synMatchState", value: idle }, frame.request);
  });
  const match = lobby.findMatch("gomoku");
  const declined = assert.rejects(
    match,
    (error) => error instanceof Refused && error.code === "CANCELLED",
  );
  await until("a match is found", () => lobby.matchState?.state === "FOUND");
  await lobby.acceptMatch(false);
  await declined;
  await assert.rejects(lobby.acceptMatch(true), Refused);
});

test("the domains come part by part", async () => {
  const language = { name: "language", values: ["de", "en"], relaxMs: 20_000n };
  const map = { name: "map", values: ["ice"], common: true };
  const lobby = await lobbyThat((frame, peer) => {
    assert.ok(frame.body.case === "reqDomains");
    const first = frame.body.value.after === "";
    const teams = [{ count: 2, size: 5, sizeMin: 4, roles: { tank: 1, healer: 4 } }];
    const sizes = { playersMin: 2, playersMax: 8, teams };
    const arena = { name: "arena", ...sizes, waitMsMax: 300_000n, rated: true };
    const opensMs = 1_900_000_000_000n;
    const duel = { name: "duel", properties: [language, map], acceptMs: 15_000n, opensMs };
    const domains = first ? [arena] : [duel];
    peer.send({ case: "resDomains", value: { domains, more: first } }, frame.request);
  });
  const [arena, duel, ...more] = await lobby.domains();
  assert.deepEqual(more, []);
  assert.deepEqual(arena, {
    name: "arena",
    playersMin: 2,
    playersMax: 8,
    properties: [],
    regions: [],
    acceptMs: undefined,
    waitMsMax: 300_000,
    rated: true,
    opponents: false,
    opens: undefined,
    teams: [{ count: 2, size: 5, sizeMin: 4, roles: { tank: 1, healer: 4 } }],
  });
  assert.deepEqual(duel!.properties, [
    { name: "language", values: ["de", "en"], common: false, relaxMs: 20_000 },
    { name: "map", values: ["ice"], common: true, relaxMs: undefined },
  ]);
  assert.equal(duel!.acceptMs, 15_000);
  assert.deepEqual(duel!.opens, new Date(1_900_000_000_000));
  const asked = host.received
    .slice(1)
    .map(({ body }) => body.case === "reqDomains" && body.value.after);
  assert.deepEqual(asked, ["", "arena"]);
});

test("a server that has more and tells none is not asked for ever", async () => {
  const lobby = await lobbyThat((frame, peer) =>
    peer.send({ case: "resDomains", value: { more: true } }, frame.request),
  );
  assert.deepEqual(await lobby.domains(), []);
});

// Behaviour of the lobby, against a scripted server.
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { Code, Service, SynMatchState_State as State } from "../src/gen/scenehost/v1/client_pb.js";
import {
  Cancelled,
  Closed,
  Lobby,
  OutcomeUnknown,
  Refused,
  TimedOut,
  type Dropped,
  type MatchState,
} from "../src/index.js";
import { guest, Host, options, play, type Peer, type Script } from "./host.js";

let host: Host;
afterEach(() => host.stop());

async function lobbyAt(script: Script, more = {}): Promise<Lobby> {
  host = await Host.start(script);
  return Lobby.connect(host.url("/v1/lobby"), guest, { ...options, ...more });
}

const searching = (peer: Peer, request = 0, waiting = 1) =>
  peer.send(
    {
      case: "synMatchState",
      value: { state: State.SEARCHING, domain: "gomoku", waiting, ratingRange: 50 },
    },
    request,
  );
const idle = (peer: Peer, request = 0) =>
  peer.send({ case: "synMatchState", value: { state: State.IDLE } }, request);
const made = (peer: Peer, request = 0, sceneUrl = "/v1/scene") =>
  peer.send(
    {
      case: "resMatch",
      value: { sceneId: "s1", domain: "gomoku", sceneUrl, sceneToken: "t", tokenExpiresInMs: 5000 },
    },
    request,
  );

for (const encoding of ["proto", "json"] as const) {
  test(`signs in, finds a match and enters its scene, in ${encoding}`, async () => {
    const lobby = await lobbyAt(
      play((frame, peer) => {
        if (frame.body.case !== "reqMatch") return;
        searching(peer, frame.request);
        searching(peer, 0, 2);
        made(peer);
      }),
      { encoding },
    );
    assert.deepEqual(lobby.user, { id: "00000000000000aa", name: "Ada" });
    assert.equal(lobby.tokens.sessionToken, "session");
    assert.equal(lobby.heldSceneId, undefined);
    const states: MatchState[] = [];
    const match = await lobby.findMatch("gomoku", { onState: (state) => states.push(state) });
    assert.deepEqual(
      states.map(({ state, waiting }) => [state, waiting]),
      [
        ["SEARCHING", 1],
        ["SEARCHING", 2],
      ],
    );
    assert.equal(match.sceneUrl, host.url("/v1/scene"));
    const scene = await lobby.join(match);
    assert.equal(scene.seat, 1);
    assert.deepEqual(
      scene.players.map((player) => player.name),
      ["Bob", "Ada"],
    );
    scene.close();
    lobby.close();
  });
}

test("a session token signs in, and a held seat leads back", async () => {
  host = await Host.start((frame, peer) => {
    if (frame.body.case === "reqSignIn") {
      assert.equal(frame.body.value.credential.case, "sessionToken");
      peer.send(
        {
          case: "resSignIn",
          value: {
            sceneId: "s1",
            servicesDown: [Service.MATCH],
            matchState: { state: State.SEARCHING, domain: "gomoku" },
          },
        },
        frame.request,
        0,
      );
    } else made(peer, frame.request, "ws://127.0.0.1:9/elsewhere");
  });
  const lobby = await Lobby.connect(host.url("/v1/lobby"), { sessionToken: "old" }, options);
  assert.equal(lobby.heldSceneId, "s1");
  assert.deepEqual([...lobby.servicesDown], ["MATCH"]);
  assert.equal(lobby.matchState?.state, "SEARCHING");
  assert.equal((await lobby.rejoin()).sceneUrl, "ws://127.0.0.1:9/elsewhere");
  lobby.close();
});

test("a refused sign-in says why and when to try again", async () => {
  const refusing = lobbyAt((frame, peer) =>
    peer.send(
      { case: "refused", value: { code: Code.OVERLOADED, text: "full", retryAfterMs: 500 } },
      frame.request,
      0,
    ),
  );
  await assert.rejects(
    refusing,
    (error) =>
      error instanceof Refused &&
      error.code === "OVERLOADED" &&
      error.message === "full" &&
      error.retryAfterMs === 500,
  );
});

test("a silent server ends the wait by its deadline", async () => {
  await assert.rejects(
    lobbyAt(() => {}),
    TimedOut,
  );
});

test("a server that is not there is a closed connection", async () => {
  const lobby = await lobbyAt(play());
  const url = host.url("/v1/lobby");
  lobby.close();
  host.stop();
  await assert.rejects(
    Lobby.connect(url, guest, options),
    (error) => error instanceof Closed && error.kind === "lost",
  );
});

test("cancelMatch ends the search once the server agrees", async () => {
  const lobby = await lobbyAt(
    play((frame, peer) =>
      frame.body.case === "reqMatch" ? searching(peer, frame.request) : idle(peer, frame.request),
    ),
  );
  const search = assert.rejects(lobby.findMatch("gomoku"), Cancelled);
  await lobby.cancelMatch();
  await search;
  lobby.close();
});

test("an aborted search rejects with the reason of the signal", async () => {
  const lobby = await lobbyAt(
    play((frame, peer) =>
      frame.body.case === "reqMatch" ? searching(peer, frame.request) : idle(peer, frame.request),
    ),
  );
  const reason = new Error("changed my mind");
  const controller = new AbortController();
  const onState = () => controller.abort(reason);
  await assert.rejects(lobby.findMatch("gomoku", { signal: controller.signal, onState }), reason);
  lobby.close();
});

test("a match made before the cancel arrived is given", async () => {
  const lobby = await lobbyAt(
    play((frame, peer) => {
      if (frame.body.case === "reqMatch") return searching(peer, frame.request);
      peer.send({ case: "refused", value: { code: Code.OUT_OF_ORDER } }, frame.request);
      made(peer);
    }),
  );
  const found = lobby.findMatch("gomoku");
  await assert.rejects(lobby.cancelMatch(), Refused);
  assert.equal((await found).sceneId, "s1");
  lobby.close();
});

test("a late word about the last search does not end the next", async () => {
  let searches = 0;
  const lobby = await lobbyAt(
    play((frame, peer) => {
      if (frame.body.case === "reqCancelMatch") return idle(peer, frame.request);
      if (++searches === 2) idle(peer);
      searching(peer, frame.request);
      if (searches === 2) made(peer);
    }),
  );
  const first = assert.rejects(lobby.findMatch("gomoku"), Cancelled);
  await lobby.cancelMatch();
  await first;
  assert.equal((await lobby.findMatch("gomoku")).sceneId, "s1");
  lobby.close();
});

test("a search that the server gives up rejects with its refusal", async () => {
  const lobby = await lobbyAt(
    play((frame, peer) => {
      searching(peer, frame.request);
      const refused = { code: Code.SERVICE_DOWN, text: "matching is down" };
      peer.send({ case: "synMatchState", value: { state: State.IDLE, refused } });
    }),
  );
  await assert.rejects(
    lobby.findMatch("gomoku"),
    (error) => error instanceof Refused && error.code === "SERVICE_DOWN",
  );
  lobby.close();
});

test("a search past its deadline is taken back", async () => {
  const lobby = await lobbyAt(
    play((frame, peer) =>
      frame.body.case === "reqMatch" ? searching(peer, frame.request) : idle(peer, frame.request),
    ),
  );
  await assert.rejects(lobby.findMatch("gomoku", { deadlineMs: 30 }), TimedOut);
  assert.equal(host.received.at(-1)?.body.case, "reqCancelMatch");
  lobby.close();
});

test("a seat is held from the match to the end of its scene", async () => {
  const lobby = await lobbyAt(
    play((frame, peer) => {
      if (frame.body.case === "reqMatch") made(peer, frame.request);
      else peer.send({ case: "synSceneEnded", value: { sceneId: "s1" } });
    }),
  );
  await lobby.findMatch("gomoku");
  assert.equal(lobby.heldSceneId, "s1");
  const ended = new Promise((resolve) => lobby.on("sceneEnded", resolve));
  void lobby.ping().catch(() => {});
  await ended;
  assert.equal(lobby.heldSceneId, undefined);
  lobby.close();
});

test("services that come and go are told", async () => {
  const lobby = await lobbyAt(
    play((frame, peer) => {
      peer.send({ case: "synService", value: { service: Service.MATCH, up: false } });
      if (frame.body.case === "ping") {
        peer.send({ case: "pong", value: { payload: frame.body.value.payload! } }, 0, 0);
      }
    }),
  );
  const told: unknown[] = [];
  lobby.on("service", (event) => told.push(event));
  await lobby.ping();
  assert.deepEqual(told, [{ service: "MATCH", up: false }]);
  assert.ok(lobby.servicesDown.has("MATCH"));
  lobby.close();
});

test("matching that is down in some domains is told with their names", async () => {
  const lobby = await lobbyAt(
    play((frame, peer) => {
      if (frame.body.case !== "ping") return;
      const value = { service: Service.MATCH, up: host.received.length > 2, domains: ["duel"] };
      peer.send({ case: "synService", value });
      peer.send({ case: "pong", value: { payload: frame.body.value.payload! } }, 0, 0);
    }),
  );
  const told: unknown[] = [];
  lobby.on("service", (event) => told.push(event));
  const down = [];
  for (let pings = 0; pings < 2; pings += 1) {
    await lobby.ping();
    down.push([...lobby.domainsDown]);
  }
  lobby.close();
  const of = (up: boolean) => ({ service: "MATCH", up, domains: ["duel"] });
  assert.deepEqual(told, [of(false), of(true)]);
  assert.deepEqual([down, [...lobby.servicesDown]], [[["duel"], []], []]);
});

test("the server's reason for closing reaches waiting calls and the last event", async () => {
  const lobby = await lobbyAt(
    play((_, peer) => {
      peer.send({ case: "synClosing", value: { code: Code.TAKEN_OVER, text: "elsewhere" } });
      peer.socket.close();
    }),
  );
  const closed = new Promise<Closed>((resolve) => lobby.on("gone", resolve));
  await assert.rejects(lobby.findMatch("gomoku"), Closed);
  assert.equal((await closed).kind, "server");
  assert.equal((await closed).code, "TAKEN_OVER");
  assert.equal(lobby.gone, await closed);
});

test("a gap in the server's numbers is a lost connection", async () => {
  let answers = 0;
  const lobby = await lobbyAt(
    play((frame, peer) => {
      if (frame.body.case !== "reqMatch") return;
      answers += 1;
      if (answers === 1) return peer.send({ case: "synMatchState", value: {} }, frame.request, 7);
      made(peer, frame.request);
    }),
  );
  const dropped = new Promise<Dropped>((resolve) => lobby.on("dropped", resolve));
  // The scripted server keeps no line: what became of the search is unknown.
  await assert.rejects(lobby.findMatch("gomoku"), OutcomeUnknown);
  assert.equal((await dropped).reason.kind, "lost");
  assert.equal((await lobby.findMatch("gomoku")).sceneId, "s1");
  lobby.close();
});

test("a server that stops answering is noticed, and tried again", async () => {
  const lobby = await lobbyAt(play(), { keepAliveMs: 30, requestDeadlineMs: 60 });
  const dropped = await new Promise<Dropped>((resolve) => lobby.on("dropped", resolve));
  assert.equal(dropped.reason.kind, "silent");
  await new Promise((resolve) => lobby.on("resumed", resolve));
  lobby.close();
});

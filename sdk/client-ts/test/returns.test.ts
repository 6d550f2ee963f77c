// Behaviour of a lobby connection that is lost, and of its session, against a scripted server.
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import {
  Code,
  Service,
  SynSceneEnded_Reason as Reason,
  SynMatchState_State as State,
  type ClientFrame,
  type ResSignIn,
} from "../src/gen/scenehost/v1/client_pb.js";
import {
  Cancelled,
  Closed,
  Lobby,
  OutcomeUnknown,
  Refused,
  type Dropped,
  type LobbyOptions,
  type MatchState,
  type Resumed,
  type Tokens,
} from "../src/index.js";
import {
  guest,
  Host,
  options,
  until,
  type Answer,
  type Calls,
  type Peer,
  type Script,
} from "./host.js";
import { Seat } from "./seat.js";

let host: Host;
afterEach(() => host.stop());

type SignIn = Partial<
  Pick<ResSignIn, "resumed" | "lastRequest" | "sceneId" | "servicesDown" | "sessionToken">
> & { matchState?: { state: State; domain: string } };

/** Lets a client in, whose frames go on after number `afterSeq`. */
function letIn(frame: ClientFrame, peer: Peer, signIn: SignIn = {}, afterSeq = 0): void {
  peer.seq = afterSeq;
  const known = { userId: "aa", name: "Ada", sessionToken: "s1" };
  const value = { ...known, graceMs: 1_000, afterSeq, ...signIn };
  peer.send({ case: "resSignIn", value }, frame.request, 0);
}

const refuse = (frame: ClientFrame, peer: Peer, code: Code) =>
  peer.send({ case: "refused", value: { code, text: "no" } }, frame.request, 0);
const searching = (peer: Peer, request = 0) => {
  const value = { state: State.SEARCHING, domain: "gomoku" };
  peer.send({ case: "synMatchState", value }, request);
};
const made = (peer: Peer, request = 0) => {
  const value = { sceneId: "s1", domain: "gomoku", sceneUrl: "/v1/scene", sceneToken: "t" };
  peer.send({ case: "resMatch", value }, request);
};
const resumeSeqs = () =>
  host.received.flatMap(({ body }) =>
    body.case === "reqSignIn" ? [body.value.resumeSeq ?? "anew"] : [],
  );

/** A lobby at a server that lets it in by the first script; what it meets after a drop is `then`. */
async function enter(first: Script, then: Script, more: LobbyOptions = {}, calls?: Calls) {
  host = await Host.start((frame, peer) => {
    if (frame.body.case === "reqSignIn" && host.opened === 1) {
      return letIn(frame, peer, { refreshToken: "r1" } as SignIn);
    }
    (host.opened === 1 ? first : then)(frame, peer);
  }, calls);
  const lobby = await Lobby.connect(host.url("/v1/lobby"), guest, { ...options, ...more });
  const told = { lobby, resumed: [] as Resumed[], gone: [] as Closed[], tokens: [] as Tokens[] };
  lobby.on("resumed", (event) => told.resumed.push(event));
  lobby.on("gone", (event) => told.gone.push(event));
  lobby.on("tokens", (event) => told.tokens.push(event));
  return told;
}

test("a search goes on over a drop, and what was missed is heard", async () => {
  const told = await enter(
    (frame, peer) => searching(peer, frame.request),
    (frame, peer) => {
      if (frame.body.case !== "reqSignIn") return;
      letIn(frame, peer, { resumed: true, lastRequest: 2 }, 1);
      searching(peer);
      made(peer);
    },
  );
  const states: MatchState[] = [];
  const search = told.lobby.findMatch("gomoku", { onState: (state) => states.push(state) });
  await until("the search has begun", () => states.length === 1);
  host.cut();
  assert.equal((await search).sceneId, "s1");
  assert.equal(states.length, 2);
  assert.deepEqual(told.resumed, [{ complete: true }]);
  assert.deepEqual(resumeSeqs(), ["anew", 1]);
  told.lobby.close();
});

test("requests that did not arrive are sent again, and the others are not", async () => {
  const asked: string[] = [];
  let arrived = 0;
  const told = await enter(
    (frame, peer) => {
      // The first is taken and not answered, the second is lost with the connection.
      asked.push(`${frame.body.case}`);
      if (frame.body.case === "reqMatch") arrived = frame.request;
      else peer.socket.terminate();
    },
    (frame, peer) => {
      if (frame.body.case === "reqSignIn") {
        letIn(frame, peer, { resumed: true, lastRequest: arrived });
        searching(peer, arrived);
        return;
      }
      asked.push(`${frame.body.case}, again`);
      if (frame.body.case === "reqCancelMatch") {
        const refused = { code: Code.BUSY };
        peer.send({ case: "refused", value: refused }, frame.request);
        made(peer);
      }
    },
  );
  const search = told.lobby.findMatch("gomoku");
  await assert.rejects(told.lobby.cancelMatch(), Refused);
  assert.equal((await search).sceneId, "s1");
  const again = asked.filter((name) => name !== "ping, again");
  assert.deepEqual(again, ["reqMatch", "reqCancelMatch", "reqCancelMatch, again"]);
  told.lobby.close();
});

test("a search that is taken back before it could be sent is never sent", async () => {
  let away = true;
  const told = await enter(
    () => {},
    (frame, peer) => {
      if (away) return peer.socket.terminate();
      if (frame.body.case === "reqSignIn") letIn(frame, peer, { resumed: true });
    },
  );
  host.cut();
  await until("the drop is told", () => told.lobby.dropped !== undefined);
  const search = assert.rejects(told.lobby.findMatch("gomoku"), Cancelled);
  await told.lobby.cancelMatch();
  await search;
  const reason = new Error("changed my mind");
  const controller = new AbortController();
  const { signal } = controller;
  const another = assert.rejects(told.lobby.findMatch("gomoku", { signal }), reason);
  controller.abort(reason);
  await another;
  away = false;
  await until("this side is back", () => told.resumed.length === 1);
  await until("a ping came", () => host.cases().at(-1) === "ping");
  assert.ok(!host.cases().some((name) => name === "reqMatch" || name === "reqCancelMatch"));
  told.lobby.close();
});

test("the deadline of a request stands still during a drop", async () => {
  let away = true;
  const told = await enter(
    (_, peer) => peer.socket.terminate(),
    (frame, peer) => {
      if (away) return peer.socket.terminate();
      if (frame.body.case === "reqSignIn") letIn(frame, peer, { resumed: true });
      else if (frame.body.case === "reqRejoin") made(peer, frame.request);
    },
    { requestDeadlineMs: 100 },
  );
  const match = told.lobby.rejoin();
  await new Promise((resolve) => setTimeout(resolve, 250));
  away = false;
  assert.equal((await match).sceneId, "s1");
  told.lobby.close();
});

test("an attempt that is given up is no leaving: the server may have let this side in", async () => {
  const codes: number[] = [];
  const told = await enter(
    () => {},
    (frame, peer) => {
      if (frame.body.case !== "reqSignIn") return;
      if (host.opened > 2) return letIn(frame, peer, { resumed: true });
      peer.socket.on("close", (code) => codes.push(code));
    },
    { requestDeadlineMs: 50 },
  );
  host.cut();
  await until("this side is back", () => told.resumed.length === 1);
  await until("the other connection is closed", () => codes.length === 1);
  assert.deepEqual(codes, [4000]);
  told.lobby.close();
});

test("after too long a drop what was asked is unknown, and what can be shown is shown", async () => {
  const told = await enter(
    (_, peer) => peer.socket.terminate(),
    (frame, peer) => {
      if (frame.body.case === "reqSignIn") letIn(frame, peer, { servicesDown: [Service.MATCH] });
    },
  );
  const services: unknown[] = [];
  told.lobby.on("service", (event) => services.push(event));
  await assert.rejects(told.lobby.findMatch("gomoku"), OutcomeUnknown);
  assert.deepEqual(told.resumed, [{ complete: false }]);
  assert.deepEqual(services, [{ service: "MATCH", up: false }]);
  assert.ok(told.lobby.servicesDown.has("MATCH"));
  told.lobby.close();
});

test("a search that goes on without its line is taken up", async () => {
  const told = await enter(
    (_, peer) => peer.socket.terminate(),
    (frame, peer) => {
      if (frame.body.case !== "reqSignIn") return;
      letIn(frame, peer, { matchState: { state: State.SEARCHING, domain: "gomoku" } }, 7);
      made(peer);
    },
  );
  const states: MatchState[] = [];
  const match = await told.lobby.findMatch("gomoku", { onState: (state) => states.push(state) });
  assert.equal(match.sceneId, "s1");
  assert.deepEqual(
    states.map(({ state }) => state),
    ["SEARCHING"],
  );
  told.lobby.close();
});

test("a line that goes on elsewhere than this side was is wrong", async () => {
  const told = await enter(
    (frame, peer) => searching(peer, frame.request),
    (frame, peer) => {
      if (frame.body.case === "reqSignIn") letIn(frame, peer, { resumed: true, lastRequest: 2 }, 9);
    },
  );
  const search = told.lobby.findMatch("gomoku", { deadlineMs: 1_000 });
  await until("the search has begun", () => told.lobby.matchState !== undefined);
  host.cut();
  await assert.rejects(search, /frames go on after 9 and not after 1/);
  assert.deepEqual([told.resumed.length, told.gone.length], [0, 1]);
});

test("a match that was made during too long a drop is asked for by its seat", async () => {
  const told = await enter(
    (frame, peer) => searching(peer, frame.request),
    (frame, peer) => {
      if (frame.body.case === "reqSignIn") letIn(frame, peer, { sceneId: "s1" });
      else if (frame.body.case === "reqRejoin") made(peer, frame.request);
    },
  );
  const states: MatchState[] = [];
  const search = told.lobby.findMatch("gomoku", { onState: (state) => states.push(state) });
  await until("the search has begun", () => states.length === 1);
  host.cut();
  assert.equal((await search).sceneId, "s1");
  told.lobby.close();
});

test("a search that is taken back during too long a drop is taken back after it", async () => {
  const told = await enter(
    (frame, peer) => {
      if (frame.body.case === "reqMatch") searching(peer, frame.request);
      else peer.socket.terminate();
    },
    (frame, peer) => {
      if (frame.body.case === "reqSignIn") {
        letIn(frame, peer, { matchState: { state: State.SEARCHING, domain: "gomoku" } });
      } else if (frame.body.case === "reqCancelMatch") {
        peer.send({ case: "synMatchState", value: { state: State.IDLE } }, frame.request);
      }
    },
  );
  const controller = new AbortController();
  const reason = new Error("changed my mind");
  const onState = () => controller.abort(reason);
  const search = told.lobby.findMatch("gomoku", { signal: controller.signal, onState });
  await assert.rejects(search, reason);
  told.lobby.close();
});

test("a scene that ends during its drop ends by the lobby's word", async () => {
  const seat = new Seat();
  let lobbyPeer: Peer | undefined;
  host = await Host.start((frame, peer) => {
    if (peer.path === "/v1/scene") return seat.script(frame, peer);
    lobbyPeer = peer;
    if (frame.body.case === "reqSignIn") letIn(frame, peer, { sceneId: "s1" });
    else if (frame.body.case === "reqRejoin") made(peer, frame.request);
  });
  const lobby = await Lobby.connect(host.url("/v1/lobby"), guest, options);
  const ended = async (before: boolean) => {
    seat.refusing = undefined;
    const scene = await lobby.join(await lobby.rejoin());
    const order: string[] = [];
    scene.on("ended", ({ reason }) => order.push(reason));
    scene.on("gone", () => order.push("gone"));
    const tell = () => {
      const value = { sceneId: "s1", reason: Reason.FINISHED };
      lobbyPeer!.send({ case: "synSceneEnded", value });
    };
    const heard = new Promise((resolve) => lobby.on("sceneEnded", resolve));
    // The word comes before the drop is noticed, or during it.
    if (before) (tell(), await heard);
    seat.refusing = before ? { code: Code.SCENE_ENDED } : { code: Code.STOPPING };
    seat.cut();
    if (!before) {
      await until("the drop is told", () => scene.dropped !== undefined);
      tell();
    }
    await until("it is gone", () => scene.gone !== undefined);
    assert.deepEqual(order, ["FINISHED", "gone"]);
    seat.forget();
  };
  await ended(true);
  await ended(false);
  lobby.close();
});

test("a page that is loaded again takes its search up", async () => {
  host = await Host.start((frame, peer) => {
    if (frame.body.case !== "reqSignIn") return assert.fail(`${frame.body.case} is not asked`);
    letIn(frame, peer, { matchState: { state: State.SEARCHING, domain: "gomoku" } });
    setTimeout(() => made(peer), 10);
  });
  const lobby = await Lobby.connect(host.url("/v1/lobby"), { sessionToken: "s1" }, options);
  assert.equal(lobby.matchState?.domain, "gomoku");
  const states: MatchState[] = [];
  const match = await lobby.findMatch("gomoku", { onState: (state) => states.push(state) });
  assert.deepEqual([match.sceneId, states.length], ["s1", 1]);
  assert.equal(lobby.matchState, undefined);
  lobby.close();
});

test("an expired session is renewed on the way back, and the new tokens are told first", async () => {
  const calls: unknown[] = [];
  const told = await enter(
    () => {},
    (frame, peer) => {
      if (frame.body.case !== "reqSignIn") return;
      const { credential } = frame.body.value;
      if (credential.value === "s2") letIn(frame, peer, { sessionToken: "s2", resumed: true });
      else refuse(frame, peer, Code.BAD_TOKEN);
    },
    {},
    (call, _, body) => {
      calls.push([call, body]);
      return { status: 200, json: { sessionToken: "s2", refreshToken: "r2" } };
    },
  );
  host.cut();
  await until("this side is back", () => told.resumed.length === 1);
  assert.deepEqual(calls, [["POST /v1/auth/refresh", { refreshToken: "r1" }]]);
  assert.deepEqual(
    told.tokens.map(({ sessionToken, refreshToken }) => [sessionToken, refreshToken]),
    [["s2", "r2"]],
  );
  assert.equal(told.lobby.tokens.refreshToken, "r2");
  assert.deepEqual(told.resumed, [{ complete: true }]);
  told.lobby.close();
});

test("a session that cannot be renewed is the end", async () => {
  const told = await enter(
    () => {},
    (frame, peer) => refuse(frame, peer, Code.BAD_TOKEN),
    {},
    () => ({ status: 401, json: { code: "BAD_TOKEN", text: "sign in again" } }),
  );
  host.cut();
  await until("it is gone", () => told.gone.length === 1);
  assert.deepEqual([told.gone[0]?.code, told.gone[0]?.message], ["BAD_TOKEN", "sign in again"]);
});

test("a renewal that cannot be reached is tried again", async () => {
  let calls = 0;
  const told = await enter(
    () => {},
    (frame, peer) => {
      if (frame.body.case !== "reqSignIn") return;
      if (frame.body.value.credential.value === "s2") letIn(frame, peer, { sessionToken: "s2" });
      else refuse(frame, peer, Code.BAD_TOKEN);
    },
    {},
    () => {
      calls += 1;
      if (calls === 1) return { status: 503, json: { code: "SERVICE_DOWN", retryAfterMs: 5 } };
      return { status: 200, json: { sessionToken: "s2", refreshToken: "r2" } };
    },
  );
  host.cut();
  await until("this side is back", () => told.resumed.length === 1);
  assert.equal(calls, 2);
  told.lobby.close();
});

const foreign: [string, Answer, number][] = [
  [
    "the door's line of text",
    {
      status: 429,
      text: "too many connections from your address\n",
      headers: { "content-type": "text/plain; charset=utf-8", "retry-after": "1" },
    },
    1_000,
  ],
  ["a gateway's JSON", { status: 503, json: { code: 6, message: "upstream is away" } }, 0],
  ["a proxy's page", { status: 502, text: "<html>Bad Gateway</html>" }, 0],
];
for (const [what, answer, retryAfterMs] of foreign) {
  test(`a renewal that is answered by ${what} is tried again, and the tokens stay`, async () => {
    let calls = 0;
    const told = await enter(
      () => {},
      (frame, peer) => {
        if (frame.body.case !== "reqSignIn") return;
        if (frame.body.value.credential.value === "s2") letIn(frame, peer, { sessionToken: "s2" });
        else refuse(frame, peer, Code.BAD_TOKEN);
      },
      { reconnect: { ...options.reconnect, forMsMax: 5_000 } },
      () => {
        calls += 1;
        if (calls === 1) return answer;
        return { status: 200, json: { sessionToken: "s2", refreshToken: "r2" } };
      },
    );
    const dropped: Dropped[] = [];
    told.lobby.on("dropped", (event) => dropped.push(event));
    host.cut();
    await until("the answer is told", () => dropped.length === 2);
    const { reason, retryInMs } = dropped[1]!;
    assert.equal(reason.kind, "lost");
    assert.match(reason.message, new RegExp(`answered ${answer.status}: .`));
    assert.ok(!reason.message.includes("<"), "a page is not shown");
    assert.ok(retryInMs >= retryAfterMs, `${retryInMs} ms`);
    assert.equal(told.lobby.tokens.refreshToken, "r1");
    await until("this side is back", () => told.resumed.length === 1);
    told.lobby.close();
  });
}

for (const [retryAfter, retryAfterMs] of [
  ["3600", 60_000],
  ["Thu, 31 Dec 2099 23:59:59 GMT", 60_000],
  ["Thu, 01 Jan 1970 00:00:00 GMT", 0],
  ["soon", 0],
] as const) {
  test(`a proxy that asks to wait with "${retryAfter}" is waited for ${retryAfterMs} ms`, async () => {
    const told = await enter(
      () => {},
      () => {},
      {},
      () => ({ status: 503, headers: { "retry-after": retryAfter } }),
    );
    const shown = told.lobby.account.show();
    await assert.rejects(shown, (e) => e instanceof Closed && e.retryAfterMs === retryAfterMs);
    told.lobby.close();
  });
}

test("an answer that is not the server's and stays as it is is the end", async () => {
  const told = await enter(
    () => {},
    (frame, peer) => refuse(frame, peer, Code.BAD_TOKEN),
    {},
    () => ({ status: 403, json: { code: "ACCESS_DENIED", text: "by the firewall" } }),
  );
  host.cut();
  await until("it is gone", () => told.gone.length === 1);
  assert.deepEqual([told.gone[0]?.kind, told.gone[0]?.code], ["protocol", "CODE_UNSPECIFIED"]);
  assert.match(told.gone[0]!.message, /answered 403/);
});

test("a session that was ended elsewhere is the end", async () => {
  const told = await enter(
    (_, peer) => {
      peer.send({ case: "synClosing", value: { code: Code.SESSION_ENDED } }, 0, 0);
      peer.socket.close();
    },
    () => assert.fail("nobody comes back"),
  );
  await assert.rejects(told.lobby.findMatch("gomoku"), Closed);
  assert.equal(told.gone[0]?.code, "SESSION_ENDED");
  assert.equal(host.opened, 1);
});

for (const [how, answer] of [
  ["ends the session over HTTP", { status: 204 }],
  ["is done if the session is void", { status: 401, json: { code: "BAD_TOKEN" } }],
] as const) {
  test(`signing out during a drop ${how}, and waits for no return`, async () => {
    const calls: string[] = [];
    const told = await enter(
      () => {},
      (_, peer) => peer.socket.terminate(),
      {},
      (call, token) => {
        calls.push(`${call} ${token ?? ""}`.trim());
        return answer;
      },
    );
    host.cut();
    await until("the drop is told", () => told.lobby.dropped !== undefined);
    await told.lobby.signOut();
    assert.equal(calls[0], "POST /v1/auth/sign-out s1");
    assert.equal(told.gone[0]?.kind, "left");
  });
}

test("signing out during a drop fails when the server cannot be reached, and the way back goes on", async () => {
  let away = true;
  const told = await enter(
    () => {},
    (frame, peer) => {
      if (away) return peer.socket.terminate();
      if (frame.body.case === "reqSignIn") letIn(frame, peer, { resumed: true });
    },
    {},
    () => ({ status: 502 }),
  );
  host.cut();
  await until("the drop is told", () => told.lobby.dropped !== undefined);
  await assert.rejects(told.lobby.signOut(), Closed);
  away = false;
  await until("this side is back", () => told.resumed.length === 1);
  told.lobby.close();
});

test("the first sign-in renews an expired session, too, and every pair of tokens is told", async () => {
  host = await Host.start(
    (frame, peer) => {
      if (frame.body.case !== "reqSignIn") return;
      if (frame.body.value.credential.value === "s1") letIn(frame, peer, { sessionToken: "s1" });
      else refuse(frame, peer, Code.BAD_TOKEN);
    },
    () => ({ status: 200, json: { sessionToken: "s1", refreshToken: "r1" } }),
  );
  const told: Tokens[] = [];
  const credential = { sessionToken: "s0", refreshToken: "r0" };
  const onTokens = (tokens: Tokens) => told.push(tokens);
  const url = host.url("/v1/lobby");
  const lobby = await Lobby.connect(url, credential, { ...options, onTokens });
  assert.deepEqual(
    told.map(({ refreshToken }) => refreshToken),
    ["r1"],
  );
  lobby.close();
  const without = Lobby.connect(url, { sessionToken: "s0" }, options);
  await assert.rejects(without, (error) => error instanceof Refused && error.code === "BAD_TOKEN");
});

test("the account is shown and changed over HTTP, with a session that is renewed when it must be", async () => {
  const calls: string[] = [];
  const told = await enter(
    () => {},
    () => {},
    {},
    (call, token, body) => {
      calls.push(`${call} ${token ?? ""} ${body ? JSON.stringify(body) : ""}`.trim());
      if (call.endsWith("refresh")) {
        return { status: 200, json: { sessionToken: "s2", refreshToken: "r2" } };
      }
      if (token !== "s2") return { status: 401, json: { code: "BAD_TOKEN" } };
      if (call.endsWith("link")) return { status: 409, json: { code: "TAKEN", text: "taken" } };
      if (!call.startsWith("GET")) return { status: 204 };
      const session = { sessionId: "0a", device: "Firefox", usedMs: "3600000", own: true };
      return { status: 200, json: { sessions: [session], identities: ["name/ada"] } };
    },
  );
  const { account } = told.lobby;
  const { sessions, identities } = await account.show();
  assert.deepEqual(identities, ["name/ada"]);
  assert.deepEqual(
    sessions.map(({ sessionId, device, used, own }) => [sessionId, device, used.getTime(), own]),
    [["0a", "Firefox", 3_600_000, true]],
  );
  await account.endSession("0a");
  const link = account.link({ password: { name: "ada", password: "12345678" } });
  await assert.rejects(link, (error) => error instanceof Refused && error.code === "TAKEN");
  await account.signOutEverywhere();
  assert.deepEqual(calls, [
    "GET /v1/account s1",
    'POST /v1/auth/refresh  {"refreshToken":"r1"}',
    "GET /v1/account s2",
    "DELETE /v1/account/sessions/0a s2",
    'POST /v1/account/link s2 {"password":{"name":"ada","password":"12345678"}}',
    'POST /v1/auth/sign-out s2 {"everywhere":true}',
  ]);
  const { lobby } = told;
  host.stop();
  await assert.rejects(account.show(), Closed);
  lobby.close();
});

// Behaviour of a seat whose connection is lost, against the server's side of a line.
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { Code } from "../src/gen/scenehost/v1/client_pb.js";
import {
  Closed,
  Overflow,
  Scene,
  type ConnectOptions,
  type Dropped,
  type Resumed,
} from "../src/index.js";
import { Host, options, until, type Peer } from "./host.js";
import { Seat } from "./seat.js";

let host: Host;
let seat: Seat;
afterEach(() => host.stop());

/** A scene and all that it tells. */
async function enter(more: ConnectOptions = {}) {
  seat = new Seat();
  host = await Host.start(seat.script);
  const reconnect = { ...options.reconnect, ...more.reconnect };
  const scene = await Scene.join(host.url("/v1/scene"), "t", { ...options, ...more, reconnect });
  const told = {
    scene,
    messages: [] as string[],
    dropped: [] as Dropped[],
    resumed: [] as Resumed[],
    gone: [] as Closed[],
  };
  scene.on("message", (bytes) => told.messages.push(new TextDecoder().decode(bytes)));
  scene.on("dropped", (event) => told.dropped.push(event));
  scene.on("resumed", (event) => told.resumed.push(event));
  scene.on("gone", (event) => told.gone.push(event));
  return told;
}

const say = (scene: Scene, text: string) => scene.send(new TextEncoder().encode(text));
const numbers = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => String(from + i));

/** The server is away: it takes connections and cuts them. */
function away(): () => void {
  const { script } = host;
  host.script = (_, peer) => peer.socket.terminate();
  host.cut();
  return () => (host.script = script);
}

test("fifty cuts lose and double nothing", async () => {
  const told = await enter();
  const { script } = host;
  let frames = 0;
  let cuts = 0;
  // Every few frames of the client the line is cut: before the server has the frame, after it, or
  // during the way back.
  host.script = (frame, peer) => {
    frames += 1;
    if (cuts < 50 && frames % 5 === 3) {
      cuts += 1;
      if (cuts % 2 === 0) script(frame, peer);
      peer.socket.terminate();
    } else script(frame, peer);
  };
  for (const i of numbers(0, 160)) {
    say(told.scene, i);
    seat.tell(`from the game ${i}`);
    await new Promise((resolve) => setTimeout(resolve, 4));
  }
  await until("all echoes are back", () => told.messages.includes("159"), 20_000);
  assert.equal(cuts, 50);
  assert.deepEqual(seat.heard, numbers(0, 160));
  const echoes = told.messages.filter((text) => /^\d+$/.test(text));
  assert.deepEqual(echoes, numbers(0, 160));
  const said = told.messages.filter((text) => text.startsWith("from the game"));
  assert.deepEqual(
    said,
    numbers(0, 160).map((i) => `from the game ${i}`),
  );
  assert.ok(told.resumed.length > 0 && told.resumed.every(({ complete }) => complete));
  assert.equal(told.gone.length, 0);
  told.scene.close();
});

test("what is sent during a drop goes out after the return, in order and no faster than the server takes it", async () => {
  const told = await enter();
  const back = away();
  await until("the drop is told", () => told.dropped.length > 0);
  assert.equal(told.scene.dropped?.reason.kind, "lost");
  for (const text of numbers(0, 30)) say(told.scene, text);
  assert.ok(told.scene.sendBufferBytes > 30);
  back();
  await until("this side is back", () => told.resumed.length === 1);
  const sinceMs = performance.now();
  say(told.scene, "30");
  await until("all is heard", () => seat.heard.length === 31);
  assert.ok(performance.now() - sinceMs > 600, "at most 40 a second");
  assert.deepEqual(seat.heard, numbers(0, 31));
  assert.deepEqual(told.resumed, [{ complete: true }]);
  assert.equal(told.scene.dropped, undefined);
  told.scene.close();
});

test("more than may be kept is refused at once, and the rest is sent", async () => {
  const told = await enter({ sendBufferMessagesMax: 8 });
  const back = away();
  await until("the drop is told", () => told.dropped.length > 0);
  for (const text of numbers(0, 8)) say(told.scene, text);
  assert.throws(() => say(told.scene, "8"), Overflow);
  back();
  await until("all is heard", () => seat.heard.length === 8);
  assert.deepEqual(seat.heard, numbers(0, 8));
  told.scene.close();
});

for (const limit of [{ sendBufferMessagesMax: 8 }, { sendBufferBytesMax: 200 }]) {
  const what = Object.keys(limit)[0];
  test(`what has arrived is let go of, so that a long game never fills ${what}`, async () => {
    const told = await enter(limit);
    for (const text of numbers(0, 100)) {
      say(told.scene, text);
      await until("its echo is back", () => told.messages.includes(text));
    }
    assert.deepEqual(seat.heard, numbers(0, 100));
    told.scene.close();
  });
}

test("the server hears what has come, from the next frame or by a ping of its own", async () => {
  const told = await enter();
  for (const text of numbers(0, 5)) seat.tell(text);
  await until("five messages came", () => told.messages.includes("4"));
  say(told.scene, "x");
  await until("it is heard", () => seat.seen === 6);
  for (const text of numbers(0, 64)) seat.tell(text);
  await until("a ping tells it", () => seat.seen > 60);
  told.scene.close();
});

test("after a return the server hears of this side at once", async () => {
  const told = await enter();
  host.cut();
  await until("this side is back", () => told.resumed.length === 1);
  await until("a ping came", () => host.cases().at(-1) === "ping");
  assert.equal(host.received.at(-1)?.seen, 1);
  told.scene.close();
});

test("who missed more than is kept begins with the whole state; what was sent is not lost", async () => {
  const told = await enter();
  seat.keptMax = 2;
  const back = away();
  await until("the drop is told", () => told.dropped.length > 0);
  say(told.scene, "meanwhile");
  for (const text of numbers(0, 5)) seat.tell(text);
  back();
  await until("its echo is back", () => told.messages.includes("meanwhile"));
  assert.deepEqual(told.resumed, [{ complete: false }]);
  assert.deepEqual(told.messages, ["the whole state", "the whole state", "meanwhile"]);
  assert.deepEqual(seat.heard, ["meanwhile"]);
  told.scene.close();
});

for (const name of ["BAD_TOKEN", "NO_SEAT", "SCENE_ENDED", "TOKEN_EXPIRED"] as const) {
  test(`a return that is refused with ${name} is the end, told once`, async () => {
    const told = await enter();
    seat.refusing = { code: Code[name] };
    const leaving = assert.rejects(
      until("it is gone", () => told.gone.length > 0).then(() => told.scene.leave()),
      Closed,
    );
    host.cut();
    await leaving;
    assert.deepEqual(
      told.gone.map(({ kind, code }) => [kind, code]),
      [["server", name]],
    );
    assert.equal(told.scene.gone, told.gone[0]);
    assert.equal(told.dropped.length, 1);
    assert.throws(() => say(told.scene, "late"), Closed);
    assert.equal(host.opened, 2);
  });
}

test("a seat that was entered elsewhere is not taken back", async () => {
  const told = await enter();
  host.script = (_, peer) => {
    peer.send({ case: "synClosing", value: { code: Code.TAKEN_OVER } }, 0, 0);
    peer.socket.close();
  };
  say(told.scene, "anything");
  await until("it is gone", () => told.gone.length === 1);
  assert.equal(told.gone[0]?.code, "TAKEN_OVER");
  assert.deepEqual([told.dropped.length, host.opened], [0, 1]);
});

for (const [code, back] of [
  ["STOPPING", true],
  ["TAKEN_OVER", false],
] as const) {
  test(`a server that says ${code} and then nothing is not waited for`, async () => {
    const told = await enter({ requestDeadlineMs: 100, keepAliveMs: 20_000 });
    const { script } = host;
    host.script = (_, peer) => {
      host.script = script;
      peer.send({ case: "synClosing", value: { code: Code[code] } }, 0, 0);
      // Nothing goes out or comes in any more, and no reset tells of it.
      peer.socket.pause();
    };
    say(told.scene, "anything");
    await until("its end is told", () => told.dropped.length + told.gone.length > 0);
    assert.equal((told.dropped[0]?.reason ?? told.gone[0])?.code, code);
    await until("it came to this", () => (back ? told.resumed : told.gone).length === 1);
    told.scene.close();
  });
}

test("a server that stops is tried again", async () => {
  const told = await enter();
  const { script } = host;
  host.script = (_, peer) => {
    peer.send({ case: "synClosing", value: { code: Code.STOPPING } }, 0, 0);
    peer.socket.close();
    host.script = script;
  };
  say(told.scene, "anything");
  await until("this side is back", () => told.resumed.length === 1);
  assert.equal(told.dropped[0]?.reason.code, "STOPPING");
  await until("it is heard", () => seat.heard.length === 1);
  told.scene.close();
});

test("attempts come at once, then ever later, until there is no sense in it", async () => {
  const random = () => 0.999999;
  const told = await enter({
    reconnect: { backOffMs: 4, backOffMsMax: 20, forMsMax: 120, random },
  });
  host.stop();
  await until("it is gone", () => told.gone.length === 1);
  const waits = told.dropped.map(({ retryInMs }) => retryInMs);
  assert.deepEqual(waits.slice(0, 5), [0, 4, 8, 16, 20]);
  assert.deepEqual(
    told.dropped.map(({ attempts }) => attempts),
    [...waits.keys()],
  );
  assert.equal(told.gone[0]?.kind, "lost");
  const totalMs = waits.reduce((sum, ms) => sum + ms, 0);
  assert.ok(totalMs <= 120, `${totalMs} ms`);
});

test("connections that break at once come ever more slowly, and one that stands ends that", async () => {
  const told = await enter({
    reconnect: { backOffMs: 200, backOffMsMax: 400, stoodMsMin: 300, random: () => 0.999999 },
  });
  for (let drops = 1; drops <= 3; drops++) {
    host.cut();
    await until("this side is back", () => told.resumed.length === drops);
  }
  await new Promise((resolve) => setTimeout(resolve, 450));
  host.cut();
  await until("this side is back", () => told.resumed.length === 4);
  assert.deepEqual(
    told.dropped.map(({ retryInMs }) => retryInMs),
    [0, 200, 400, 0],
  );
  told.scene.close();
});

test("connections that stand for less than a second come more slowly, too", async () => {
  const told = await enter({
    reconnect: { backOffMs: 10, backOffMsMax: 40, random: () => 0.999999 },
  });
  for (let drops = 1; drops <= 4; drops++) {
    host.cut();
    await until("this side is back", () => told.resumed.length === drops);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.deepEqual(
    told.dropped.map(({ retryInMs }) => retryInMs),
    [0, 10, 20, 40],
  );
  told.scene.close();
});

test("a server that asks for time gets it, and those it asks do not come in step", async () => {
  const told = await enter({
    reconnect: { backOffMs: 20, backOffMsMax: 30, random: () => 0.5 },
  });
  seat.refusing = { code: Code.OVERLOADED, retryAfterMs: 70 };
  host.cut();
  await until("the refusal is told", () => told.dropped.length === 2);
  seat.refusing = undefined;
  assert.equal(told.dropped[1]?.retryInMs, 70 + 15);
  assert.equal(told.dropped[1]?.reason.code, "OVERLOADED");
  await until("this side is back", () => told.resumed.length === 1);
  told.scene.close();
});

test("a fault of the server at the return is tried again", async () => {
  const told = await enter();
  seat.refusing = { code: Code.INTERNAL };
  host.cut();
  await until("the refusal is told", () => told.dropped.length >= 2);
  seat.refusing = undefined;
  await until("this side is back", () => told.resumed.length === 1);
  assert.equal(told.dropped[1]?.reason.code, "INTERNAL");
  told.scene.close();
});

test("a frame that was lost is asked for again by another connection", async () => {
  const told = await enter();
  await until("the state is told", () => told.messages.length === 1);
  seat.tell("one");
  seat.lose("two");
  seat.tell("three");
  await until("this side is back", () => told.resumed.length === 1);
  await until("all is told", () => told.messages.length === 4);
  assert.deepEqual(told.messages, ["the whole state", "one", "two", "three"]);
  assert.deepEqual(told.resumed, [{ complete: true }]);
  assert.equal(told.dropped[0]?.reason.kind, "lost");
  assert.match(told.dropped[0]!.reason.message, /frame 4 came where 3 was due/);
  told.scene.close();
});

test("a network that is back is tried at once", async () => {
  const network = new EventTarget();
  const { addEventListener, removeEventListener } = globalThis;
  globalThis.addEventListener = network.addEventListener.bind(network) as typeof addEventListener;
  globalThis.removeEventListener = network.removeEventListener.bind(
    network,
  ) as typeof removeEventListener;
  try {
    const reconnect = { backOffMs: 30_000, backOffMsMax: 30_000, forMsMax: 120_000 };
    const told = await enter({ reconnect: { ...reconnect, random: () => 0.9 } });
    const back = away();
    await until("an attempt has failed", () => told.dropped.length === 2);
    back();
    network.dispatchEvent(new Event("online"));
    await until("this side is back", () => told.resumed.length === 1);
    told.scene.close();
  } finally {
    globalThis.addEventListener = addEventListener;
    globalThis.removeEventListener = removeEventListener;
  }
});

test("closing during a drop ends it at once", async () => {
  const reconnect = { backOffMs: 30_000, backOffMsMax: 30_000, forMsMax: 120_000 };
  const told = await enter({ reconnect });
  away();
  await until("an attempt has failed", () => told.dropped.length === 2);
  told.scene.close();
  assert.equal(told.gone[0]?.kind, "left");
  assert.equal(told.scene.dropped, undefined);
  await assert.rejects(told.scene.ping(), Closed);
});

test("leaving during a drop is leaving after it", async () => {
  const told = await enter();
  const back = away();
  await until("the drop is told", () => told.dropped.length > 0);
  say(told.scene, "farewell");
  const left = told.scene.leave();
  back();
  assert.equal((await left).reason, "LEFT");
  assert.deepEqual(seat.heard, ["farewell"]);
  await until("it is gone", () => told.gone.length === 1);
  assert.equal(told.gone[0]?.kind, "left");
});

test("an answer to the first entry that was lost is asked for again, where that is wanted", async () => {
  seat = new Seat();
  host = await Host.start((frame, peer) => {
    // The answer does not leave.
    seat.script(frame, { send: () => {} } as unknown as Peer);
    peer.socket.terminate();
    host.script = seat.script;
  });
  const join = (first: boolean) =>
    Scene.join(host.url("/v1/scene"), "t", {
      ...options,
      reconnect: { ...options.reconnect, first },
    });
  const scene = await join(true);
  assert.equal(scene.domain, "echo");
  const body = host.received[1]?.body;
  assert.equal(body?.case === "reqJoinScene" && body.value.resumeSeq, 0);
  scene.close();
  host.script = (_, peer) => peer.socket.terminate();
  await assert.rejects(join(false), Closed);
});

test("a server that says it has what was never sent is wrong", async () => {
  const told = await enter();
  host.script = (frame, peer) => {
    if (frame.body.case !== "ping") return;
    const { payload } = frame.body.value;
    peer.send({ case: "pong", value: { payload, received: 9 } }, 0, 0);
  };
  void told.scene.ping();
  await until("it is gone", () => told.gone.length === 1);
  assert.equal(told.gone[0]?.kind, "protocol");
});

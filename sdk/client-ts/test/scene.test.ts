// Behaviour of a seat in a scene, against a scripted server.
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { Code, SynSceneEnded_Reason as Reason } from "../src/gen/scenehost/v1/client_pb.js";
import { Closed, MESSAGE_BYTES_MAX, Overflow, Refused, Scene } from "../src/index.js";
import { Host, options, play, type Peer, type Script } from "./host.js";

let host: Host;
afterEach(() => host.stop());

async function sceneAt(script: Script, more = {}): Promise<Scene> {
  host = await Host.start(script);
  return Scene.join(host.url("/v1/scene"), "token", { ...options, ...more });
}

const say = (peer: Peer, text: string) =>
  peer.send({ case: "sceneMessage", value: { body: new TextEncoder().encode(text) } });

for (const encoding of ["proto", "json"] as const) {
  test(`messages go both ways as bytes and as JSON, in ${encoding}`, async () => {
    const scene = await sceneAt(
      play((frame, peer) => {
        if (frame.body.case === "sceneMessage") peer.send(frame.body);
      }),
      { encoding },
    );
    const heard: unknown[] = [];
    const game = scene.json<unknown, { x: number }>();
    const both = new Promise<void>((resolve) => {
      game.on((message) => heard.push(message) === 2 && resolve());
    });
    scene.send(new TextEncoder().encode('"raw"'));
    game.send({ x: 7 });
    await both;
    assert.deepEqual(heard, ["raw", { x: 7 }]);
    scene.close();
  });
}

test("messages that come before the first listener are kept", async () => {
  const scene = await sceneAt((frame, peer) => {
    play()(frame, peer);
    say(peer, "1");
    say(peer, "2");
  });
  await new Promise((resolve) => setTimeout(resolve, 20));
  const heard: unknown[] = [];
  scene.json().on((message) => heard.push(message));
  assert.deepEqual(heard, [1, 2]);
  scene.close();
});

test("a scene to which nobody listens is closed before it fills the memory", async () => {
  const scene = await sceneAt((frame, peer) => {
    play()(frame, peer);
    for (let i = 0; i < 1_100; i++) say(peer, "0");
  });
  const closed = await new Promise<Closed>((resolve) => scene.on("gone", resolve));
  assert.match(closed.message, /nothing listens/);
});

test("a token that does not enter is a refusal", async () => {
  await assert.rejects(
    sceneAt((frame, peer) =>
      peer.send({ case: "refused", value: { code: Code.BAD_TOKEN } }, frame.request),
    ),
    (error) => error instanceof Refused && error.code === "BAD_TOKEN",
  );
});

test("an end is told once, with its reason and results, and then all is over", async () => {
  const scene = await sceneAt((frame, peer) => {
    play()(frame, peer);
    peer.send({
      case: "synSceneEnded",
      value: {
        sceneId: "s1",
        reason: Reason.CRASHED,
        text: "out of memory",
        results: [{ seat: 1, place: 1, score: 3n }],
      },
    });
  });
  const order: string[] = [];
  scene.on("ended", (end) => order.push(end.reason));
  await new Promise<void>((resolve) =>
    scene.on("gone", () => {
      order.push("gone");
      resolve();
    }),
  );
  assert.deepEqual(order, ["CRASHED", "gone"]);
  assert.equal(scene.end?.text, "out of memory");
  assert.equal(scene.end?.results[0]?.score, 3n);
  assert.throws(() => scene.send({}), Closed);
});

test("leaving gives the end", async () => {
  const scene = await sceneAt(
    play((frame, peer) => {
      if (frame.body.case !== "reqLeaveScene") return;
      peer.send({ case: "synSceneEnded", value: { reason: Reason.LEFT } }, frame.request);
    }),
  );
  assert.equal((await scene.leave()).reason, "LEFT");
  assert.equal((await scene.leave()).reason, "LEFT");
});

test("too large a message and too full a buffer are refused on this side", async () => {
  const scene = await sceneAt(play(), { sendBufferBytesMax: 100_000 });
  assert.throws(() => scene.send(new Uint8Array(MESSAGE_BYTES_MAX)), Overflow);
  const burst = () => {
    for (let i = 0; i < 1_000; i++) scene.send(new Uint8Array(60_000));
  };
  assert.throws(burst, Overflow);
  scene.close();
});

test("a refusal of a message is told", async () => {
  const scene = await sceneAt(
    play((_, peer) => peer.send({ case: "refused", value: { code: Code.RATE_LIMITED } })),
  );
  const refused = new Promise<Refused>((resolve) => scene.on("refused", resolve));
  scene.send({});
  assert.equal((await refused).code, "RATE_LIMITED");
  scene.close();
});

test("a game that says it speaks JSON and does not is a breach", async () => {
  const scene = await sceneAt(play((_, peer) => say(peer, "{")));
  const closed = new Promise<Closed>((resolve) => scene.on("gone", resolve));
  scene.json().on(() => assert.fail("unreadable"));
  scene.send({});
  assert.equal((await closed).kind, "protocol");
});

// Games that are going on, against a scripted server: found, joined, watched.
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { Code, SynSceneEnded_Reason } from "../src/gen/scenehost/v1/client_pb.js";
import { Lobby, Refused, type SceneEnd, type Spectator } from "../src/index.js";
import { guest, Host, options, play, until, type Peer, type Script } from "./host.js";

let host: Host;
afterEach(() => host.stop());

async function lobbyThat(answer: Script): Promise<Lobby> {
  host = await Host.start(play(answer));
  return Lobby.connect(host.url("/v1/lobby"), guest, options);
}

test("finds games by their labels, page by page", async () => {
  const label = '{"map":"ice","round":2}';
  const game = { sceneId: "s1", domain: "arena", players: 3, playersMax: 16, label, canJoin: true };
  const lobby = await lobbyThat((frame, peer) =>
    peer.send(
      {
        case: "resScenes",
        value: { scenes: [{ ...game, startedMs: 5n }, { label: "[1]" }], next: "place" },
      },
      frame.request,
    ),
  );
  const { scenes, next } = await lobby.findScenes({
    domain: "arena",
    label: { map: ["ice", "sand"], ranked: true, round: { atMost: 3 }, size: 8 },
    joinable: true,
    limit: 2,
    after: "before",
  });
  assert.equal(next, "place");
  assert.deepEqual(scenes[0], {
    ...game,
    label: { map: "ice", round: 2 },
    spectators: 0,
    started: new Date(5),
    canWatch: false,
  });
  assert.equal(scenes[1]!.label, undefined, "no object");
  const asked = host.received.at(-1)!.body;
  assert.ok(asked.case === "reqScenes" && asked.value.ask.case === "find");
  const { conditions, limit, after, joinable, watchable } = asked.value.ask.value;
  assert.deepEqual(
    { limit, after, joinable, watchable },
    { limit: 2, after: "before", joinable: true, watchable: false },
  );
  assert.deepEqual(
    conditions.map(({ field, values, atLeast, atMost }) => [
      field,
      values.map(({ value }) => value.value),
      atLeast,
      atMost,
    ]),
    [
      ["map", ["ice", "sand"], undefined, undefined],
      ["ranked", [true], undefined, undefined],
      ["round", [], undefined, 3],
      ["size", [8], undefined, undefined],
    ],
  );
});

test("joins a game that is going on, and enters it as after a match", async () => {
  const lobby = await lobbyThat((frame, peer) => {
    if (frame.body.case !== "reqScenes") return;
    const way = { sceneId: "s1", domain: "gomoku", sceneUrl: "/v1/scene/s1", sceneToken: "token" };
    peer.send({ case: "resMatch", value: way }, frame.request);
  });
  const scene = await lobby.join(await lobby.joinScene("s1"));
  assert.equal(scene.seat, 1);
  assert.equal(lobby.heldSceneId, "s1");
  const asked = host.received[1]!.body;
  assert.deepEqual(asked.case === "reqScenes" && asked.value.ask, { case: "join", value: "s1" });
});

test("tells why a game cannot be joined", async () => {
  const lobby = await lobbyThat((frame, peer) =>
    peer.send(
      { case: "refused", value: { code: Code.SCENE_FULL, text: "all seats are taken" } },
      frame.request,
    ),
  );
  await assert.rejects(lobby.joinScene("s1"), (error) => {
    return error instanceof Refused && error.code === "SCENE_FULL";
  });
});

/** A game whose watch tokens let in once each, and what its watchers are connected by. */
class Watched {
  readonly peers: Peer[] = [];
  #tokens = 0;
  #used = new Set<string>();

  readonly script: Script = (frame, peer) => {
    const { body, request } = frame;
    if (body.case === "reqScenes") {
      const watchToken = `token ${++this.#tokens}`;
      const way = { sceneId: "s1", domain: "arena", sceneUrl: "/v1/scene/s1", watchToken };
      return peer.send({ case: "resWatch", value: { ...way, delayMs: 2_000 } }, request);
    }
    if (body.case !== "reqWatchScene") return;
    const { watchToken } = body.value;
    if (this.#used.has(watchToken)) {
      return peer.send({ case: "refused", value: { code: Code.BAD_TOKEN } }, request, 0);
    }
    this.#used.add(watchToken);
    this.peers.push(peer);
    const players = [{ seat: 0, name: "Ada" }];
    const value = { sceneId: "s1", domain: "arena", players, delayMs: 2_000 };
    peer.send({ case: "resWatchScene", value }, request, 0);
    this.show(`whole ${this.peers.length}`);
  };

  show(text: string): void {
    const body = new TextEncoder().encode(JSON.stringify(text));
    this.peers.at(-1)!.send({ case: "sceneMessage", value: { body } }, 0, 0);
  }

  end(): void {
    const reason = SynSceneEnded_Reason.FINISHED;
    const value = { sceneId: "s1", reason, results: [{ seat: 0, place: 1 }] };
    this.peers.at(-1)!.send({ case: "synSceneEnded", value }, 0, 0);
  }
}

async function watching(): Promise<[Watched, Spectator, string[]]> {
  const game = new Watched();
  const lobby = await lobbyThat(game.script);
  const spectator = await lobby.watchScene("s1");
  const seen: string[] = [];
  spectator.onJson<string>((text) => seen.push(text));
  return [game, spectator, seen];
}

test("watches a game until its end, and sees what came before anybody listened", async () => {
  const [game, spectator, seen] = await watching();
  assert.equal(spectator.delayMs, 2_000);
  assert.equal(spectator.players[0]!.name, "Ada");
  await until("what was shown at first", () => seen.length === 1);
  game.show("a change");
  game.end();
  const end = await new Promise<SceneEnd>((resolve) => spectator.on("ended", resolve));
  assert.deepEqual(seen, ["whole 1", "a change"]);
  assert.equal(end.reason, "FINISHED");
  await until("the last event", () => spectator.gone !== undefined);
  assert.equal(spectator.gone!.kind, "left");
});

test("comes back to watch by another token when the connection is lost", async () => {
  const [game, spectator, seen] = await watching();
  const told: string[] = [];
  spectator.on("dropped", () => told.push("dropped"));
  spectator.on("resumed", ({ complete }) => told.push(`resumed, complete: ${complete}`));
  await until("what was shown at first", () => seen.length === 1);
  game.peers[0]!.socket.terminate();
  await until("the whole view again", () => seen.includes("whole 2"));
  assert.deepEqual(told, ["dropped", "resumed, complete: false"]);
});

test("a game that shows no JSON to who wants JSON ends the watching", async () => {
  const [game, spectator] = await watching();
  const body = new Uint8Array([0xff]);
  game.peers[0]!.send({ case: "sceneMessage", value: { body } }, 0, 0);
  await until("the end", () => spectator.gone !== undefined);
  assert.equal(spectator.gone!.kind, "protocol");
});

test("who has seen enough closes the connection", async () => {
  const [game, spectator] = await watching();
  spectator.close();
  await until("the end", () => spectator.gone !== undefined);
  await until("the server's word of it", () => game.peers[0]!.socket.readyState !== 1);
});

// What users ask the lobby for besides matches, against a scripted server.
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { RecordReaders } from "../src/gen/scenehost/v1/records_pb.js";
import { Code } from "../src/gen/scenehost/v1/client_pb.js";
import { Closed, Lobby, Refused } from "../src/index.js";
import { guest, Host, options, play, type Peer } from "./host.js";

let host: Host;
afterEach(() => host.stop());

type Frame = Parameters<NonNullable<Parameters<typeof play>[0]>>[0];

/** A lobby whose server answers requests by `answer`; what was asked is noted in `asked`. */
async function lobbyThat(answer: (frame: Frame, peer: Peer) => void): Promise<[Lobby, Frame[]]> {
  const asked: Frame[] = [];
  host = await Host.start(
    play((frame, peer) => {
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

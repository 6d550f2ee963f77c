// Behaviour of playing back a match: what is read of a file, where it stands, and what is shown then.
import assert from "node:assert/strict";
import { test } from "node:test";
import { NOBODY, Picture } from "../src/arena/picture.js";
import type { Event as ArenaEvent } from "../src/arena/world.js";
import { reduce, type Event, type Game } from "../src/gomoku/game.js";
import { describe } from "../src/replay/describe.js";
import { gameOf, tellings } from "../src/replay/games.js";
import { BadFile, readJournal, type Json } from "../src/replay/journal.js";
import { FILE_BYTES_MAX, readFile } from "../src/replay/load.js";
import { drawnMarks, marksOf } from "../src/replay/marks.js";
import * as playhead from "../src/replay/playhead.js";
import { pretty } from "../src/replay/pretty.js";
import {
  feed,
  Follower,
  SPECTATORS,
  toldTo,
  viewpointsOf,
  type Message,
} from "../src/replay/viewpoint.js";

const began = (plugin: string, tickRateHz = 0) => ({
  began: {
    plugin,
    tick_rate_hz: tickRateHz,
    scene: "6f1c",
    fleet: plugin,
    digest: "00ff",
    started_ms: 1,
    players: [
      { seat: 0, name: "Ada" },
      { seat: 1, name: "Bob" },
    ],
  },
});
const ended = { ended: { how: "ended", reason: "Finished" } };
const joined = (seat: number, name: string) => ({ event: "joined", player: { seat, name } });
const send = (to: Json, body: object) => ({ command: "send", to, text: JSON.stringify(body) });
const show = (body: object) => ({ command: "show", whole: false, text: JSON.stringify(body) });

function journal(...lines: object[]) {
  return readJournal(lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
}

function refusal(text: string): string {
  try {
    readJournal(text);
  } catch (error) {
    assert.ok(error instanceof BadFile, String(error));
    return error.message;
  }
  return "it was read";
}

const state: Event = {
  type: "state",
  phase: "playing",
  game: 1,
  black: 0,
  turn: 0,
  moves: [],
  clocks_ms: [60_000, 60_000],
  draw_offer: null,
  rematch: [false, false],
  over: null,
  score: [0, 0],
  present: [true, true],
  names: ["Ada", "Bob"],
};
const placed = (seat: 0 | 1, x: number): Event => {
  const turn = seat === 0 ? 1 : 0;
  return { type: "placed", seat, x, y: 7, turn, clocks_ms: [50_000, 60_000] };
};

const series = () =>
  journal(
    began("gomoku"),
    {
      tick: 0,
      ms: 0,
      in: [joined(0, "Ada"), joined(1, "Bob")],
      out: [send("all", state), show(state)],
    },
    { log: "warn", text: "a stone is on its way" },
    {
      tick: 1,
      ms: 1_000,
      in: [{ event: "message", from: 0, text: "{}" }],
      out: [send("all", placed(0, 1))],
    },
    { tick: 2, ms: 1_000, out: [send([1], { type: "refused", reason: "occupied" })] },
    { tick: 3, ms: 2_000, out: [send({ all_but: 0 }, placed(1, 2))] },
    {
      tick: 4,
      ms: 9_000,
      in: [{ event: "left", seat: 1, reason: "dropped" }],
      out: [send("all", state)],
    },
    ended,
  );

function gomokuFollower(messages: readonly Message[]) {
  const hear = (game: Game | null, { body, ms }: Message) =>
    reduce(game, body as unknown as Event, ms);
  return new Follower<Game | null>(messages, tellings.gomoku, () => null, hear);
}

test("a file is read with its steps, and what the game logged stands with its step", () => {
  const read = series();
  assert.equal(gameOf(read), "gomoku");
  assert.deepEqual([read.beginMs, read.endMs, read.isWhole], [0, 9_000, true]);
  assert.deepEqual(
    read.entries.map(({ kind }) => kind),
    ["step", "step", "step", "step", "step", "ended"],
  );
  assert.deepEqual(read.entries[1]!.logs, [{ level: "warn", text: "a stone is on its way" }]);
});

test("who asks to enter, other versions and failures are entries of the time before them", () => {
  const read = journal(
    began("arena", 20),
    { tick: 7, ms: 350, out: [send("all", {})] },
    { admit: { seat: 2, name: "Eve" }, answer: "the round is full" },
    { swapped: "0abc" },
    { swapped_back: "it failed" },
    { failed: "trap", text: "out of bounds", tick: 9, ms: 450, in: [{ event: "timer", id: 3 }] },
    { ended: { how: "failed", kind: "trap" } },
  );
  assert.deepEqual(
    read.entries.map(({ kind, tick, ms, text }) => [kind, tick, ms, text]),
    [
      ["step", 7, 350, ""],
      ["admit", 7, 350, "Eve may not enter: the round is full"],
      ["swapped", 7, 350, "version 0abc"],
      ["swapped_back", 7, 350, "it failed"],
      ["failed", 9, 450, "trap: out of bounds"],
      ["ended", 9, 450, "The game failed: trap"],
    ],
  );
  assert.deepEqual(read.entries[4]!.in, [{ event: "timer", id: 3 }]);
  assert.deepEqual(
    marksOf(read).map(({ kind }) => kind),
    ["version", "version", "failed", "ended"],
  );
});

test("what is no export, or damaged, is refused with what to do", () => {
  const first = JSON.stringify(began("gomoku"));
  const step = JSON.stringify({ tick: 1, ms: 10 });
  const cases: [text: string, says: RegExp][] = [
    ["", /not a match that was exported.*--export/],
    ["hello", /not a match that was exported/],
    ["[]", /not a match that was exported/],
    ['{"began": 3}', /not a match that was exported/],
    ['{"began": {"tick_rate_hz": -1, "players": []}}', /not a match that was exported/],
    [first, /before the first step.*--export/],
    [`${first}\n{\n${step}`, /line 2 is not JSON.*--export/],
    [`${first}\n7\n`, /line 2 is no object/],
    [`${first}\n{"tick": 1}`, /line 2 has no time/],
    [`${first}\n${step}\n{"tick": 2, "ms": 9}`, /line 3 goes back in time/],
    [`${first}\n{"tick": 1, "ms": 1, "in": [3]}`, /line 2 has no list in "in"/],
    [`${first}\n${step}\n${JSON.stringify(ended)}\n${step}`, /line 4 comes after the end/],
  ];
  for (const [text, says] of cases) assert.match(refusal(text), says);
});

test("a file that was cut off is read as far as it goes, and says so", () => {
  const text = [began("gomoku"), { tick: 1, ms: 10 }]
    .map((line) => JSON.stringify(line))
    .join("\n");
  assert.equal(readJournal(text).isWhole, false);
  assert.equal(readJournal(`${text}\n{"tick": 2, "m`).entries.length, 1);
});

const nobodyAborts = new AbortController().signal;

test("a file is read piece by piece, wherever the pieces end", async () => {
  const lines = [
    began("gomoku"),
    { log: "info", text: "Grüße, 五目並べ" },
    { tick: 1, ms: 10 },
    ended,
  ];
  const bytes = new TextEncoder().encode(lines.map((line) => JSON.stringify(line)).join("\r\n"));
  const file = new File([bytes], "match.jsonl");
  for (const size of [1, 7, bytes.length]) {
    const stream = () =>
      new ReadableStream({
        start(controller) {
          for (let at = 0; at < bytes.length; at += size) {
            controller.enqueue(bytes.slice(at, at + size));
          }
          controller.close();
        },
      });
    Object.defineProperty(file, "stream", { value: stream, configurable: true });
    const read: number[] = [];
    const journal = await readFile(file, (bytes) => read.push(bytes), nobodyAborts);
    assert.deepEqual(journal.entries[0]!.logs, [{ level: "info", text: "Grüße, 五目並べ" }]);
    assert.ok(journal.isWhole);
    assert.equal(read.at(-1), bytes.length);
  }
});

test("what is too large is not read", async () => {
  const large = new File(["x"], "large.jsonl");
  Object.defineProperty(large, "size", { value: FILE_BYTES_MAX + 1 });
  await assert.rejects(
    readFile(large, () => {}, nobodyAborts),
    /larger than 256 MiB.*--print/,
  );
  const line = `${JSON.stringify(began("gomoku"))}\n${"x".repeat(9 * 1024 * 1024)}`;
  const oneLine = new File([line], "line.jsonl");
  await assert.rejects(
    readFile(oneLine, () => {}, nobodyAborts),
    /not a match that was exported/,
  );
});

test("a game of another kind is read, and known not to be one of these", () => {
  assert.equal(gameOf(journal(began("chess"), { tick: 1, ms: 1 })), undefined);
});

test("what is nobody's message by now is counted and left out", () => {
  const read = journal(
    began("gomoku"),
    {
      tick: 0,
      ms: 0,
      out: [
        send("all", { ...state, moves: [[99, 0]] }),
        send("all", { type: "toString" }),
        { command: "send", to: "all", base64: "AAE=" },
        send("all", placed(0, 3)),
      ],
    },
    ended,
  );
  const { messages, strange } = toldTo(read, 0, tellings.gomoku);
  assert.deepEqual([messages.length, strange], [1, 3]);
});

test("a seat is told what was sent to it while it was there, and those who watch what was shown", () => {
  const types = (viewpoint: number) =>
    toldTo(series(), viewpoint, tellings.gomoku).messages.map(({ type }) => type);
  assert.deepEqual(types(0), ["state", "placed", "state"]);
  assert.deepEqual(types(1), ["state", "placed", "refused", "placed"]);
  assert.deepEqual(types(SPECTATORS), ["state"]);
});

test("who comes later is seen from when they came, and can be seen with", () => {
  const read = journal(
    began("gomoku"),
    { tick: 0, ms: 0, out: [send("all", state)] },
    { tick: 1, ms: 1, in: [joined(5, "Eve")], out: [send("all", placed(0, 1))] },
    ended,
  );
  assert.deepEqual(
    viewpointsOf(read).map(({ name }) => name),
    ["Ada, seat 0", "Bob, seat 1", "Eve, seat 5"],
  );
  assert.equal(toldTo(read, 5, tellings.gomoku).messages.length, 1);
  assert.equal(viewpointsOf(series()).at(-1)?.name, "Spectators");
});

test("marks tell who came and went, warnings, and the end; close ones are drawn once", () => {
  const marks = marksOf(series());
  assert.deepEqual(
    marks.map(({ kind, text }) => [kind, text]),
    [
      ["came", "Ada came in"],
      ["came", "Bob came in"],
      ["log", "warn: a stone is on its way"],
      ["left", "Bob did not come back in time"],
      ["ended", "The game ended: Finished"],
    ],
  );
  assert.deepEqual(
    drawnMarks(marks, 9_000).map(({ text }) => text),
    marks.filter(({ text }) => text !== "Bob came in").map(({ text }) => text),
  );
});

test("the position runs while it is played, at its speed, and ends with the match", () => {
  let head = playhead.newPlayhead({ beginMs: 1_000, endMs: 9_000 });
  assert.equal(playhead.positionMs(head, 77_000), 1_000);
  head = playhead.play(head, 500);
  assert.equal(playhead.positionMs(head, 1_500), 2_000);
  head = playhead.withSpeed(head, 4, 1_500);
  assert.equal(playhead.positionMs(head, 2_000), 4_000);
  head = playhead.seek(head, 3_000, 2_000);
  assert.equal(playhead.positionMs(head, 2_250), 4_000);
  assert.ok(playhead.isAtEnd(head, 60_000));
  head = playhead.pause(head, 60_000);
  assert.equal(playhead.positionMs(head, 99_000), 9_000);
  assert.equal(playhead.positionMs(playhead.play(head, 99_000), 99_000), 1_000);
  assert.equal(playhead.positionMs(playhead.seek(head, -5, 0), 0), 1_000);
  const stopped = playhead.stopAt(head, 3, 5_000);
  assert.deepEqual([stopped.entry, playhead.positionMs(stopped, 1e9)], [3, 5_000]);
});

test("times read as people write them", () => {
  assert.equal(playhead.timeText(0), "0:00.0");
  assert.equal(playhead.timeText(61_250), "1:01.2");
  assert.equal(playhead.timeText(600_000), "10:00.0");
});

test("gomoku stands at each entry as it was then, whichever way one comes there", () => {
  const { entries } = series();
  const { messages } = toldTo(series(), 1, tellings.gomoku);
  const expected = [0, 1, 1, 2, 2, 2];
  const follower = gomokuFollower(messages);
  for (const entry of [0, 3, 1, 5, 2, 4, 0, 1]) {
    const game = follower.at({ ms: entries[entry]!.ms, entry });
    assert.equal(game?.moves.length, expected[entry], `at entry ${entry}`);
  }
  const toAda = toldTo(series(), 0, tellings.gomoku).messages;
  assert.equal(feed(toAda, { ms: 9_000, entry: 5 }, tellings.gomoku).length, 1);
  assert.equal(follower.at({ ms: 1_000, entry: 1 })?.note, null);
  assert.deepEqual(follower.at({ ms: 1_000, entry: 2 })?.note, { refused: "occupied" });
});

const STEPS = 12_000;
const snapshot = (tick: number) => ({
  type: "snapshot",
  tick,
  left_ms: 600_000 - tick * 50,
  ships: [0, 1].map((seat) => [
    seat,
    100 + (tick % 900),
    200,
    0,
    100,
    0,
    Math.floor(tick / 100),
    0,
    0,
  ]),
  shots: [],
  hits: tick % 100 === 0 ? [[0, 1, 5, 5, true]] : [],
});

/** Ten minutes in the arena, 20 steps a second. */
function longRound() {
  const world = { world: [1600, 900], round_s: 600, walls: [] };
  const players = ["Ada", "Bob"].map((name, seat) => ({ seat, name, present: true }));
  const welcome = send([0], { type: "welcome", seat: 0, ...world, players });
  const first = { tick: 0, ms: 0, in: [joined(0, "Ada"), joined(1, "Bob")], out: [welcome] };
  const steps = Array.from({ length: STEPS }, (_, index) => {
    const tick = index + 1;
    return { tick, ms: tick * 50, out: [send("all", snapshot(tick))] };
  });
  const news = players.map((player) => ({ ...player, present: player.seat === 0 }));
  for (const step of [6_000, 7_000]) {
    steps[step]!.out.push(send("all", { type: "players", players: news }));
  }
  return journal(began("arena", 20), first, ...steps, ended);
}

test("going to any time of a long round takes only what is still seen then", () => {
  const read = longRound();
  const { messages, strange } = toldTo(read, 0, tellings.arena);
  assert.equal(strange, 0);
  let heard = 0;
  const hear = (picture: Picture, { body, ms }: Message) => {
    heard += 1;
    picture.hear(body as unknown as ArenaEvent, ms);
    return picture;
  };
  const make = () => new Picture(NOBODY, true);
  const follower = new Follower(messages, tellings.arena, make, hear);
  for (const entry of [STEPS, 5_000, 9_000, 17, 11_999, 6_100, 3]) {
    heard = 0;
    const { hud } = follower.at({ ms: entry * 50, entry });
    assert.ok(heard <= 110, `${heard} messages for entry ${entry}`);
    assert.equal(hud?.tick, entry);
    assert.equal(hud.rows[0]?.name, "Ada");
    assert.equal(hud.rows.find(({ name }) => name === "Bob")?.present, entry <= 6_000);
  }
});

test("a time that is come to in any way looks the same", () => {
  const read = longRound();
  const { messages } = toldTo(read, 0, tellings.arena);
  const follow = () => {
    const hear = (picture: Picture, { body, ms }: Message) => {
      picture.hear(body as unknown as ArenaEvent, ms);
      return picture;
    };
    return new Follower(messages, tellings.arena, () => new Picture(NOBODY, true), hear);
  };
  const seen = (follower: Follower<Picture>, entry: number) => {
    const { hud } = follower.at({ ms: entry * 50, entry });
    const kills = hud?.kills.map(({ shooter, atMs }) => [shooter, atMs]);
    return { rows: hud?.rows, kills, tick: hud?.tick };
  };
  const onward = follow();
  for (let entry = 0; entry < 2_450; entry += 7) seen(onward, entry);
  const back = follow();
  seen(back, 9_000);
  assert.deepEqual(seen(onward, 2_450), seen(back, 2_450));
  const needed = (entry: number) => feed(messages, { ms: entry * 50, entry }, tellings.arena);
  // The welcome, five seconds of snapshots, and the last word of who is there.
  assert.deepEqual([needed(2_450).length, needed(9_000).length], [102, 103]);
});

test("events and commands are described by whom they are from and for", () => {
  const names = new Map([[0, "Ada"]]);
  const said = (item: Parameters<typeof describe>[0]) => {
    const { name, who, body } = describe(item, names);
    return [name, who, body];
  };
  assert.deepEqual(said({ event: "message", from: 0, text: '{"x":1}' }), [
    "message",
    "from Ada",
    '{ "x": 1 }',
  ]);
  assert.deepEqual(said({ command: "send", to: [0, 4], text: "hi" }), [
    "send",
    "to Ada, Seat 4",
    "hi",
  ]);
  assert.deepEqual(said({ command: "send", to: { all_but: 0 }, base64: "AA==" }), [
    "send",
    "to all but Ada",
    "base64: AA==",
  ]);
  assert.deepEqual(said({ event: "left", seat: 0, reason: "kicked" }), [
    "left",
    "Ada",
    '{ "reason": "kicked" }',
  ]);
  assert.equal(said({ command: "show", whole: true, text: "{}" })[0], "show, the whole state");
  const deep = "[".repeat(60_000) + "]".repeat(60_000);
  assert.match(said({ command: "show", whole: false, text: deep })[2]!, /and 100000 characters$/);
});

test("JSON that fits stands on one line, and the rest is spread", () => {
  assert.equal(pretty({ a: [1, 2], b: "x\ny", c: {} }), '{ "a": [1, 2], "b": "x\\ny", "c": {} }');
  const row = Array.from({ length: 12 }, (_, i) => i);
  const text = pretty({ rows: [row, row], name: "snapshot" });
  assert.equal(
    text,
    [
      "{",
      '  "rows": [',
      "    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],",
      "    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]",
      "  ],",
      '  "name": "snapshot"',
      "}",
    ].join("\n"),
  );
});

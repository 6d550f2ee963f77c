// What a scene can see and ask for, through the test kit.
import { Timer } from "@scenehost/plugin";
import { SceneTest, player, players } from "@scenehost/plugin/testing";
import assert from "node:assert/strict";
import { test } from "node:test";
import { Probe } from "./fixtures/probe.js";

function begun(init = players(2)): SceneTest<Probe> {
  const game = SceneTest.start(Probe, init);
  game.join(0);
  game.join(1);
  return game;
}

const command = (game: SceneTest<Probe>, name: string) => game.send(0, { type: "command", name });

test("what is not a message of the game is counted, told and logged now and then", () => {
  const game = begun();
  for (let i = 0; i < 5; i++) game.sendText(0, "?");
  game.sendBytes(0, Uint8Array.of(0xff));
  const told = game.received(0);
  assert.deepEqual(told[0], { unreadable: "the whole: expected JSON", times: 1 });
  assert.deepEqual(told[5], { unreadable: "the whole: expected JSON in UTF-8", times: 6 });
  const counts = game.log.map(({ level, text }) => [level, text.split(" ")[2]]);
  assert.deepEqual(
    counts,
    [1, 2, 4].map((count) => ["warn", String(count)]),
  );
});

test("timers are due in their order, once, unless they are cancelled or set anew", () => {
  const game = begun();
  const set = (index: number, afterMs: number) => game.send(0, { type: "timer", index, afterMs });
  set(1, 300);
  set(2, 100);
  set(3, 200);
  set(3, 400);
  set(4, 50);
  game.send(0, { type: "cancel", index: 4 });
  assert.equal(game.timerDueMs(Timer.named("alarm").at(2)), 100);
  game.advanceMs(1_000);
  assert.deepEqual(game.received(0), ["timer 2 at 100", "timer 1 at 300", "timer 3 at 400"]);
  assert.equal(game.nowMs, 1_000);
});

test("players come, drop, return and leave, and a name is known until after", () => {
  const game = begun();
  game.dropOut(1);
  game.resume(1, true);
  game.leave(1, "removed");
  assert.deepEqual(game.received(0), [
    "dropped 1, present false",
    "resumed 1, missed true, present true",
    "left 1: removed, was player 1",
  ]);
  assert.deepEqual(game.received(1), ["resumed 1, missed true, present true"]);
});

test("who may not enter is told why", () => {
  const game = begun();
  assert.equal(game.tryJoin({ ...player(2), name: "nobody" }), "nobody may not enter");
  assert.throws(() => SceneTest.start(Probe, { ...players(1), configuration: '"broken"' }), {
    message: "this configuration is broken",
  });
});

test("messages reach those they are for", () => {
  const game = begun();
  command(game, "many");
  assert.deepEqual(game.received(0), ["both"]);
  assert.deepEqual(game.received(1), ["both", "others"]);
});

test("everything else that can be asked for", () => {
  const game = begun();
  for (const name of ["label", "seek", "save", "show", "log"]) command(game, name);
  game.watched();
  assert.deepEqual(game.label, { rolls: 1 });
  assert.deepEqual(game.search, [
    { count: 1, team: 1, role: undefined },
    { count: 2, team: undefined, role: "healer" },
  ]);
  assert.deepEqual(
    game.saves.map((save) => [save.id, save.operations.length]),
    [[1, 2]],
  );
  assert.deepEqual(game.log, [{ level: "info", text: "a line" }]);
  assert.deepEqual(game.shown(), [
    { whole: false, view: { change: 1 } },
    { whole: true, view: { rolls: [6] } },
  ]);
  game.join(2);
  game.join(3);
  assert.deepEqual(
    game.search.map((opening) => opening.count),
    [1],
  );
  command(game, "stop seeking");
  assert.deepEqual(game.search, []);
});

test("what the host tells besides", () => {
  const game = begun();
  game.answerSave(1, { tag: "err", val: { tag: "unavailable" } });
  game.signal("gift", Uint8Array.of(1, 2));
  game.stop("drain", 500);
  const told = ["saved 1: err", "signal gift of 2", "stopping: drain in 500"];
  assert.deepEqual(game.received(1), told);
});

test("who is kicked or sent on has left in the step after", () => {
  const game = begun();
  command(game, "kick");
  assert.deepEqual(game.kicks, [{ seat: 1, reason: "enough" }]);
  command(game, "again");
  assert.deepEqual(game.scene.heard, [
    "left 1: kicked, was player 1",
    "left 0: next-match, was player 0",
  ]);
  game.assertReplays();
});

test("nothing is done after the end", () => {
  const game = begun();
  command(game, "finish");
  assert.deepEqual(game.results, [{ seat: 0, place: 1, score: -3 }]);
  game.send(0, { type: "roll", count: 1 });
  assert.deepEqual(game.received(0), []);
});

const failures: Record<string, RegExp> = {
  fail: /^it cannot go on$/,
  bug: /^a bug of the game$/,
  "wrong seat": /^a seat has to be a whole number from 0 to 2\^32 - 1, and is 1\.5$/,
  "wrong place": /^a result's place has to be a whole number/,
  "no JSON": /^a undefined cannot be sent as JSON$/,
  wait: /^the handler of "message" is async/,
};

for (const [name, message] of Object.entries(failures)) {
  test(`a scene ends by: ${name}`, () => {
    assert.throws(() => command(begun(), name), { message });
  });
}

test("a state outside of the scene's fields is found out by the twin", () => {
  assert.throws(() => command(begun(), "outside"), /its state is not whole/);
});

test("a state that no snapshot holds is found out at the next step", () => {
  const game = begun();
  command(game, "class");
  assert.throws(() => command(game, "log"), /the scene's rolls is a Dice/);
});

for (const name of ["Math.random", "Date.now", "new Date", "Date", "WeakRef"]) {
  test(`${name} is not there while the scene runs, and is outside of it`, () => {
    const game = begun();
    game.send(0, { type: "use", name });
    assert.match(String(game.received(0)[0]), /is not there in a scene/);
    assert.ok(Math.random() < 1 && Date.now() > 0 && new Date().getTime() > 0 && Date() !== "");
    assert.ok(new WeakRef({}).deref());
  });
}

test("the same seed and inputs give the same game, also from a snapshot in the middle", () => {
  const play = (reload: boolean) => {
    const game = begun();
    game.send(0, { type: "roll", count: 17 });
    if (reload) game.reload();
    game.send(0, { type: "roll", count: 3 });
    game.send(1, { type: "remember", words: ["b", "a", "b"] });
    game.assertReplays();
    return [game.received(0), game.received(1)];
  };
  assert.deepEqual(play(true), play(false));
});

test("a ticking scene steps at its rate, and sleeps while nobody is there", () => {
  const game = SceneTest.start(Probe, { ...players(1), tickRateHz: 20 });
  game.ticks(5);
  assert.equal(game.nowMs, 0);
  game.join(0);
  game.send(0, { type: "timer", index: 1, afterMs: 110 });
  game.advanceMs(200);
  assert.deepEqual(game.received(0), ["timer 1 at 150"]);
});

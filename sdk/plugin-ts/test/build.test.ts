// Components: what they import, that all of them compute the same, and what is told when they fail or
// cannot be built. Building one takes seconds, so two builds of one scene serve all tests.
import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";
import { build, BuildError } from "@scenehost/plugin/build";
import type { Command, Event } from "../src/contract.js";
import { errOf, init, open, say, type Component, type Instance } from "./component.js";

const fixture = (name: string) => resolve("test/fixtures", name);

let folder: string;
let components: Component[];

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "scenehost-build-"));
  const paths = ["one.wasm", "other.wasm"].map((name) => join(folder, name));
  for (const out of paths) await build({ entry: fixture("probe.ts"), out });
  components = await Promise.all(paths.map(open));
});
after(() => rm(folder, { recursive: true }));

function started({ logic }: Instance): Instance["logic"] {
  logic.start(init(11n));
  for (const player of init(11n).players) {
    logic.admit(player);
    logic.step({ tick: 0n, elapsedMs: 0n }, [{ tag: "joined", val: player }]);
  }
  return logic;
}

/** A game of a few hundred steps: what each of them returned, and the snapshot at the end. */
function played(logic: Instance["logic"], from = 0, until = 300): unknown[] {
  const outputs: (Command[] | Uint8Array)[] = [];
  for (let tick = from; tick < until; tick++) {
    const words = [`w${tick % 7}`, `${tick * 31}`.slice(-2)];
    const events: Event[] = [
      say(tick % 2, { type: "remember", words }),
      say(0, { type: "roll", count: 1 + (tick % 3) }),
      say(1, tick % 5 === 0 ? "?" : { type: "timer", index: tick % 10, afterMs: tick }),
    ];
    outputs.push(logic.step({ tick: BigInt(tick), elapsedMs: BigInt(tick * 50) }, events));
  }
  return [...outputs, logic.save()];
}

/** What a command sends to players. */
function textOf(command: Command | undefined): string {
  assert.ok(command?.tag === "send");
  return new TextDecoder().decode(command.val.body);
}

test("a component imports the log and nothing else", () => {
  for (const { imports } of components) assert.deepEqual(imports, ["scenehost:scene/diagnostics"]);
});

test("all instances of all builds of a scene play alike", async () => {
  const [one, other] = components as [Component, Component];
  const games = [await one.instantiate(), await one.instantiate(), await other.instantiate()];
  const [first, ...more] = games.map((game) => played(started(game)));
  for (const game of more) assert.deepEqual(game, first);
});

test("a scene that was loaded in another instance goes on alike", async () => {
  const [one, other] = components as [Component, Component];
  const whole = played(started(await one.instantiate()));
  const half = started(await one.instantiate());
  const snapshot = played(half, 0, 150).at(-1) as Uint8Array;
  const { logic } = await other.instantiate();
  logic.load(init(11n), snapshot);
  assert.deepEqual(played(logic, 150), whole.slice(150));
});

test("a snapshot of an older version lacks a field, which then is as declared", async () => {
  const logic = started(await components[0]!.instantiate());
  played(logic, 0, 5);
  const parts = JSON.parse(new TextDecoder().decode(logic.save())) as [unknown, { words: unknown }];
  delete (parts[1] as Partial<(typeof parts)[1]>).words;
  logic.load(init(11n), new TextEncoder().encode(JSON.stringify(parts)));
  const [sent] = logic.step({ tick: 5n, elapsedMs: 0n }, [
    say(0, { type: "remember", words: ["new"] }),
  ]);
  assert.equal(textOf(sent), '[["new",1]]');
});

test("the next session in an instance is as new as the first", async () => {
  const used = await components[0]!.instantiate();
  const first = played(started(used));
  assert.deepEqual(played(started(used)), first);
});

test("a scene that is played for long does not take more and more memory", async () => {
  const game = await components[0]!.instantiate();
  const logic = started(game);
  const beforeMiB = game.memoryBytes() / 2 ** 20;
  for (let i = 0; i < 10; i++) {
    logic.start(init(11n));
    played(logic);
  }
  const afterMiB = game.memoryBytes() / 2 ** 20;
  assert.ok(beforeMiB > 8 && afterMiB < 13, `${beforeMiB} MiB, then ${afterMiB} MiB`);
});

test("a user's number and a score come through whole", async () => {
  const logic = started(await components[0]!.instantiate());
  assert.match(new TextDecoder().decode(logic.save()), /"9223372036854775808"/);
  const [finish] = logic.step({ tick: 1n, elapsedMs: 0n }, [
    say(0, { type: "command", name: "finish" }),
  ]);
  assert.deepEqual(finish, {
    tag: "finish",
    val: { results: [{ seat: 0, place: 1, score: -3n }] },
  });
});

test("every command has the form that the contract wants", async () => {
  const logic = started(await components[0]!.instantiate());
  const names = ["kick", "label", "seek", "stop seeking", "again", "save", "show", "many"];
  const events = names.map((name) => say(0, { type: "command", name }));
  const commands = logic.step({ tick: 1n, elapsedMs: 0n }, events);
  assert.deepEqual(
    commands.map(({ tag }) => tag),
    [
      "kick",
      "label",
      "seek-players",
      "stop-seeking",
      "match-again",
      "save",
      "show",
      "send",
      "send",
    ],
  );
});

for (const name of ["Math.random", "Date.now", "new Date", "Date", "WeakRef"]) {
  test(`${name} is not there in a component`, async () => {
    const logic = started(await components[0]!.instantiate());
    const [sent] = logic.step({ tick: 1n, elapsedMs: 0n }, [say(0, { type: "use", name })]);
    assert.match(textOf(sent), /not there in a scene/);
  });
}

test("a bug ends the step with a text, and the log says where it is in the game's own files", async () => {
  const game = await components[0]!.instantiate();
  const logic = started(game);
  const events = [say(0, { type: "command", name: "bug" })];
  const text = errOf(() => logic.step({ tick: 1n, elapsedMs: 0n }, events));
  assert.equal(text, "TypeError: a bug of the game");
  const [line] = game.lines;
  assert.match(
    line!,
    /^error step: TypeError: a bug of the game\n {2}at bug \(test\/fixtures\/probe\.ts:\d+\)\n/,
  );
  assert.doesNotMatch(line!, /scene\.js|context\.|runtime\./);
});

test("refusals, a broken configuration and a wrong snapshot are texts", async () => {
  const logic = started(await components[0]!.instantiate());
  const nobody = { ...init(1n).players[0]!, name: "nobody" };
  assert.equal(
    errOf(() => logic.admit(nobody)),
    "nobody may not enter",
  );
  const broken = { ...init(1n), configuration: '"broken"' };
  assert.equal(
    errOf(() => logic.start(broken)),
    "Error: this configuration is broken",
  );
  const loaded = errOf(() => logic.load(init(1n), new TextEncoder().encode("[]")));
  assert.match(String(loaded), /^SnapshotError: not a snapshot of this SDK/);
});

/** Builds a file with this text, whose types are not checked unless that is said. */
async function refusal(source: string, check = false): Promise<BuildError> {
  const entry = join(folder, "scene.ts");
  await writeFile(entry, source);
  const compilerOptions = { lib: ["ES2022"], types: [], strict: true };
  const config = { compilerOptions, include: ["scene.ts"] };
  await writeFile(join(folder, "tsconfig.json"), JSON.stringify(config));
  await writeFile(
    join(folder, "package.json"),
    '{"name":"wrong","version":"1.0.0","type":"module"}',
  );
  const failed = build({ entry, out: join(folder, "never.wasm"), check });
  return failed.then(
    () => assert.fail("it was built"),
    (error) => (error instanceof BuildError ? error : Promise.reject(error as Error)),
  );
}

const NO_RULE = 'import { log } from "@scenehost/plugin/rule"; log("info", "x");';

const wrong: readonly (readonly [string, string, BuildError["step"], RegExp])[] = [
  ["types", 'export const x: number = "1";', "types", /^scene\.ts\(1,14\): error TS2322/],
  ["a clock", "export const x: number = setTimeout;", "types", /Cannot find name 'setTimeout'/],
  ["no module", 'import "./nothing.js";', "bundle", /Could not resolve "\.\/nothing\.js"/],
  ["a file system", 'import "node:fs";', "bundle", /node:fs is not there in a scene/],
  ["the test kit", 'import "@scenehost/plugin/testing";', "bundle", /is for tests and tools/],
  ["no scene", "export {};", "component", /this file has no scene: end it with `exportScene/],
  ["no rule", NO_RULE, "component", /this file has no rule: end it with `exportRule/],
  ["a bug", "function f() {\n  null.x;\n}\nf();", "component", /null.*\n {2}at f \(scene\.ts:2\)/],
  ["randomness", "Math.random();", "component", /Math\.random is not there in a scene/],
];

for (const [what, source, step, message] of wrong) {
  test(`a file is not built: ${what}`, async () => {
    const error = await refusal(source, step === "types");
    assert.equal(error.step, step);
    assert.match(error.message, message);
    assert.ok((await readdir(folder)).every((name) => !name.startsWith("never")));
  });
}

test("a file that never ends when it is loaded is told", async () => {
  const entry = join(folder, "endless.ts");
  await writeFile(entry, "for (;;);");
  const options = { entry, out: join(folder, "never.wasm"), check: false, deadlineMs: 3_000 };
  await assert.rejects(build(options), { step: "component", message: /does not end/ });
});

test("a file that is not there is told", async () => {
  await assert.rejects(build({ entry: join(folder, "nothing.ts"), out: "x.wasm" }), {
    step: "input",
  });
});

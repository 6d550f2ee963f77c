// The command: what it says to people and tools when it cannot do what was asked. What it builds is in
// template.test.ts.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";

let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "scenehost-cli-"));
});
after(() => rm(folder, { recursive: true }));

function run(...args: string[]) {
  const command = [resolve("dist/cli.js"), ...args];
  return spawnSync(process.execPath, command, { cwd: folder, encoding: "utf8" });
}

for (const args of [[], ["bild"], ["build", "a", "b"], ["build", "--fast"], ["build"]]) {
  test(`scenehost-plugin ${args.join(" ")}: the call is wrong, and the usage is told`, () => {
    const { status, stderr } = run(...args);
    assert.equal(status, 2);
    assert.match(stderr, /^[a-zA-Z'].*\n\nUsage: scenehost-plugin COMMAND/);
  });
}

test("help is no error", () => {
  const { status, stdout } = run("--help");
  assert.equal(status, 0);
  assert.match(stdout, /page \[FOLDER\]/);
});

test("what cannot be built is told in words, or in JSON for tools", () => {
  const words = run("build", "nothing.ts", "--out", "x.wasm");
  const text =
    "there is no file nothing.ts: name the file that ends with exportScene or exportRule";
  assert.deepEqual([words.status, words.stderr], [1, `${text}\n`]);
  const json = run("build", "nothing.ts", "--out", "x.wasm", "--json");
  assert.equal(json.status, 1);
  assert.deepEqual(JSON.parse(json.stdout), { step: "input", error: text });
  assert.equal(run("page", "nowhere").status, 1);
});

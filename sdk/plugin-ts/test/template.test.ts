// The template: as `scenectl new` lays it out, it passes its own checks and tests and becomes a component
// and a page. Needs the client built, as `cargo xtask test` does before.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";

let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "scenehost-template-"));
  await cp("template", folder, { recursive: true });
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const text = await readFile(path, "utf8");
    await writeFile(
      path,
      text.replaceAll("{{name}}", "sticks").replaceAll("{{sdk}}", resolve("..")),
    );
  }
  // What `npm install` would lay there, from what is here already.
  await mkdir(join(folder, "node_modules/@scenehost"), { recursive: true });
  await symlink(resolve("."), join(folder, "node_modules/@scenehost/plugin"));
  await symlink(resolve("../client-ts"), join(folder, "node_modules/@scenehost/client"));
  for (const name of ["typescript", "@typescript", "@types", "undici-types"]) {
    await symlink(resolve("node_modules", name), join(folder, "node_modules", name));
  }
});
after(() => rm(folder, { recursive: true }));

/** Runs one of the template's scripts, whose programs are those of its packages. */
async function script(name: string): Promise<void> {
  const { scripts } = JSON.parse(await readFile(join(folder, "package.json"), "utf8")) as {
    scripts: Record<string, string>;
  };
  const programs = {
    "scenehost-plugin": `node ${resolve("dist/cli.js")}`,
    tsc: `node ${resolve("node_modules/typescript/bin/tsc")}`,
  };
  const command = Object.entries(programs).reduce(
    (text, [program, path]) => text.replaceAll(new RegExp(`(^|&& )${program} `, "g"), `$1${path} `),
    scripts[name]!,
  );
  const { status, stdout, stderr } = spawnSync(command, {
    cwd: folder,
    shell: true,
    encoding: "utf8",
  });
  assert.equal(status, 0, `${stdout}${stderr}`);
}

for (const name of ["check", "test", "build"]) {
  test(`npm run ${name} goes well in a new game`, () => script(name));
}

test("what was built is the component by the game's name, and the page", async () => {
  const component = await readFile(join(folder, "dist/sticks.wasm"));
  assert.equal(component.subarray(0, 4).toString("latin1"), "\0asm");
  const page = await readdir(join(folder, "dist/page"));
  assert.deepEqual(page.sort(), ["index.html", "main.js", "style.css"]);
  assert.ok((await stat(join(folder, "dist/page/main.js"))).size < 200_000);
  for (const name of page) {
    assert.doesNotMatch(await readFile(join(folder, "dist/page", name), "utf8"), /\{\{/);
  }
});

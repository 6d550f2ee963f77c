// The templates: as `scenectl new` lays them out, each passes its own checks and tests and becomes a component, and
// a page if it is a game. Needs the client built, as `cargo xtask test` does before.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
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
});
after(() => rm(folder, { recursive: true }));

/** Lays a template out; without the page's files where it has no page. */
async function layOut(template: string, hasPage: boolean): Promise<string> {
  const root = join(folder, template);
  await cp("templates/shared", root, { recursive: true });
  await cp(join("templates", template), root, { recursive: true });
  const [taken, other] = ["package.json", "package-without-page.json"];
  if (!hasPage) {
    await rename(join(root, other), join(root, taken));
    await rm(join(root, "page"), { recursive: true });
  } else await rm(join(root, other));
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const text = await readFile(path, "utf8");
    const filled = text.replaceAll("{{name}}", "sample").replaceAll("{{sdk}}", resolve(".."));
    await writeFile(path, filled);
  }
  // What `npm install` would lay there, from what is here already.
  await mkdir(join(root, "node_modules/@scenehost"), { recursive: true });
  await symlink(resolve("."), join(root, "node_modules/@scenehost/plugin"));
  if (hasPage) await symlink(resolve("../client-ts"), join(root, "node_modules/@scenehost/client"));
  for (const name of ["typescript", "@typescript", "@types", "undici-types"]) {
    await symlink(resolve("node_modules", name), join(root, "node_modules", name));
  }
  return root;
}

/** Runs one of the template's scripts, whose programs are those of its packages. */
async function script(root: string, name: string): Promise<void> {
  const { scripts } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as {
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
    cwd: root,
    shell: true,
    encoding: "utf8",
  });
  assert.equal(status, 0, `${stdout}${stderr}`);
}

for (const [template, hasPage] of [
  ["turn-based", true],
  ["real-time", true],
  ["real-time", false],
  ["match-rule", false],
] as const) {
  test(`${template}${hasPage ? "" : " without a page"} is checked, tested and built`, async () => {
    const root = await layOut(template, hasPage);
    for (const name of ["check", "test", "build"]) await script(root, name);
    const component = await readFile(join(root, "dist/sample.wasm"));
    assert.equal(component.subarray(0, 4).toString("latin1"), "\0asm");
    if (hasPage) await checkPage(join(root, "dist/page"));
    await rm(root, { recursive: true });
  });
}

async function checkPage(page: string): Promise<void> {
  const names = await readdir(page);
  assert.deepEqual(names.sort(), ["index.html", "main.js", "style.css"]);
  assert.ok((await stat(join(page, "main.js"))).size < 200_000);
  for (const name of names) {
    assert.doesNotMatch(await readFile(join(page, name), "utf8"), /\{\{/);
  }
}

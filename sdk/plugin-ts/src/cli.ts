#!/usr/bin/env node
// `scenehost-plugin build`, as people and other tools call it. Exit codes: 0 done, 1 the game cannot be
// built, 2 the call is wrong.
import { existsSync, readFileSync } from "node:fs";
import { basename, relative } from "node:path";
import { parseArgs } from "node:util";
import { build, BuildError } from "./build.js";

const USAGE = `Usage: scenehost-plugin build [ENTRY] [--out FILE] [--no-check] [--json]

Builds a scene in TypeScript into a component.

  ENTRY         the file that ends with exportScene; default: src/scene.ts
  --out FILE    where the component goes; default: dist/NAME.wasm, NAME from package.json
  --no-check    leave the types unchecked
  --json        one line of JSON for other tools, also about what is wrong`;

function wrongCall(message: string): never {
  console.error(`${message}\n\n${USAGE}`);
  process.exit(2);
}

function parsed() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        out: { type: "string" },
        "no-check": { type: "boolean" },
        json: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (error) {
    return wrongCall((error as Error).message);
  }
}

/** The component has the package's name, without its scope. */
function packageName(): string {
  if (!existsSync("package.json"))
    wrongCall("there is no package.json here: name the file by --out");
  const { name } = JSON.parse(readFileSync("package.json", "utf8")) as { name?: string };
  return name === undefined
    ? wrongCall("package.json has no name: name the file by --out")
    : basename(name);
}

const { values, positionals } = parsed();
if (values.help) {
  console.log(USAGE);
  process.exit(0);
}
const [command, entry = "src/scene.ts", ...more] = positionals;
if (command !== "build" || more.length > 0) wrongCall("there is one command, build");
const out = values.out ?? `dist/${packageName()}.wasm`;
const begun = performance.now();
try {
  const built = await build({ entry, out, check: !values["no-check"] });
  const ms = Math.round(performance.now() - begun);
  if (values.json) console.log(JSON.stringify({ out: built.out, bytes: built.bytes, ms }));
  else {
    const size = (built.bytes / 1e6).toFixed(1);
    console.log(`${relative("", built.out)}: ${size} MB, built in ${(ms / 1000).toFixed(1)} s`);
  }
} catch (error) {
  if (!(error instanceof BuildError)) throw error;
  if (values.json) console.log(JSON.stringify({ step: error.step, error: error.message }));
  else console.error(error.message);
  process.exitCode = 1;
}

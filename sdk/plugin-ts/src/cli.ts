#!/usr/bin/env node
// `scenehost-plugin`, as people and other tools call it. Exit codes: 0 done, 1 the game cannot be built, 2
// the call is wrong.
import { existsSync, readFileSync } from "node:fs";
import { basename, relative } from "node:path";
import { parseArgs } from "node:util";
import { build, BuildError } from "./build.js";
import { buildPage } from "./page.js";

const USAGE = `Usage: scenehost-plugin COMMAND [options]

  build [ENTRY]   builds a scene or a rule of matching into a component. ENTRY is the file that ends
                  with exportScene or exportRule, by default src/scene.ts, or src/rule.ts where there
                  is none; --out the component, by default dist/NAME.wasm, NAME from package.json
  page [FOLDER]   builds a game's page. FOLDER has main.ts and index.html, by default page; --out the
                  folder that the host serves, by default dist/page

  --out PATH      where the result goes
  --no-check      leaves the types unchecked
  --json          one line of JSON for other tools, also about what is wrong`;

interface Call {
  readonly source: string | undefined;
  readonly out: string | undefined;
  readonly check: boolean;
}

/** What was made, for tools and for people. */
interface Made {
  readonly out: string;
  readonly bytes?: number;
}

const COMMANDS: Record<string, (call: Call) => Promise<Made>> = {
  build: ({ source = entry(), out = `dist/${packageName()}.wasm`, check }) =>
    build({ entry: source, out, check }),
  async page({ source = "page", out = "dist/page", check }) {
    await buildPage({ folder: source, out, check });
    return { out };
  },
};

function entry(): string {
  const isRule = !existsSync("src/scene.ts") && existsSync("src/rule.ts");
  return isRule ? "src/rule.ts" : "src/scene.ts";
}

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
  if (!existsSync("package.json")) wrongCall("there is no package.json here: give --out");
  const { name } = JSON.parse(readFileSync("package.json", "utf8")) as { name?: string };
  return name === undefined ? wrongCall("package.json has no name: give --out") : basename(name);
}

const { values, positionals } = parsed();
if (values.help) {
  console.log(USAGE);
  process.exit(0);
}
const [name = "", source, ...more] = positionals;
const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
if (!command || more.length > 0) wrongCall("the commands are build and page, with one path each");
// So that what was started ends, too.
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));
const begun = performance.now();
try {
  const made = await command({ source, out: values.out, check: !values["no-check"] });
  const ms = Math.round(performance.now() - begun);
  const size = made.bytes === undefined ? "" : ` ${(made.bytes / 1e6).toFixed(1)} MB,`;
  if (values.json) console.log(JSON.stringify({ ...made, ms }));
  else console.log(`${relative("", made.out)}:${size} built in ${(ms / 1000).toFixed(1)} s`);
} catch (error) {
  if (!(error instanceof BuildError)) throw error;
  if (values.json) console.log(JSON.stringify({ step: error.step, error: error.message }));
  else console.error(error.message);
  process.exitCode = 1;
}

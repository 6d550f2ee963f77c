// From a game's TypeScript to its component: check the types, bundle, put the JavaScript engine around
// it (`encase.ts`).
//
// Invariant: nothing is written unless all of it succeeds, and every part ends.
import { mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { bundled, nearest } from "./bundle.js";
import { BUNDLE, COMPONENT, ownFrames, type Places } from "./places.js";
import { DEADLINE_MS, run } from "./programs.js";
import { BuildError } from "./trouble.js";
import type { Kind } from "./wit.js";

export { BuildError };

export interface BuildOptions {
  /** The game's file, which ends with `exportScene`, or a rule's with `exportRule`. */
  readonly entry: string;
  /** Where the component goes. */
  readonly out: string;
  /** Whether to check the types first. Default: true. */
  readonly check?: boolean;
  /** How long the game's file may take to be loaded, with the engine around it. Default: 2 minutes. */
  readonly deadlineMs?: number;
}

/** A component that was built. */
export interface Built {
  readonly out: string;
  readonly bytes: number;
}

export async function build(options: BuildOptions): Promise<Built> {
  const [entry, out] = [resolve(options.entry), resolve(options.out)];
  if (!(await isFile(entry))) {
    throw new BuildError(
      "input",
      `there is no file ${options.entry}: name the file that ends with exportScene or exportRule`,
    );
  }
  if (options.check ?? true) await checkTypes(entry);
  const folder = await mkdtemp(join(tmpdir(), "scenehost-plugin-"));
  try {
    const { code, places, kind } = await bundled(entry, join(folder, BUNDLE));
    await writeFile(join(folder, BUNDLE), code);
    const component = await encased(folder, kind, places, options.deadlineMs ?? DEADLINE_MS);
    await mkdir(dirname(out), { recursive: true });
    // Whoever watches the file never sees half of it.
    const beside = `${out}.part`;
    await writeFile(beside, component);
    await rename(beside, out);
    return { out, bytes: component.length };
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Whether there is such a file. */
export async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}

/** By the nearest `tsconfig.json`, so that an editor and the build say the same. */
export async function checkTypes(entry: string): Promise<void> {
  const config = nearest(dirname(entry), "tsconfig.json");
  if (config === undefined) {
    throw new BuildError("types", `there is no tsconfig.json beside ${entry}, or above it`);
  }
  const packageFile = createRequire(import.meta.url).resolve("typescript/package.json");
  const { bin } = JSON.parse(await readFile(packageFile, "utf8")) as { bin: { tsc: string } };
  const tsc = join(dirname(packageFile), bin.tsc);
  const { status, output } = await run(dirname(config), [tsc, "--noEmit", "-p", config]);
  if (status === undefined) throw new BuildError("types", "the check of the types does not end");
  if (status !== 0) throw new BuildError("types", output);
}

/** The component of the bundle in a folder. */
async function encased(
  folder: string,
  kind: Kind,
  places: Places,
  deadlineMs: number,
): Promise<Uint8Array> {
  const program = fileURLToPath(new URL("encase.js", import.meta.url));
  const { status, output } = await run(folder, [program, folder, kind], deadlineMs);
  if (status === undefined) {
    throw new BuildError("component", "the file does not end when it is loaded");
  }
  if (status !== 0) throw new BuildError("component", explained(output, places));
  return readFile(join(folder, COMPONENT));
}

/** What the game has thrown while it was loaded, `scene.js:22:5 TypeError: …`; else all that is said. */
function explained(message: string, places: Places): string {
  const thrown = /^scene\.js:\d+:\d+ (.*)$/m.exec(message)?.[1];
  const told = thrown === undefined ? [message] : [thrown, ...ownFrames(message, places)];
  return ["the file cannot be run:", ...told].join("\n");
}

// From a game's TypeScript to its component: check the types, bundle, put the JavaScript engine around
// it. Nothing is written unless all of it succeeds.
//
// Invariant: what comes out imports nothing but the log, since every optional feature of the engine is
// off, and holds one copy of the SDK, the one that builds it.
import { componentize } from "@bytecodealliance/componentize-js";
import * as esbuild from "esbuild";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { engine } from "./engine.js";
import { PLACES_NAME } from "./component.js";
import { BUNDLE, ownFrames, placesOf, type Places, type SourceMap } from "./places.js";

/** What a component without WASI cannot have. */
const FEATURES_OFF = ["stdio", "random", "clocks", "http", "fetch-event"] as const;
const DIAGNOSTICS = "scenehost:scene/diagnostics@0.3.0";
/** The engine's file, in the folder of one build. */
const ENGINE = "engine.wasm";

export interface BuildOptions {
  /** The game's file, which ends with `exportScene`. */
  readonly entry: string;
  /** Where the component goes. */
  readonly out: string;
  /** Whether to check the types first. Default: true. */
  readonly check?: boolean;
}

/** A component that was built. */
export interface Built {
  readonly out: string;
  readonly bytes: number;
}

/** What is wrong with the game: a text for its designer, of many lines. */
export class BuildError extends Error {
  constructor(
    /** Which part failed. */
    readonly step: "input" | "types" | "bundle" | "component",
    message: string,
  ) {
    super(message);
    this.name = "BuildError";
  }
}

export async function build(options: BuildOptions): Promise<Built> {
  const [entry, out] = [resolve(options.entry), resolve(options.out)];
  if (!(await isFile(entry))) {
    throw new BuildError("input", `there is no file ${options.entry}: name the file of the scene`);
  }
  if (options.check ?? true) await checkTypes(entry);
  const folder = await mkdtemp(join(tmpdir(), "scenehost-plugin-"));
  try {
    const { code, places } = await bundled(entry, join(folder, BUNDLE));
    await writeFile(join(folder, BUNDLE), code);
    await writeFile(join(folder, ENGINE), await engine());
    const component = await componentOf(folder, places);
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
  if (status !== 0) throw new BuildError("types", output.trim());
}

function nearest(folder: string, name: string): string | undefined {
  const path = join(folder, name);
  if (existsSync(path)) return path;
  return dirname(folder) === folder ? undefined : nearest(dirname(folder), name);
}

function run(cwd: string, args: readonly string[]): Promise<{ status: number; output: string }> {
  return new Promise((done, failed) => {
    const child = spawn(process.execPath, args, { cwd, stdio: ["ignore", "pipe", "pipe"] });
    const parts: Buffer[] = [];
    child.stdout.on("data", (part: Buffer) => parts.push(part));
    child.stderr.on("data", (part: Buffer) => parts.push(part));
    child.on("error", failed);
    child.on("close", (status) => {
      done({ status: status ?? 1, output: Buffer.concat(parts).toString() });
    });
  });
}

/** The game and the SDK as one module. Names stay, for the stacks in the log. */
async function bundled(entry: string, outfile: string): Promise<{ code: string; places: Places }> {
  const lines = [
    `import ${JSON.stringify(ours("prepare.js"))};`,
    `import { log } from ${JSON.stringify(DIAGNOSTICS)};`,
    `import { logicOf } from ${JSON.stringify(ours("component.js"))};`,
    `import ${JSON.stringify(entry)};`,
    "export const logic = logicOf(log);",
  ];
  const { outputFiles } = await esbuild
    .build({
      stdin: { contents: lines.join("\n"), resolveDir: dirname(entry), sourcefile: "component.ts" },
      outfile,
      write: false,
      bundle: true,
      format: "esm",
      target: "es2022",
      platform: "neutral",
      mainFields: ["module", "main"],
      external: [DIAGNOSTICS],
      plugins: [oneSdk],
      logLevel: "silent",
      sourcemap: "external",
    })
    .catch(bundleErrors);
  const [map, code] = outputFiles;
  const places = placesOf(JSON.parse(map!.text) as SourceMap, namesFor(entry, outfile));
  const table = `globalThis.${PLACES_NAME} = ${JSON.stringify(JSON.stringify(places))};`;
  return { code: `${code!.text}\n${table}\n`, places };
}

/** What the bundler says, with the lines that it says it about. */
export async function bundleErrors(error: unknown): Promise<never> {
  const { errors } = error as Partial<esbuild.BuildFailure>;
  if (errors === undefined) throw error;
  const told = await esbuild.formatMessages(errors, { kind: "error", color: false });
  throw new BuildError("bundle", told.join("").trim());
}

/** What the files of a bundle are called in its game's package; the SDK's own have no name. */
function namesFor(entry: string, outfile: string): (source: string) => string | undefined {
  const manifest = nearest(dirname(entry), "package.json");
  const root = manifest === undefined ? dirname(entry) : dirname(manifest);
  return (source) => {
    const path = resolve(dirname(outfile), source);
    const isGames = existsSync(path) && relative(ours("."), path).startsWith("..");
    return isGames && !path.startsWith(ours("../src/")) ? relative(root, path) : undefined;
  };
}

function ours(file: string): string {
  return fileURLToPath(new URL(file, import.meta.url));
}

/** The SDK that builds a game is the one inside it, and what is Node's stays outside. */
const oneSdk: esbuild.Plugin = {
  name: "one-sdk",
  setup(build) {
    build.onResolve({ filter: /^@scenehost\/plugin($|\/)/ }, ({ path }) => {
      if (path === "@scenehost/plugin") return { path: ours("index.js") };
      return { errors: [{ text: `${path} is for tests and tools: a scene cannot import it` }] };
    });
    build.onResolve({ filter: /^node:/ }, ({ path }) => {
      const text = `${path} is not there in a scene, which has no files, network or clock`;
      return { errors: [{ text }] };
    });
  },
};

async function componentOf(folder: string, places: Places): Promise<Uint8Array> {
  try {
    // The contract as a text, which the package's types do not know: its own reader of files sees none.
    const options = {
      sourcePath: join(folder, BUNDLE),
      engine: join(folder, ENGINE),
      witWorld: await readFile(new URL("scene.wit", import.meta.url), "utf8"),
      worldName: "scene",
      disableFeatures: [...FEATURES_OFF],
    };
    const { component } = await componentize(options);
    return component;
  } catch (error) {
    throw new BuildError("component", explained((error as Error).message, places));
  }
}

/** What the game has thrown while it was loaded, `scene.js:22:5 TypeError: …`; else all that is said. */
function explained(message: string, places: Places): string {
  const thrown = /^scene\.js:\d+:\d+ (.*)$/m.exec(message)?.[1];
  const told = thrown === undefined ? [message] : [thrown, ...ownFrames(message, places)];
  return ["the scene's file cannot be run:", ...told].join("\n");
}

// The game and the SDK as one JavaScript module.
//
// Invariant: there is one copy of the SDK in it, the one that builds it, and nothing of Node.
import * as esbuild from "esbuild";
import { existsSync, readFileSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { PLACES_NAME } from "./guest.js";
import { placesOf, type Places, type SourceMap } from "./places.js";
import { BuildError } from "./trouble.js";
import { wit, type Kind } from "./wit.js";

/** The module as text. Names stay, for the stacks in the log. */
export async function bundled(
  entry: string,
  outfile: string,
): Promise<{ code: string; places: Places; kind: Kind }> {
  const kind = await kindOf(entry);
  const { diagnostics } = await wit(kind);
  const contents = componentOf(kind, entry, diagnostics);
  const { outputFiles } = await esbuild
    .build({
      ...OPTIONS,
      stdin: { contents, resolveDir: dirname(entry), sourcefile: "component.ts" },
      outfile,
      external: [diagnostics],
      sourcemap: "external",
    })
    .catch(bundleErrors);
  const [map, code] = outputFiles;
  const places = placesOf(JSON.parse(map!.text) as SourceMap, namesFor(entry, outfile));
  const table = `globalThis.${PLACES_NAME} = ${JSON.stringify(JSON.stringify(places))};`;
  return { code: `${code!.text}\n${table}\n`, places, kind };
}

/** What is imported says what it is: a rule is written with another part of the SDK than a scene. */
async function kindOf(entry: string): Promise<Kind> {
  const { metafile } = await esbuild
    .build({ ...OPTIONS, entryPoints: [entry], metafile: true, absWorkingDir: ours(".") })
    .catch(bundleErrors);
  return "rule/index.js" in metafile.inputs ? "match-rule" : "scene";
}

/** The module that becomes the component: the SDK's beginning, the game's file, and what the contract calls. */
function componentOf(kind: Kind, entry: string, diagnostics: string): string {
  const lines = [
    `import ${JSON.stringify(ours("prepare.js"))};`,
    `import { log } from ${JSON.stringify(diagnostics)};`,
    `import ${JSON.stringify(entry)};`,
  ];
  if (kind === "scene") {
    lines.push(`import { logicOf } from ${JSON.stringify(ours("component.js"))};`);
    lines.push("export const logic = logicOf(log);");
  } else {
    lines.push(`import { ruleOf } from ${JSON.stringify(ours("rule/component.js"))};`);
    lines.push(`export const rule = ruleOf(log, ${JSON.stringify(namedBy(entry))});`);
  }
  return lines.join("\n");
}

/** A rule has the name and the version of its package, by which operators know it. */
function namedBy(entry: string): { name: string; version: string } {
  const manifest = nearest(dirname(entry), "package.json");
  const { name, version } = JSON.parse(
    manifest === undefined ? "{}" : readFileSync(manifest, "utf8"),
  ) as { name?: string; version?: string };
  if (name === undefined || version === undefined) {
    const problem = `there is no package.json beside ${entry} or above it that has a name and a version`;
    throw new BuildError("input", `${problem}: a rule is known by them`);
  }
  return { name: basename(name), version };
}

/** What the bundler says, with the lines that it says it about. */
export async function bundleErrors(error: unknown): Promise<never> {
  const { errors } = error as Partial<esbuild.BuildFailure>;
  if (errors === undefined) throw error;
  // How to leave a module out is no help for a component, which has all of it inside.
  const helpful = errors.map((error) => ({
    ...error,
    notes: error.notes.filter(({ text }) => !text.includes("external")),
  }));
  const told = await esbuild.formatMessages(helpful, { kind: "error", color: false });
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
      if (path === "@scenehost/plugin/rule") return { path: ours("rule/index.js") };
      return { errors: [{ text: `${path} is for tests and tools: a scene cannot import it` }] };
    });
    build.onResolve({ filter: /^node:/ }, ({ path }) => {
      const text = `${path} is not there in a scene, which has no files, network or clock`;
      return { errors: [{ text }] };
    });
  },
};

const OPTIONS = {
  write: false,
  bundle: true,
  format: "esm",
  target: "es2022",
  platform: "neutral",
  mainFields: ["module", "main"],
  plugins: [oneSdk],
  logLevel: "silent",
} as const satisfies esbuild.BuildOptions;

/** The nearest file of this name, in a folder or above it. */
export function nearest(folder: string, name: string): string | undefined {
  const path = join(folder, name);
  if (existsSync(path)) return path;
  return dirname(folder) === folder ? undefined : nearest(dirname(folder), name);
}

// A program of its own: puts the JavaScript engine around the bundle in the folder it is given, and runs the
// game's file once in doing so. It may hang with that file, so `build.ts` ends it at a deadline.
//
// Invariant: all optional features of the engine are off, so the component imports nothing but the log.
import { componentize } from "@bytecodealliance/componentize-js";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { engine } from "./engine.js";
import { BUNDLE, COMPONENT } from "./places.js";
import { wit, type Kind } from "./wit.js";

const FEATURES_OFF = ["stdio", "random", "clocks", "http", "fetch-event"] as const;

const folder = process.argv[2]!;
const kind = process.argv[3] as Kind;
const enginePath = join(folder, "engine.wasm");
await writeFile(enginePath, await engine());
try {
  // The contract as a text, which the package's types do not know: its own reader of files sees none.
  const options = {
    sourcePath: join(folder, BUNDLE),
    engine: enginePath,
    witWorld: (await wit(kind)).text,
    worldName: kind,
    disableFeatures: [...FEATURES_OFF],
  };
  const { component } = await componentize(options);
  await writeFile(join(folder, COMPONENT), component);
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}

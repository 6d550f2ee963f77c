// The page of a game: one script for browsers, with the client in it, beside the folder's other files.
import * as esbuild from "esbuild";
import { cp, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { checkTypes, isFile } from "./build.js";
import { bundleErrors } from "./bundle.js";
import { BuildError } from "./trouble.js";

export interface PageOptions {
  /** The page's folder, with `main.ts` and whatever the page needs besides. */
  readonly folder: string;
  /** The folder that the host serves; what was there is gone. */
  readonly out: string;
  /** Whether to check the types first, by the `tsconfig.json` of the folder. Default: true. */
  readonly check?: boolean;
}

/** Files of the folder that no browser needs. */
const SOURCE = /(\.ts|tsconfig\.json)$/;

export async function buildPage(options: PageOptions): Promise<void> {
  const [folder, out] = [resolve(options.folder), resolve(options.out)];
  const entry = join(folder, "main.ts");
  if (!(await isFile(entry))) {
    throw new BuildError(
      "input",
      `there is no main.ts in ${options.folder}: name the page's folder`,
    );
  }
  if (options.check ?? true) await checkTypes(entry);
  const bundled = await esbuild
    .build({
      entryPoints: [entry],
      write: false,
      outdir: out,
      bundle: true,
      format: "esm",
      target: "es2022",
      platform: "browser",
      minify: true,
      logLevel: "silent",
    })
    .catch(bundleErrors);
  await rm(out, { recursive: true, force: true });
  await cp(folder, out, { recursive: true, filter: (path) => !SOURCE.test(path) });
  await Promise.all(bundled.outputFiles.map(({ path, contents }) => writeFile(path, contents)));
}

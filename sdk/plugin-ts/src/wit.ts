// The contracts that components are built against: those of the folder `wit`, which lie beside this file.
import { readFile } from "node:fs/promises";

/** What a component is, as projects and hosts call it; also the name of its world. */
export type Kind = "scene" | "match-rule";

export interface Wit {
  /** All of it, as one text. */
  readonly text: string;
  /** The one interface that a component imports, with the contract's version. */
  readonly diagnostics: string;
}

const PACKAGE = /^package ([a-z:-]+)@([0-9.]+);$/m;

export async function wit(kind: Kind): Promise<Wit> {
  const read = (name: string) => readFile(new URL(name, import.meta.url), "utf8");
  const scene = await read("scene.wit");
  const [, name, version] = PACKAGE.exec(scene)!;
  const diagnostics = `${name}/diagnostics@${version}`;
  if (kind === "scene") return { text: scene, diagnostics };
  // A rule's world imports from the contract of scenes, which is a package inside of its text.
  const inside = scene.slice(scene.indexOf(";", scene.search(PACKAGE)) + 1);
  const rule = await read("match-rule.wit");
  return { text: `${rule}\npackage ${name}@${version} {${inside}}\n`, diagnostics };
}

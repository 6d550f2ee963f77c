// The contract that a component is built against: `wit/scene.wit`, which lies beside this file.
import { readFile } from "node:fs/promises";

export interface Wit {
  readonly text: string;
  /** The one interface that a component imports, with the contract's version. */
  readonly diagnostics: string;
}

export async function wit(): Promise<Wit> {
  const text = await readFile(new URL("scene.wit", import.meta.url), "utf8");
  const [, name, version] = /^package ([a-z:-]+)@([0-9.]+);$/m.exec(text)!;
  return { text, diagnostics: `${name}/diagnostics@${version}` };
}

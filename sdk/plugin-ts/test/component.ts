// A component in Node: built, made into core WebAssembly by jco, and called as the host calls it.
import { transpile } from "@bytecodealliance/jco-transpile";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Event, Init, Logic } from "../src/contract.js";
import type { RuleFunctions } from "../src/rule/contract.js";

/** One instance, and the lines it has logged. */
export interface Instance {
  /** Of a scene. */
  readonly logic: Logic;
  /** Of a rule, and then there is no `logic`. */
  readonly rule?: RuleFunctions;
  readonly lines: string[];
  /** How much linear memory it has now. */
  memoryBytes(): number;
}

export interface Component {
  /** The names of the interfaces that it imports. */
  readonly imports: readonly string[];
  instantiate(): Promise<Instance>;
}

type Core = { exports: { memory?: { buffer: ArrayBuffer } } };
type InstantiateCore = (module: WebAssembly.Module, imports: object) => Promise<Core>;
type Instantiate = (
  compile: (path: string) => Promise<WebAssembly.Module>,
  imports: Record<string, object>,
  instantiateCore: InstantiateCore,
) => Promise<{ logic: Logic; rule?: RuleFunctions }>;

/** Node has it, and Node's types do not. */
const { compile: toModule, instantiate: instantiateCore } = (
  globalThis as unknown as {
    WebAssembly: {
      compile(bytes: Uint8Array): Promise<WebAssembly.Module>;
      instantiate: InstantiateCore;
    };
  }
).WebAssembly;

/** Opens a component; what is made of it lies beside it. */
export async function open(path: string): Promise<Component> {
  const folder = `${path}.opened`;
  const name = "scene";
  const made = await transpile(path, { name, instantiation: "async", outDir: folder });
  for (const [file, bytes] of Object.entries(made.files)) {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, bytes);
  }
  await writeFile(join(folder, "package.json"), '{"type":"module"}');
  const module = (await import(pathToFileURL(join(folder, `${name}.js`)).href)) as {
    instantiate: Instantiate;
  };
  const compiled = new Map<string, Promise<WebAssembly.Module>>();
  const compile = (file: string) => {
    const known = compiled.get(file);
    const made = known ?? readFile(join(folder, file)).then(toModule);
    compiled.set(file, made);
    return made;
  };
  return {
    imports: made.imports,
    async instantiate() {
      const lines: string[] = [];
      const log = (level: string, text: string) => lines.push(`${level} ${text}`);
      const cores: Core[] = [];
      const noted: InstantiateCore = async (core, imports) => {
        const instance = await instantiateCore(core, imports);
        cores.push(instance);
        return instance;
      };
      const imports = { "scenehost:scene/diagnostics": { log } };
      const exports = await module.instantiate(compile, imports, noted);
      const memoryBytes = () => {
        const sizes = cores.map(({ exports }) => exports.memory?.buffer.byteLength ?? 0);
        return Math.max(...sizes);
      };
      return { ...exports, lines, memoryBytes };
    },
  };
}

/** What the contract's `err` said. */
export function errOf(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  throw new Error("the call went well");
}

export function init(seed: bigint): Init {
  const player = (seat: number) => ({
    seat,
    user: 2n ** 63n + BigInt(seat),
    name: `player ${seat}`,
    rating: 1500,
    team: 0,
    role: undefined,
    party: seat,
  });
  return {
    seed,
    tickRateHz: 0,
    configuration: "{}",
    players: [player(0), player(1)],
    region: undefined,
    chosen: [["map", "ice"]],
    bots: 0,
  };
}

export function say(from: number, message: unknown): Event {
  return { tag: "message", val: { from, body: new TextEncoder().encode(JSON.stringify(message)) } };
}

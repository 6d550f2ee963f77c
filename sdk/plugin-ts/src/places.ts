// Where in the game's own files a line of the bundle comes from, so that a stack in the log names what
// its designer has written. The build makes the table from the bundler's source map; the component
// carries it and reads it only when something was thrown.

/** For each line of the bundle the file and the line in it; file 0 is none of the game's. */
export interface Places {
  readonly files: readonly string[];
  /** Pairs, one after another: the file's number from 1, and the line from 1. */
  readonly lines: readonly number[];
}

/** The bundle's name, as stacks have it. */
export const BUNDLE = "scene.js";

/** What becomes of it. */
export const COMPONENT = "scene.wasm";

/** `who@scene.js:961:36`, as the engine writes the frames of a stack. */
const FRAME = /^\s*(.*?)@(?:.*\/)?scene\.js:(\d+):\d+$/;

/** The frames of a stack that are the game's, as lines of text. */
export function ownFrames(stack: string, places: Places): string[] {
  return stack.split("\n").flatMap((line) => {
    const [, who, at] = FRAME.exec(line) ?? [];
    const index = (Number(at) - 1) * 2;
    const file = at === undefined ? undefined : places.files[(places.lines[index] ?? 0) - 1];
    return file === undefined
      ? []
      : [`  at ${who || "the file"} (${file}:${places.lines[index + 1]})`];
  });
}

/** The parts of a source map that count here; see the specification ECMA-426. */
export interface SourceMap {
  readonly sources: readonly string[];
  readonly mappings: string;
}

/** The table for a bundle. `nameOf` says what a source is called, if it is the game's. */
export function placesOf(map: SourceMap, nameOf: (source: string) => string | undefined): Places {
  const names = map.sources.map(nameOf);
  const files = [...new Set(names.filter((name) => name !== undefined))];
  let [source, line] = [0, 0];
  const lines = map.mappings.split(";").flatMap((segments) => {
    let first: [number, number] = [0, 0];
    for (const segment of segments.split(",")) {
      const [, sources, lines] = numbers(segment);
      if (sources === undefined || lines === undefined) continue;
      source += sources;
      line += lines;
      const name = names[source];
      if (first[0] === 0 && name !== undefined) first = [files.indexOf(name) + 1, line + 1];
    }
    return first;
  });
  return { files, lines };
}

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** Numbers in Base64 VLQ: six bits a character, the highest for "there is more", the lowest the sign. */
function numbers(segment: string): number[] {
  const read: number[] = [];
  let [value, shift] = [0, 0];
  for (const digit of segment) {
    const bits = DIGITS.indexOf(digit);
    value |= (bits & 31) << shift;
    shift += 5;
    if (bits & 32) continue;
    read.push(value & 1 ? -(value >> 1) : value >> 1);
    [value, shift] = [0, 0];
  }
  return read;
}

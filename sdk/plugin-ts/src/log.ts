// Lines for the game's designer. Where they go is set once by who runs the scene: a component gives
// them to the host, the test kit keeps them. Nothing comes back, so they cannot change the scene.

export type Level = "debug" | "info" | "warn" | "error";
export type Sink = (level: Level, text: string) => void;

let sink: Sink = () => {};

/** Where lines go from now on; returns where they went before. */
export function sendLinesTo(next: Sink): Sink {
  const before = sink;
  sink = next;
  return before;
}

/** Writes a line to the scene's log, in the fleet's limit: lines past it are counted and dropped. */
export function log(level: Level, text: string): void {
  sink(level, text);
}

// What all components begin with, and what becomes of an error in one.
import { guard } from "./guard.js";
import { log } from "./log.js";
import { ownFrames, type Places } from "./places.js";

/** For the build: before any line of the game runs. */
export function prepare(): void {
  guard();
  const line = (level: "debug" | "info" | "warn" | "error") => {
    return (...parts: unknown[]) => log(level, parts.map(String).join(" "));
  };
  const [debug, info, warn, error] = [line("debug"), line("info"), line("warn"), line("error")];
  Object.assign(globalThis, { console: { debug, log: info, info, warn, error } });
}

/** The build ends the bundle with the table as JSON in a global, which costs least until it is read. */
export const PLACES_NAME = "scenehostPlaces";

/** Calls something of the game: what it throws is logged, and thrown on as a text. */
export function failing<T>(where: string, run: () => T): T {
  try {
    return run();
  } catch (thrown) {
    throw logged(where, thrown);
  }
}

/** Logs what was thrown, with its stack, and returns it as a text. */
export function logged(where: string, thrown: unknown): string {
  const text = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown);
  const stack = thrown instanceof Error ? framesOf(thrown) : [];
  log("error", [`${where}: ${text}`, ...stack].join("\n"));
  return text;
}

function framesOf(thrown: Error): string[] {
  const places = (globalThis as { [PLACES_NAME]?: string })[PLACES_NAME];
  return places === undefined ? [] : ownFrames(thrown.stack ?? "", JSON.parse(places) as Places);
}

// What is wrong with a game that cannot be built.

/** A text for the game's designer, of many lines. */
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

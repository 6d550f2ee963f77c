// What the server has for the player, loaded once it is wanted and kept as it is from then on.
import type { Lobby } from "@scenehost/client";
import { Store } from "../store.js";
import { problemOf } from "../trouble.js";

export interface Known<T> {
  /** `undefined`: not loaded yet. It stays when it cannot be loaded again. */
  readonly value: T | undefined;
  /** Why it could not be loaded. */
  readonly problem: string;
}

export class Kept<T> {
  readonly #ask: () => Promise<T>;
  readonly known = new Store<Known<T>>({ value: undefined, problem: "" });
  #loading: Promise<void> | undefined;
  /** Something has changed since the loading began. */
  #stale = false;
  #wanted = false;

  constructor(lobby: Lobby, ask: () => Promise<T>) {
    this.#ask = ask;
    lobby.on("resumed", ({ complete }) => !complete && this.refresh());
    lobby.on("service", ({ service, up }) => service === "DB" && up && this.refresh());
  }

  /** Loads it, and again whenever it may have changed. Does not throw: `problem` tells. */
  load(): Promise<void> {
    this.#wanted = true;
    this.#stale = true;
    this.#loading ??= this.#load().finally(() => (this.#loading = undefined));
    return this.#loading;
  }

  /** It may have changed: loads it again if anybody wants it. */
  refresh(): void {
    if (this.#wanted) void this.load();
  }

  /** It has changed in a way that need not be asked for. */
  change(by: (value: T) => T): void {
    const { value, problem } = this.known.value;
    if (value !== undefined) this.known.set({ value: by(value), problem });
  }

  async #load(): Promise<void> {
    while (this.#stale) {
      this.#stale = false;
      try {
        this.known.set({ value: await this.#ask(), problem: "" });
      } catch (error) {
        this.known.set({ ...this.known.value, problem: problemOf(error) });
      }
    }
  }
}

// The colors that users have chosen, asked for once, for many users at a time.
import type { Lobby } from "@scenehost/client";
import { Store } from "../store.js";
import { colorOf, type Color } from "./colors.js";

/** So many profiles are given at once. */
const PROFILES_MAX = 64;

export class Faces {
  readonly #lobby: Lobby;
  /** Waits to be asked for, or is being asked for. */
  readonly #wanted = new Set<string>();
  #asking = false;
  /** What users have chosen, by their ids. */
  readonly avatars = new Store<ReadonlyMap<string, string>>(new Map());

  constructor(lobby: Lobby) {
    this.#lobby = lobby;
  }

  /** Of a user whose choice is not known yet it is the color that they have without one. */
  of(userId: string): Color {
    const avatar = this.avatars.value.get(userId);
    if (avatar === undefined) this.#want(userId);
    return colorOf(avatar ?? "", userId);
  }

  /** The user has chosen, just now. */
  set(userId: string, avatar: string): void {
    this.avatars.set(new Map(this.avatars.value).set(userId, avatar));
  }

  #want(userId: string): void {
    this.#wanted.add(userId);
    if (this.#asking) return;
    this.#asking = true;
    queueMicrotask(() => void this.#ask());
  }

  async #ask(): Promise<void> {
    const ids = [...this.#wanted].slice(0, PROFILES_MAX);
    const avatars = new Map(this.avatars.value);
    // Who is not known keeps the color without a choice. The same if the server cannot tell now:
    // a color is not worth another try.
    for (const id of ids) avatars.set(id, "");
    const profiles = await this.#lobby.profiles.show(ids).catch(() => []);
    for (const { userId, avatar } of profiles) avatars.set(userId, avatar);
    for (const id of ids) this.#wanted.delete(id);
    this.#asking = false;
    this.avatars.set(avatars);
    const next = this.#wanted.values().next();
    if (!next.done) this.#want(next.value);
  }
}

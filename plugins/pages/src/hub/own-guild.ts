// The player's guild, and the guilds that may become it; kept as it is on the server.
import type { Guild, GuildSummary, Lobby } from "@scenehost/client";
import { Store } from "../store.js";
import { problemOf } from "../trouble.js";

export interface Membership {
  readonly guild: Guild | undefined;
  /** Guilds that the player has asked. */
  readonly requests: readonly GuildSummary[];
  /** Guilds that have invited the player. */
  readonly invites: readonly GuildSummary[];
}

export interface Known {
  /** `undefined`: not loaded yet. */
  readonly membership: Membership | undefined;
  /** Why it could not be loaded. */
  readonly problem: string;
}

export class OwnGuild {
  readonly #lobby: Lobby;
  readonly known = new Store<Known>({ membership: undefined, problem: "" });
  #loading: Promise<void> | undefined;
  /** Something has happened since the loading began. */
  #stale = false;
  #wanted = false;

  constructor(lobby: Lobby) {
    this.#lobby = lobby;
    const again = () => {
      if (this.#wanted) void this.load();
    };
    lobby.on("guild", again);
    lobby.on("resumed", ({ complete }) => !complete && again());
    lobby.on("service", ({ service, up }) => service === "DB" && up && again());
  }

  /** Loads it, and keeps it as it is from then on. Does not throw: `problem` tells. */
  load(): Promise<void> {
    this.#wanted = true;
    this.#stale = true;
    this.#loading ??= this.#load().finally(() => (this.#loading = undefined));
    return this.#loading;
  }

  async #load(): Promise<void> {
    while (this.#stale) {
      this.#stale = false;
      try {
        this.known.set({ membership: await this.#lobby.guilds.mine(), problem: "" });
      } catch (error) {
        this.known.set({ ...this.known.value, problem: problemOf(error) });
      }
    }
  }
}

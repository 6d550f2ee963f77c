// Users as others see them.
import type { Profile as ProfileFrame } from "../gen/scenehost/v1/profile_pb.js";
import type { Ask } from "./ask.js";

export interface Profile {
  readonly userId: string;
  readonly name: string;
  /** When the user came for the first time. */
  readonly since: Date;
  /** What the user is up to; empty: not said. */
  readonly status: string;
  /** Names a picture of the game's; empty: none. */
  readonly avatar: string;
  readonly about: string;
}

export interface ProfileChange {
  /** Up to 64 characters. */
  readonly status?: string;
  /** Up to 64 characters. */
  readonly avatar?: string;
  /** Up to 500 characters. */
  readonly about?: string;
}

export class Profiles {
  readonly #ask: Ask;

  /** Made by `Lobby`; see `Lobby.profiles`. */
  constructor(ask: Ask) {
    this.#ask = ask;
  }

  /** The profiles of up to 64 users; those who are not known are left out. */
  async show(userIds: readonly string[]): Promise<Profile[]> {
    const ask = { case: "show" as const, value: { userIds: [...userIds] } };
    const { profiles } = await this.#ask({ case: "reqProfile", value: { ask } }, "resProfile");
    return profiles.map(toProfile);
  }

  /** Changes one's own profile, and gives it as it is now; what is left out stays. */
  async change(change: ProfileChange): Promise<Profile> {
    const ask = { case: "change" as const, value: { ...change } };
    const { profiles } = await this.#ask({ case: "reqProfile", value: { ask } }, "resProfile");
    return toProfile(profiles[0]!);
  }
}

function toProfile({ userId, name, sinceMs, status, avatar, about }: ProfileFrame): Profile {
  return { userId, name, since: new Date(Number(sinceMs)), status, avatar, about };
}

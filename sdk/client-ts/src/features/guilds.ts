// Guilds: groups of users with roles.
import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  GuildEntry,
  GuildRole,
  SynGuild_What,
  type Guild as GuildFrame,
  type ReqGuildSchema,
  type ResGuild,
  type SynGuild,
} from "../gen/scenehost/v1/guild_pb.js";
import type { Ask } from "./ask.js";

export type Role = "member" | "officer" | "leader";
/** `open`: by joining; `by-request`: by asking and being accepted. */
export type Entry = "open" | "by-request";

export interface Guild {
  readonly guildId: string;
  readonly name: string;
  /** Up to 5 characters. */
  readonly tag: string;
  readonly about: string;
  readonly entry: Entry;
  /** The most members. */
  readonly limit: number;
  readonly since: Date;
  /** Grows by one with every change. */
  readonly version: bigint;
  readonly members: readonly {
    readonly userId: string;
    readonly name: string;
    readonly role: Role;
    readonly since: Date;
  }[];
  /** Who has asked to be let in; for officers and the leader. */
  readonly requests: readonly { readonly userId: string; readonly name: string }[];
  /** Who is invited; for officers and the leader. */
  readonly invites: readonly { readonly userId: string; readonly name: string }[];
}

export interface GuildSummary {
  readonly guildId: string;
  readonly name: string;
  readonly tag: string;
  readonly members: number;
}

/** Something has happened in a guild: told to its members, and to the user whom it is about. */
export interface GuildEvent {
  readonly guildId: string;
  readonly name: string;
  /** The guild's version now. */
  readonly version: bigint;
  readonly what: keyof typeof SynGuild_What;
  /** Who did it, or whom it is about. */
  readonly userId: string;
  /** What you are in the guild now; `undefined`: not in it. */
  readonly role: Role | undefined;
}

export interface GuildDatum {
  readonly key: string;
  readonly value: Uint8Array;
  readonly version: bigint;
}

export class Guilds {
  readonly #ask: Ask;

  /** Made by `Lobby`; see `Lobby.guilds`. */
  constructor(ask: Ask) {
    this.#ask = ask;
  }

  /** Founds a guild, which you lead. Refused with `TAKEN` if the name is another guild's. */
  async create(guild: {
    name: string;
    tag?: string;
    about?: string;
    entry?: Entry;
  }): Promise<Guild> {
    const { name, tag = "", about = "", entry = "open" } = guild;
    const value = { name, tag, about, entry: toEntryFrame(entry) };
    return toGuild(await this.#request({ case: "create", value }));
  }

  /** A guild by id or by name, or one's own; throws `Refused` with `NOT_FOUND` if there is none. */
  async show(which: { guildId: string } | { name: string } | "own"): Promise<Guild> {
    const value = which === "own" ? {} : which;
    return toGuild(await this.#request({ case: "show", value }));
  }

  /** One's own guild, if any, the guilds that one has asked, and those that have invited one. */
  async mine(): Promise<{
    guild: Guild | undefined;
    requests: GuildSummary[];
    invites: GuildSummary[];
  }> {
    const { guild, requests, invites } = await this.#request({ case: "mine", value: {} });
    const summary = ({ guildId, name, tag, members }: GuildSummary): GuildSummary => ({
      guildId,
      name,
      tag,
      members,
    });
    return {
      guild: guild && guildOf(guild),
      requests: requests.map(summary),
      invites: invites.map(summary),
    };
  }

  /** Comes into an open guild. */
  async join(guildId: string): Promise<Guild> {
    return toGuild(await this.#request({ case: "join", value: guildId }));
  }

  /** Asks a guild to be let in. */
  askToJoin(guildId: string): Promise<void> {
    return this.#order({ case: "askToJoin", value: guildId });
  }

  /** Takes that back. */
  withdraw(guildId: string): Promise<void> {
    return this.#order({ case: "withdraw", value: guildId });
  }

  /** Lets a user in who has asked; officers and the leader. */
  accept(userId: string): Promise<void> {
    return this.#order({ case: "accept", value: userId });
  }

  /** Does not, or takes an invitation back; officers and the leader. */
  decline(userId: string): Promise<void> {
    return this.#order({ case: "decline", value: userId });
  }

  /** Officers and the leader. */
  invite(userId: string): Promise<void> {
    return this.#order({ case: "invite", value: userId });
  }

  /** Comes into a guild that has invited one. */
  async acceptInvite(guildId: string): Promise<Guild> {
    return toGuild(await this.#request({ case: "acceptInvite", value: guildId }));
  }

  declineInvite(guildId: string): Promise<void> {
    return this.#order({ case: "declineInvite", value: guildId });
  }

  /** After its leader an officer leads, or the oldest member; after the last one it is gone. */
  leave(): Promise<void> {
    return this.#order({ case: "leave", value: {} });
  }

  /** Removes a member of a lower role. */
  kick(userId: string): Promise<void> {
    return this.#order({ case: "kick", value: userId });
  }

  /** The leader makes a member an officer, or an officer a member. */
  setRole(userId: string, role: "member" | "officer"): Promise<void> {
    const frame = role === "officer" ? GuildRole.OFFICER : GuildRole.MEMBER;
    return this.#order({ case: "setRole", value: { userId, role: frame } });
  }

  /** The leader lets another member lead. */
  handOver(userId: string): Promise<void> {
    return this.#order({ case: "handOver", value: userId });
  }

  /** Officers and the leader; gives the guild as it is now, what is left out stays. */
  async change(change: { about?: string; entry?: Entry; limit?: number }): Promise<Guild> {
    const { about, entry, limit } = change;
    const value = {
      ...(about === undefined ? {} : { about }),
      ...(entry === undefined ? {} : { entry: toEntryFrame(entry) }),
      ...(limit === undefined ? {} : { limit }),
    };
    return toGuild(await this.#request({ case: "change", value }));
  }

  /** The leader ends the guild. */
  dissolve(): Promise<void> {
    return this.#order({ case: "dissolve", value: {} });
  }

  /** What the guild keeps. */
  async readData(): Promise<GuildDatum[]> {
    const { data } = await this.#request({ case: "readData", value: {} });
    return data.map(({ key, value, version }) => ({ key, value, version }));
  }

  /** Officers and the leader; `null` removes. Gives the version, `0n` if it was removed. */
  async writeData(key: string, value: Uint8Array | null, ifVersion?: bigint): Promise<bigint> {
    const change = {
      key,
      ...(value ? { value } : {}),
      ...(ifVersion === undefined ? {} : { ifVersion }),
    };
    return (await this.#request({ case: "writeData", value: change })).version;
  }

  #request(ask: GuildAsk): Promise<ResGuild> {
    return this.#ask({ case: "reqGuild", value: { ask } }, "resGuild");
  }

  async #order(ask: GuildAsk): Promise<void> {
    await this.#ask({ case: "reqGuild", value: { ask } }, "done");
  }
}

type GuildAsk = NonNullable<MessageInitShape<typeof ReqGuildSchema>["ask"]>;

/** What `syn_guild` tells. */
export function toGuildEvent(frame: SynGuild): GuildEvent {
  const { guildId, name, version, what, userId, role } = frame;
  return {
    guildId,
    name,
    version,
    what: (SynGuild_What[what] as GuildEvent["what"] | undefined) ?? "WHAT_UNSPECIFIED",
    userId,
    role: roleOf(role),
  };
}

function toEntryFrame(entry: Entry): GuildEntry {
  return entry === "open" ? GuildEntry.OPEN : GuildEntry.BY_REQUEST;
}

function roleOf(role: GuildRole): Role | undefined {
  return (["member", "officer", "leader"] as const)[role - 1];
}

function toGuild({ guild }: ResGuild): Guild {
  if (!guild) throw new TypeError("the server's answer has no guild");
  return guildOf(guild);
}

function guildOf(guild: GuildFrame): Guild {
  const { guildId, name, tag, about, limit, version } = guild;
  const candidate = ({ userId, name }: { userId: string; name: string }) => ({ userId, name });
  return {
    guildId,
    name,
    tag,
    about,
    entry: guild.entry === GuildEntry.BY_REQUEST ? "by-request" : "open",
    limit,
    since: new Date(Number(guild.sinceMs)),
    version,
    members: guild.members.map(({ userId, name, role, sinceMs }) => ({
      userId,
      name,
      role: roleOf(role) ?? "member",
      since: new Date(Number(sinceMs)),
    })),
    requests: guild.requests.map(candidate),
    invites: guild.invites.map(candidate),
  };
}

// Friends and what they are doing.
import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  FriendList,
  Presence_State,
  SynFriends_Change,
  type Presence as PresenceFrame,
  type ReqFriendsSchema,
  type SynFriends,
  type SynPresence,
} from "../gen/scenehost/v1/friends_pb.js";
import type { Ask } from "./ask.js";

/** What a user is doing, as friends see it. */
export interface Presence {
  /** `OFFLINE`: also who does not want to be seen. `AWAY`: the connection is lost. */
  readonly state: keyof typeof Presence_State;
  /** In a game: of this domain. */
  readonly domain: string;
}

export interface Friend {
  readonly userId: string;
  readonly name: string;
  readonly since: Date;
  /** Of friends only; of the others it is `OFFLINE`. */
  readonly presence: Presence;
}

/** `received`: who has asked; `sent`: whom one has asked. */
export type FriendListName = "friends" | "received" | "sent" | "blocked";

/** Something has changed between the user and another, or about who sees the user. */
export interface FriendChange {
  readonly change: keyof typeof SynFriends_Change;
  /** The other; empty for `HIDDEN` and `SHOWN`. */
  readonly userId: string;
  readonly name: string;
}

export interface FriendPresence {
  readonly userId: string;
  readonly presence: Presence;
}

export class Friends {
  readonly #ask: Ask;

  /** Made by `Lobby`; see `Lobby.friends`. */
  constructor(ask: Ask) {
    this.#ask = ask;
  }

  /** One of one's lists, and whether one looks offline to everybody. */
  async list(name: FriendListName): Promise<{ users: Friend[]; appearsOffline: boolean }> {
    const ask = { case: "list" as const, value: lists[name] };
    const answer = await this.#ask({ case: "reqFriends", value: { ask } }, "resFriends");
    const users = answer.friends.map(({ userId, name, sinceMs, presence }) => ({
      userId,
      name,
      since: new Date(Number(sinceMs)),
      presence: toPresence(presence),
    }));
    return { users, appearsOffline: answer.appearsOffline };
  }

  /** Asks a user to be friends; if that user has asked already, both are friends at once. */
  request(userId: string): Promise<void> {
    return this.#order({ case: "request", value: userId });
  }

  accept(userId: string): Promise<void> {
    return this.#order({ case: "accept", value: userId });
  }

  decline(userId: string): Promise<void> {
    return this.#order({ case: "decline", value: userId });
  }

  /** Takes one's own request back. */
  withdraw(userId: string): Promise<void> {
    return this.#order({ case: "withdraw", value: userId });
  }

  /** Is friends with this user no more. */
  remove(userId: string): Promise<void> {
    return this.#order({ case: "remove", value: userId });
  }

  /** Nothing to do with that user any more: no messages, no matches; a friendship ends. */
  block(userId: string): Promise<void> {
    return this.#order({ case: "block", value: userId });
  }

  /** Ends that; it does not bring a friendship back. */
  unblock(userId: string): Promise<void> {
    return this.#order({ case: "unblock", value: userId });
  }

  /** Looks offline to everybody, or not any more. */
  appearOffline(offline: boolean): Promise<void> {
    return this.#order({ case: "appearOffline", value: offline });
  }

  async #order(ask: NonNullable<MessageInitShape<typeof ReqFriendsSchema>["ask"]>): Promise<void> {
    await this.#ask({ case: "reqFriends", value: { ask } }, "done");
  }
}

const lists: Record<FriendListName, FriendList> = {
  friends: FriendList.FRIENDS,
  received: FriendList.RECEIVED,
  sent: FriendList.SENT,
  blocked: FriendList.BLOCKED,
};

/** What `syn_friends` tells. */
export function toFriendChange({ change, userId, name }: SynFriends): FriendChange {
  const known = SynFriends_Change[change] as FriendChange["change"] | undefined;
  return { change: known ?? "UNSPECIFIED", userId, name };
}

/** What `syn_presence` tells. */
export function toPresences({ friends }: SynPresence): FriendPresence[] {
  return friends.map(({ userId, presence }) => ({ userId, presence: toPresence(presence) }));
}

/** What a user is doing; `OFFLINE` if nothing is said. */
export function toPresence(frame: PresenceFrame | undefined): Presence {
  const { state = Presence_State.OFFLINE, domain = "" } = frame ?? {};
  return { state: (Presence_State[state] as Presence["state"] | undefined) ?? "OFFLINE", domain };
}

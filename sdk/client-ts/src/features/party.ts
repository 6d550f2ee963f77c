// Parties: users who prepare and play together.
//
// Invariant: `current` is the user's party as it was told last, and none of before a beginning anew.
import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  PartyChange,
  type Party as PartyFrame,
  type PartyInvite as InviteFrame,
  type ReqPartySchema,
  type SynParty,
} from "../gen/scenehost/v1/party_pb.js";
import type { Ask } from "./ask.js";
import { toPresence, type Presence } from "./friends.js";

export interface Party {
  readonly partyId: string;
  /** Whoever knows it can come in: 6 letters and digits. */
  readonly code: string;
  readonly leaderId: string;
  /** In the order in which they came in. */
  readonly members: readonly PartyMember[];
  /** The most members. */
  readonly membersMax: number;
  readonly invited: readonly {
    readonly userId: string;
    readonly name: string;
    readonly until: Date;
    /** Who has invited the user. */
    readonly byId: string;
  }[];
  /** What the leader keeps for the game. */
  readonly data: string;
  /** While the members are asked whether they are ready. */
  readonly check: PartyCheck | undefined;
  /** The number of the last message in the party's chat; `0n`: nothing was said yet. */
  readonly lastMessageId: bigint;
}

export interface PartyMember {
  readonly userId: string;
  readonly name: string;
  /** Also of who looks offline to everybody else. */
  readonly presence: Presence;
  /** Has said so in the check that goes on. */
  readonly ready: boolean;
  /** What the member keeps for the game. */
  readonly data: string;
}

export interface PartyCheck {
  /** Until when all have to be ready, by this machine's clock. */
  readonly until: Date;
  /** Where the party looks for a match then; `undefined`: nowhere. */
  readonly domain: string | undefined;
}

/** That the user may come into a party. */
export interface PartyInvite {
  readonly partyId: string;
  /** Who has invited the user. */
  readonly userId: string;
  readonly name: string;
  /** How many are in the party. */
  readonly members: number;
  /** Until when it can be accepted, by this machine's clock. */
  readonly until: Date;
}

/** What has become of the user's party, or of an invitation. */
export type PartyEvent =
  /** The party is like this now; `userId` is who did that, or whom it was about. */
  | {
      readonly kind: "changed";
      readonly party: Party;
      /** `UNSPECIFIED`: it is told as it is, for example after a sign-in. */
      readonly change: keyof typeof PartyChange;
      readonly userId: string;
    }
  /** The user is in it no more; `change` is `LEFT` or `KICKED`. */
  | {
      readonly kind: "gone";
      readonly partyId: string;
      readonly change: keyof typeof PartyChange;
    }
  | { readonly kind: "invited"; readonly invite: PartyInvite }
  /** The invitation to this party is no more. That its time is over is not told. */
  | { readonly kind: "uninvited"; readonly partyId: string };

/** So long an invitation can be accepted, and so long members are asked whether they are ready. */
const INVITE_MS = 120_000;
const CHECK_MS = 30_000;
/** So many invitations are kept, the newest. */
const INVITES_MAX = 32;

export class Parties {
  readonly #ask: Ask;
  #current: Party | undefined;
  /** By the ids of the parties, the oldest first. */
  readonly #invites = new Map<string, PartyInvite>();

  /** Made by `Lobby`; see `Lobby.party`. */
  constructor(ask: Ask) {
    this.#ask = ask;
  }

  /**
   * The party that the user is in, as it was told last. After a return that is not complete it is
   * `undefined` until the server tells it anew.
   */
  get current(): Party | undefined {
    return this.#current;
  }

  /** The invitations that can still be accepted, the oldest first. */
  get invites(): readonly PartyInvite[] {
    return [...this.#invites.values()].filter(({ until }) => until.getTime() > Date.now());
  }

  /** Begins a party, which the user leads. Refused with `BUSY` if the user is in one. */
  create(): Promise<void> {
    return this.#order({ case: "create", value: {} });
  }

  /** Invites a user, for two minutes. */
  invite(userId: string): Promise<void> {
    return this.#order({ case: "invite", value: userId });
  }

  /** Takes an invitation back: one's own, or as the leader anybody's. */
  uninvite(userId: string): Promise<void> {
    return this.#order({ case: "uninvite", value: userId });
  }

  /** Comes into a party that has invited the user. */
  accept(partyId: string): Promise<void> {
    return this.#order({ case: "accept", value: partyId });
  }

  decline(partyId: string): Promise<void> {
    return this.#order({ case: "decline", value: partyId });
  }

  /** Comes into the party with this code; capitals, spaces and `-` make no difference. */
  join(code: string): Promise<void> {
    return this.#order({ case: "join", value: code });
  }

  /** After its leader the member leads who has been in it for the longest time. */
  leave(): Promise<void> {
    return this.#order({ case: "leave", value: {} });
  }

  /** The leader removes a member, who comes back by an invitation only. */
  kick(userId: string): Promise<void> {
    return this.#order({ case: "kick", value: userId });
  }

  /** The leader lets another member lead. */
  handOver(userId: string): Promise<void> {
    return this.#order({ case: "handOver", value: userId });
  }

  /** What the party keeps for its game, such as a map; up to 2,048 bytes, from the leader. */
  setData(data: string): Promise<void> {
    return this.#order({ case: "setData", value: data });
  }

  /** What it keeps of the user, such as a choice of character; up to 256 bytes. */
  setOwnData(data: string): Promise<void> {
    return this.#order({ case: "setOwnData", value: data });
  }

  /**
   * The leader asks all members whether they are ready. With a domain the party looks for a match
   * there as soon as all are; `findMatch` takes that search up.
   */
  checkReady(domain = ""): Promise<void> {
    return this.#order({ case: "checkReady", value: { domain } });
  }

  /** Whether the user is ready; `false` ends the check, or the party's search for a match. */
  ready(ready: boolean): Promise<void> {
    return this.#order({ case: "ready", value: ready });
  }

  /** For `Lobby`: what the server tells; nothing for what a newer server tells. */
  hear({ what }: SynParty): PartyEvent | undefined {
    switch (what.case) {
      case "party":
        return this.#changed(what.value);
      case "gone": {
        const { partyId, change } = what.value;
        if (this.#current?.partyId === partyId) this.#current = undefined;
        return { kind: "gone", partyId, change: changeName(change) };
      }
      case "invited":
        return { kind: "invited", invite: this.#invited(what.value) };
      case "uninvited":
        this.#invites.delete(what.value);
        return { kind: "uninvited", partyId: what.value };
      default:
        return undefined;
    }
  }

  /** For `Lobby`: more was missed than is known. What there is, is told anew. */
  forget(): void {
    this.#current = undefined;
    this.#invites.clear();
  }

  #changed(frame: PartyFrame): PartyEvent {
    const party = toParty(frame);
    this.#current = party;
    this.#invites.delete(party.partyId);
    const { change, userId } = frame;
    return { kind: "changed", party, change: changeName(change), userId };
  }

  #invited({ partyId, userId, name, members, untilMs }: InviteFrame): PartyInvite {
    const until = toUntil(untilMs, INVITE_MS);
    const invite = { partyId, userId, name, members, until };
    this.#invites.delete(partyId);
    this.#invites.set(partyId, invite);
    const [oldest] = this.#invites.keys();
    if (this.#invites.size > INVITES_MAX) this.#invites.delete(oldest!);
    return invite;
  }

  async #order(ask: NonNullable<MessageInitShape<typeof ReqPartySchema>["ask"]>): Promise<void> {
    await this.#ask({ case: "reqParty", value: { ask } }, "done");
  }
}

function toParty(frame: PartyFrame): Party {
  const { partyId, code, leaderId, membersMax, data, check, lastMessageId } = frame;
  return {
    partyId,
    code,
    leaderId,
    members: frame.members.map(({ userId, name, presence, ready, data }) => ({
      userId,
      name,
      presence: toPresence(presence),
      ready,
      data,
    })),
    membersMax,
    invited: frame.invited.map(({ userId, name, untilMs, byId }) => ({
      userId,
      name,
      byId,
      until: toUntil(untilMs, INVITE_MS),
    })),
    data,
    check: check && {
      until: toUntil(check.untilMs, CHECK_MS),
      domain: check.domain || undefined,
    },
    lastMessageId,
  };
}

function changeName(change: PartyChange): keyof typeof PartyChange {
  return (PartyChange[change] as keyof typeof PartyChange | undefined) ?? "UNSPECIFIED";
}

/**
 * A moment of the server's in at most `msMax`. Where it is none by this machine's clock, that clock is
 * wrong, and it counts from now on: what is open shall not be taken for over.
 */
function toUntil(untilMs: bigint, msMax: number): Date {
  const nowMs = Date.now();
  const leftMs = Number(untilMs) - nowMs;
  return new Date(nowMs + (leftMs > 0 && leftMs < msMax ? leftMs : msMax));
}

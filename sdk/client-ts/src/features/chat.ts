// Chat: rooms of the lobby, direct messages, the user's guild and party.
import {
  ChatKind,
  type ChatChannel as ChannelFrame,
  type ChatMessage as MessageFrame,
  type SynChat,
} from "../gen/scenehost/v1/chat_pb.js";
import type { Ask } from "./ask.js";

/** Where something is said. */
export type ChatChannel =
  | { readonly kind: "room"; readonly room: string }
  | { readonly kind: "direct"; readonly userId: string }
  /** `guildId` need not be said: a user is in one guild at most. */
  | { readonly kind: "guild"; readonly guildId?: string }
  /** Nor `partyId`: a user is in one party at most. */
  | { readonly kind: "party"; readonly partyId?: string };

export interface ChatMessage {
  readonly channel: ChatChannel;
  /** Counts the messages of the channel from 1. */
  readonly id: bigint;
  /** Who said it. */
  readonly userId: string;
  readonly name: string;
  readonly text: string;
  readonly sent: Date;
}

export interface ChatRoom {
  readonly room: string;
  /** The number of its last message; `0n`: nothing was said yet. */
  readonly lastId: bigint;
  /** How many users are in it, you too. */
  readonly members: number;
}

/** What the lobby tells about chat. */
export type ChatEvent =
  /** Somebody else has said something. */
  | { readonly kind: "message"; readonly message: ChatMessage }
  /**
   * After a return: the rooms that you are in. What was said in them meanwhile is not told by itself:
   * ask for the `history` where `lastId` is one that you have not seen.
   */
  | { readonly kind: "rooms"; readonly rooms: readonly Omit<ChatRoom, "members">[] }
  /** An operator has muted you until then; `undefined`: you may speak again. */
  | { readonly kind: "muted"; readonly until: Date | undefined };

export class Chat {
  readonly #ask: Ask;

  /** Made by `Lobby`; see `Lobby.chat`. */
  constructor(ask: Ask) {
    this.#ask = ask;
  }

  /** Comes into a room; its messages arrive as events of the lobby from then on. */
  async join(room: string): Promise<ChatRoom> {
    const ask = { case: "join" as const, value: { room } };
    const answer = await this.#ask({ case: "reqChat", value: { ask } }, "resChat");
    const { lastId = 0n, members = 0 } = answer.room ?? {};
    return { room, lastId, members };
  }

  /** Is in a room no more. */
  async leave(room: string): Promise<void> {
    const ask = { case: "leave" as const, value: { room } };
    await this.#ask({ case: "reqChat", value: { ask } }, "done");
  }

  /**
   * Says something, 1 to 500 characters; gives the message as it was said. Refused with
   * `RATE_LIMITED` if it is too much, and with `FORBIDDEN` for who is muted.
   */
  async say(channel: ChatChannel, text: string): Promise<ChatMessage> {
    const ask = { case: "say" as const, value: { channel: toFrame(channel), text } };
    const { messages } = await this.#ask({ case: "reqChat", value: { ask } }, "resChat");
    return toMessage(messages[0]!);
  }

  /** Up to 32 messages of a channel, the oldest first: the newest, or those before one. */
  async history(channel: ChatChannel, before = 0n): Promise<ChatMessage[]> {
    const ask = { case: "history" as const, value: { channel: toFrame(channel), before } };
    const { messages } = await this.#ask({ case: "reqChat", value: { ask } }, "resChat");
    return messages.map(toMessage);
  }
}

/** What `syn_chat` tells; nothing for what a newer server tells. */
export function toChatEvent({ what }: SynChat): ChatEvent | undefined {
  switch (what.case) {
    case "message":
      return { kind: "message", message: toMessage(what.value) };
    case "rooms":
      return {
        kind: "rooms",
        rooms: what.value.rooms.map(({ name, lastId }) => ({ room: name, lastId })),
      };
    case "mutedUntilMs":
      return { kind: "muted", until: what.value ? new Date(Number(what.value)) : undefined };
    default:
      return undefined;
  }
}

function toFrame(channel: ChatChannel): { kind: ChatKind; of: string } {
  switch (channel.kind) {
    case "room":
      return { kind: ChatKind.ROOM, of: channel.room };
    case "direct":
      return { kind: ChatKind.DIRECT, of: channel.userId };
    case "guild":
      return { kind: ChatKind.GUILD, of: channel.guildId ?? "" };
    case "party":
      return { kind: ChatKind.PARTY, of: channel.partyId ?? "" };
  }
}

function toChannel(channel: ChannelFrame | undefined): ChatChannel {
  const of = channel?.of ?? "";
  switch (channel?.kind) {
    case ChatKind.DIRECT:
      return { kind: "direct", userId: of };
    case ChatKind.GUILD:
      return { kind: "guild", guildId: of };
    case ChatKind.PARTY:
      return { kind: "party", partyId: of };
    default:
      return { kind: "room", room: of };
  }
}

function toMessage({ channel, id, userId, name, text, sentMs }: MessageFrame): ChatMessage {
  const sent = new Date(Number(sentMs));
  return { channel: toChannel(channel), id, userId, name, text, sent };
}

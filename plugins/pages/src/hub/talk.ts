// What is said around the games: listens as long as the lobby is there, whatever is shown.
import {
  Refused,
  type ChatChannel,
  type ChatEvent,
  type Lobby,
  type Party,
} from "@scenehost/client";
import { Store } from "../store.js";
import { problemOf } from "../trouble.js";
import { emptyLog, keyOf, reduce, type Action, type Conversation, type Log } from "./chat-log.js";
import type { Membership } from "./book.js";
import type { Kept } from "./kept.js";

const ROOM = "lobby";

export class Talk {
  readonly #lobby: Lobby;
  readonly #ownGuild: Kept<Membership>;
  readonly log = new Store<Log>(emptyLog(ROOM));
  /** When the server takes the next message, by `performance.now()`; 0: now. */
  readonly quietUntilMs = new Store(0);

  constructor(lobby: Lobby, ownGuild: Kept<Membership>, party: Store<Party | undefined>) {
    this.#lobby = lobby;
    this.#ownGuild = ownGuild;
    lobby.on("chat", (event) => this.#hear(event));
    lobby.on("resumed", ({ complete }) => !complete && this.#again());
    ownGuild.known.subscribe(() => this.#followGuild());
    party.subscribe(() => this.#followParty(party.value));
  }

  /** The player sees the chosen conversation now, or does not any more. */
  watch(watched: boolean): void {
    this.#dispatch({ type: "watch", watched });
    if (watched && !this.#ownGuild.known.value.value) void this.#ownGuild.load();
    if (watched) this.#loadChosen();
  }

  choose(key: string): void {
    this.#dispatch({ type: "choose", key });
    this.#loadChosen();
  }

  /** Opens the conversation with a user, and chooses it. */
  openDirect(userId: string, name: string): void {
    const channel: ChatChannel = { kind: "direct", userId };
    this.#dispatch({ type: "open", channel, title: name });
    this.choose(keyOf(channel));
  }

  close(key: string): void {
    this.#dispatch({ type: "close", key });
    this.#loadChosen();
  }

  /** Says it. Throws as the client. */
  async say({ channel }: Conversation, text: string): Promise<void> {
    try {
      const message = await this.#lobby.chat.say(channel, text);
      this.#dispatch({ type: "message", message, own: this.#lobby.user.id });
    } catch (error) {
      if (error instanceof Refused && error.code === "RATE_LIMITED") {
        this.quietUntilMs.set(performance.now() + (error.retryAfterMs || 1000));
      }
      throw error;
    }
  }

  /** The messages before those that are known. Throws as the client. */
  async earlier({ key, channel, messages }: Conversation): Promise<void> {
    const before = messages[0]?.id ?? 0n;
    const found = await this.#lobby.chat.history(channel, before);
    this.#dispatch({ type: "earlier", key, messages: found });
  }

  /** Loads what is newest in a conversation, coming into the room first. Does not throw. */
  async load({ key, channel }: Conversation): Promise<void> {
    this.#dispatch({ type: "loading", key });
    try {
      if (channel.kind === "room") await this.#lobby.chat.join(channel.room);
      const messages = await this.#lobby.chat.history(channel);
      this.#dispatch({ type: "newest", key, messages });
    } catch (error) {
      this.#dispatch({ type: "failed", key, problem: problemOf(error) });
    }
  }

  #loadChosen(): void {
    const { conversations, chosen, watched } = this.log.value;
    const it = conversations.find(({ key }) => key === chosen);
    if (watched && it?.state === "new") void this.load(it);
  }

  #hear(event: ChatEvent): void {
    if (event.kind === "message") {
      const { message } = event;
      this.#dispatch({ type: "message", message, own: this.#lobby.user.id });
    } else if (event.kind === "muted") {
      this.#dispatch({ type: "muted", until: event.until });
    } else {
      for (const { room, lastId } of event.rooms) {
        this.#catchUp(keyOf({ kind: "room", room }), lastId);
      }
    }
  }

  /** What is said in rooms and parties is not told to who is not connected, or reads too slowly. */
  #catchUp(key: string, lastId: bigint): void {
    const it = this.log.value.conversations.find((it) => it.key === key);
    const seenId = it?.messages.at(-1)?.id ?? 0n;
    if (it?.state === "ready" && lastId > seenId) void this.load(it);
  }

  /** The user is in no room any more, and what was said meanwhile is not told. */
  #again(): void {
    const joined = this.log.value.conversations.filter(({ state }) => state !== "new");
    this.#dispatch({ type: "forget" });
    for (const it of joined) void this.load(it);
  }

  #followGuild(): void {
    const membership = this.#ownGuild.known.value.value;
    if (!membership) return;
    const { guild } = membership;
    const channel = guild && ({ kind: "guild", guildId: guild.guildId } as const);
    this.#follow("guild", channel, guild?.name ?? "");
  }

  #followParty(party: Party | undefined): void {
    const channel = party && ({ kind: "party", partyId: party.partyId } as const);
    this.#follow("party", channel, "Your party");
    if (party) this.#catchUp(keyOf({ kind: "party" }), party.lastMessageId);
  }

  /** The conversation of something that the player is in one of: of this one now, or of none. */
  #follow(kind: "guild" | "party", channel: ChatChannel | undefined, title: string): void {
    const known = this.log.value.conversations.find((it) => it.channel.kind === kind);
    if (known && (!channel || !isSame(known.channel, channel))) this.close(known.key);
    if (channel) this.#dispatch({ type: "open", channel, title });
  }

  #dispatch(action: Action): void {
    this.log.set(reduce(this.log.value, action));
  }
}

function isSame(a: ChatChannel, b: ChatChannel): boolean {
  if (a.kind === "guild") return b.kind === "guild" && a.guildId === b.guildId;
  return a.kind === "party" && b.kind === "party" && a.partyId === b.partyId;
}

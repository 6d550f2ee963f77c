// What was said, as far as this page knows, by a pure reduce.
//
// Invariant: the messages of a conversation are in order, each once, at most `MESSAGES_MAX`, and
// without a gap that "earlier" could not fill: what does not join on to the newest is let go.
import type { ChatChannel, ChatMessage } from "@scenehost/client";

/** The server gives so many of the past at once. */
export const HISTORY_MAX = 32;
export const MESSAGES_MAX = 256;
export const TEXT_CHARS_MAX = 500;
/** Within this time what one user says stands under one name. */
const GROUP_MS = 5 * 60_000;

export interface Conversation {
  readonly key: string;
  readonly channel: ChatChannel;
  readonly title: string;
  /** `new`: not loaded yet. `failed`: `problem` says why it is not loaded. */
  readonly state: "new" | "loading" | "ready" | "failed";
  readonly problem: string;
  readonly messages: readonly ChatMessage[];
  /** There may be earlier messages. */
  readonly more: boolean;
  /** How many messages came while it was not shown. */
  readonly unread: number;
}

export interface Log {
  /** Rooms, the guild and the party first, then users, the one opened last at the end. */
  readonly conversations: readonly Conversation[];
  /** The key of the chosen conversation. */
  readonly chosen: string;
  /** Whether the player sees the chosen one now. */
  readonly watched: boolean;
  readonly mutedUntil: Date | undefined;
}

export type Action =
  | { type: "open"; channel: ChatChannel; title: string }
  | { type: "close"; key: string }
  | { type: "choose"; key: string }
  | { type: "watch"; watched: boolean }
  | { type: "loading"; key: string }
  | { type: "failed"; key: string; problem: string }
  /** The newest messages of a conversation. */
  | { type: "newest"; key: string; messages: readonly ChatMessage[] }
  /** The ones before the first that was known. */
  | { type: "earlier"; key: string; messages: readonly ChatMessage[] }
  /** Something was said, by the user `own` or somebody else. */
  | { type: "message"; message: ChatMessage; own: string }
  /** More was missed than can be told: what is known may be of another time. */
  | { type: "forget" }
  | { type: "muted"; until: Date | undefined };

export function keyOf(channel: ChatChannel): string {
  if (channel.kind === "room") return `room/${channel.room}`;
  return channel.kind === "direct" ? `direct/${channel.userId}` : channel.kind;
}

/** A log with the room in it that everybody meets in. */
export function emptyLog(room: string): Log {
  const first = conversation({ kind: "room", room }, "Everybody");
  return { conversations: [first], chosen: first.key, watched: false, mutedUntil: undefined };
}

export function reduce(log: Log, action: Action): Log {
  switch (action.type) {
    case "open":
      return open(log, action.channel, action.title);
    case "close":
      return close(log, action.key);
    case "choose":
      return seen({ ...log, chosen: action.key });
    case "watch":
      return seen({ ...log, watched: action.watched });
    case "loading":
      return change(log, action.key, (it) => ({ ...it, state: "loading", problem: "" }));
    case "failed":
      return change(log, action.key, (it) => ({ ...it, state: "failed", problem: action.problem }));
    case "newest":
      return change(log, action.key, (it) => withNewest(it, action.messages));
    case "earlier":
      return change(log, action.key, (it) => withEarlier(it, action.messages));
    case "message":
      return receive(log, action.message, action.own);
    case "forget":
      return { ...log, conversations: log.conversations.map((it) => ({ ...it, ...unloaded })) };
    case "muted":
      return { ...log, mutedUntil: action.until };
  }
}

export function chosenOf(log: Log): Conversation {
  return log.conversations.find(({ key }) => key === log.chosen) ?? log.conversations[0]!;
}

/** How many messages the player has not seen. */
export function unreadOf(log: Log): number {
  return log.conversations.reduce((sum, { unread }) => sum + unread, 0);
}

/** Whether the message stands under the same name and time as the one before it. */
export function continues(message: ChatMessage, before: ChatMessage | undefined): boolean {
  if (!before || before.userId !== message.userId) return false;
  return message.sent.getTime() - before.sent.getTime() < GROUP_MS;
}

/** Of what a user is in one of, until more is known. */
const titles: Partial<Record<ChatChannel["kind"], string>> = {
  guild: "Your guild",
  party: "Your party",
};

const unloaded = { state: "new", messages: [], more: false } as const;

function conversation(channel: ChatChannel, title: string): Conversation {
  return { key: keyOf(channel), channel, title, problem: "", unread: 0, ...unloaded };
}

function open(log: Log, channel: ChatChannel, title: string): Log {
  const key = keyOf(channel);
  if (log.conversations.some((it) => it.key === key)) {
    return change(log, key, (it) => ({ ...it, channel, title }));
  }
  const opened = conversation(channel, title);
  const users = log.conversations.findIndex((it) => it.channel.kind === "direct");
  const at = channel.kind === "direct" || users < 0 ? log.conversations.length : users;
  return { ...log, conversations: log.conversations.toSpliced(at, 0, opened) };
}

function close(log: Log, key: string): Log {
  const conversations = log.conversations.filter((it) => it.key !== key);
  return seen({
    ...log,
    conversations,
    chosen: log.chosen === key ? conversations[0]!.key : log.chosen,
  });
}

function change(log: Log, key: string, by: (it: Conversation) => Conversation): Log {
  const conversations = log.conversations.map((it) => (it.key === key ? by(it) : it));
  return { ...log, conversations };
}

/** What is shown is read. */
function seen(log: Log): Log {
  return log.watched ? change(log, log.chosen, (it) => ({ ...it, unread: 0 })) : log;
}

function withNewest(it: Conversation, newest: readonly ChatMessage[]): Conversation {
  const first = newest[0];
  const last = it.messages.at(-1);
  const joins = !first || (last !== undefined && first.id <= last.id + 1n);
  const known = joins ? it.messages : [];
  const more = joins ? it.more : newest.length === HISTORY_MAX;
  return { ...it, state: "ready", problem: "", ...cut(merge(known, newest), more) };
}

function withEarlier(it: Conversation, earlier: readonly ChatMessage[]): Conversation {
  const messages = merge(earlier, it.messages);
  return {
    ...it,
    messages,
    more: earlier.length === HISTORY_MAX && messages.length < MESSAGES_MAX,
  };
}

function receive(log: Log, message: ChatMessage, own: string): Log {
  const title = titles[message.channel.kind] ?? message.name;
  const key = keyOf(message.channel);
  const known = log.conversations.some((it) => it.key === key);
  const opened = known ? log : open(log, message.channel, title);
  const shown = opened.watched && opened.chosen === key;
  const unread = shown || message.userId === own ? 0 : 1;
  return change(opened, key, (it) => ({
    ...it,
    unread: it.unread + unread,
    ...cut(merge(it.messages, [message]), it.more),
  }));
}

function merge(a: readonly ChatMessage[], b: readonly ChatMessage[]): ChatMessage[] {
  const byId = new Map([...a, ...b].map((message) => [message.id, message]));
  return [...byId.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}

function cut(
  messages: readonly ChatMessage[],
  more: boolean,
): Pick<Conversation, "messages" | "more"> {
  const over = messages.length > MESSAGES_MAX;
  return { messages: messages.slice(-MESSAGES_MAX), more: more || over };
}

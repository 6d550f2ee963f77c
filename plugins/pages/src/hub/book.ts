// What the panels keep of the player's guild, friends and notifications.
import type {
  Friend,
  FriendPresence,
  Guild,
  GuildSummary,
  Lobby,
  Notification,
} from "@scenehost/client";
import { Kept } from "./kept.js";

export interface Membership {
  readonly guild: Guild | undefined;
  /** Guilds that the player has asked. */
  readonly requests: readonly GuildSummary[];
  /** Guilds that have invited the player. */
  readonly invites: readonly GuildSummary[];
}

export interface FriendBook {
  readonly friends: readonly Friend[];
  readonly received: readonly Friend[];
  readonly sent: readonly Friend[];
  readonly blocked: readonly Friend[];
  readonly appearsOffline: boolean;
}

export interface Mail {
  /** The newest first. */
  readonly notifications: readonly Notification[];
  readonly unread: number;
}

/** An inbox has room for 100 notifications, and an answer for more than ten. */
const MAIL_PAGES_MAX = 10;

export function keepGuild(lobby: Lobby): Kept<Membership> {
  const kept = new Kept<Membership>(lobby, () => lobby.guilds.mine());
  lobby.on("guild", () => kept.refresh());
  return kept;
}

export function keepFriends(lobby: Lobby): Kept<FriendBook> {
  const kept = new Kept(lobby, () => loadFriends(lobby));
  lobby.on("friends", () => kept.refresh());
  lobby.on("presence", (news) => kept.change((book) => withPresence(book, news)));
  return kept;
}

export function keepMail(lobby: Lobby): Kept<Mail> {
  const kept = new Kept(lobby, () => loadMail(lobby));
  lobby.on("notification", () => kept.refresh());
  // A request that was answered has left the inbox.
  lobby.on("friends", () => kept.refresh());
  return kept;
}

export function withPresence(book: FriendBook, news: readonly FriendPresence[]): FriendBook {
  const presences = new Map(news.map(({ userId, presence }) => [userId, presence]));
  const friends = book.friends.map((it) => ({
    ...it,
    presence: presences.get(it.userId) ?? it.presence,
  }));
  return { ...book, friends };
}

/** What there is between the player and another. */
export function standingOf(
  book: FriendBook,
  userId: string,
): "none" | "friend" | "received" | "sent" | "blocked" {
  const has = (users: readonly Friend[]) => users.some((it) => it.userId === userId);
  if (has(book.blocked)) return "blocked";
  if (has(book.friends)) return "friend";
  if (has(book.received)) return "received";
  return has(book.sent) ? "sent" : "none";
}

/** Who can be played with first, then by name. */
export function byPresence(friends: readonly Friend[]): Friend[] {
  const ranks = { ONLINE: 0, SEARCHING: 1, IN_GAME: 2, AWAY: 3, OFFLINE: 4 } as const;
  return [...friends].sort(
    (a, b) =>
      ranks[a.presence.state] - ranks[b.presence.state] || a.name.localeCompare(b.name, "en"),
  );
}

async function loadFriends(lobby: Lobby): Promise<FriendBook> {
  const [friends, received, sent, blocked] = await Promise.all([
    lobby.friends.list("friends"),
    lobby.friends.list("received"),
    lobby.friends.list("sent"),
    lobby.friends.list("blocked"),
  ]);
  return {
    friends: friends.users,
    received: received.users,
    sent: sent.users,
    blocked: blocked.users,
    appearsOffline: friends.appearsOffline,
  };
}

async function loadMail(lobby: Lobby): Promise<Mail> {
  const all: Notification[] = [];
  for (let page = 0; page < MAIL_PAGES_MAX; page += 1) {
    const { notifications, more, unread } = await lobby.inbox.list(all.at(-1)?.id ?? 0n);
    all.push(...notifications);
    if (!more || notifications.length === 0) return { notifications: all.reverse(), unread };
  }
  const unread = all.filter(({ read }) => !read).length;
  return { notifications: all.reverse(), unread };
}

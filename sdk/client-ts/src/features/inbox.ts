// Notifications that wait for a user who is not here.
import {
  NotificationKind,
  type Notification as NotificationFrame,
  type SynNotification,
} from "../gen/scenehost/v1/inbox_pb.js";
import type { Ask } from "./ask.js";

export interface Notification {
  /** Grows from one to the next. */
  readonly id: bigint;
  /** `unknown`: of a kind that only newer clients know. */
  readonly kind: "operator" | "friend-request" | "friend-accepted" | "unknown";
  /** Who has caused it, with the name at that time; empty: nobody. */
  readonly userId: string;
  readonly name: string;
  readonly title: string;
  readonly body: string;
  /** JSON for the game; empty: none. */
  readonly data: string;
  readonly created: Date;
  /** When it goes by itself; `undefined`: it does not. */
  readonly expires: Date | undefined;
  readonly read: boolean;
}

/** A notification has come. */
export interface NotificationNews {
  readonly notification: Notification;
  /** How many have not been read, with this one. */
  readonly unread: number;
}

export class Inbox {
  readonly #ask: Ask;

  /** Made by `Lobby`; see `Lobby.inbox`. */
  constructor(ask: Ask) {
    this.#ask = ask;
  }

  /** The notifications after an id (`0n`: from the first), the oldest first. */
  async list(
    after = 0n,
    limit = 0,
  ): Promise<{ notifications: Notification[]; more: boolean; unread: number }> {
    const ask = { case: "list" as const, value: { after, limit } };
    const answer = await this.#ask({ case: "reqInbox", value: { ask } }, "resInbox");
    const notifications = answer.notifications.map(toNotification);
    return { notifications, more: answer.more, unread: answer.unread };
  }

  /** Marks up to 100 as read, or all; gives how many are unread then. */
  async read(ids: readonly bigint[] | "all"): Promise<number> {
    const ask = { case: "read" as const, value: { ids: ids === "all" ? [] : [...ids] } };
    return (await this.#ask({ case: "reqInbox", value: { ask } }, "resInbox")).unread;
  }

  /** Removes 1 to 100; gives how many are unread then. */
  async remove(ids: readonly bigint[]): Promise<number> {
    const ask = { case: "remove" as const, value: { ids: [...ids] } };
    return (await this.#ask({ case: "reqInbox", value: { ask } }, "resInbox")).unread;
  }
}

/** What `syn_notification` tells. */
export function toNotificationNews(frame: SynNotification): NotificationNews | undefined {
  const { notification, unread } = frame;
  return notification && { notification: toNotification(notification), unread };
}

const kinds: Partial<Record<NotificationKind, Notification["kind"]>> = {
  [NotificationKind.OPERATOR]: "operator",
  [NotificationKind.FRIEND_REQUEST]: "friend-request",
  [NotificationKind.FRIEND_ACCEPTED]: "friend-accepted",
};

function toNotification(frame: NotificationFrame): Notification {
  const { id, kind, userId, name, title, body, data, createdMs, expiresMs, read } = frame;
  return {
    id,
    kind: kinds[kind] ?? "unknown",
    userId,
    name,
    title,
    body,
    data,
    created: new Date(Number(createdMs)),
    expires: expiresMs ? new Date(Number(expiresMs)) : undefined,
    read,
  };
}

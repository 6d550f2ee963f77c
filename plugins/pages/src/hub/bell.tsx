// The bell in the header: what has come for the player, also while they were not here.
import type { Notification } from "@scenehost/client";
import { useEffect } from "preact/hooks";
import { Problem, useAttempt } from "../ui/attempt.js";
import { useStore } from "../ui/use-store.js";
import type { Around } from "./around.js";
import type { Mail } from "./book.js";

export function Bell({ around }: { around: Around }) {
  const { mail, lobby } = around;
  const { value, problem } = useStore(mail.known);
  useEffect(() => void mail.load(), [mail]);
  const { busy, problem: refused, attempt } = useAttempt();
  const unread = value?.unread ?? 0;
  const change = (work: () => Promise<unknown>) =>
    attempt(async () => {
      try {
        await work();
      } finally {
        await mail.load();
      }
    });
  const opened = (event: { newState: string }) => {
    if (event.newState === "open" && unread > 0) void change(() => lobby.inbox.read("all"));
  };
  return (
    <>
      <button
        class="bell"
        type="button"
        popovertarget="inbox"
        aria-label={unread > 0 ? `Notifications, ${unread} unread` : "Notifications"}
        data-testid="bell"
        data-unread={unread}
      >
        <svg viewBox="0 0 24 24" aria-hidden="true">
          <path d="M6 17v-6a6 6 0 0 1 12 0v6l1.5 1.5h-15zM10 21h4" />
        </svg>
        {unread > 0 && <span class="count">{unread}</span>}
      </button>
      <section
        id="inbox"
        class="inbox"
        popover="auto"
        aria-label="Notifications"
        data-testid="inbox"
        onToggle={opened}
      >
        <h2>Notifications</h2>
        <Problem text={refused || problem} testId="inbox-problem" />
        <Notifications mail={value} busy={busy} around={around} change={change} />
      </section>
    </>
  );
}

interface NotificationsProps {
  around: Around;
  mail: Mail | undefined;
  busy: boolean;
  change: (work: () => Promise<unknown>) => void;
}

function Notifications({ around, mail, busy, change }: NotificationsProps) {
  const { inbox, friends } = around.lobby;
  if (!mail || mail.notifications.length === 0) {
    return <p class="hub-empty">{mail ? "Nothing has come yet." : "Loading…"}</p>;
  }
  return (
    <ul>
      {mail.notifications.map((it) => (
        <li key={it.id} data-read={it.read} data-testid="notification" data-kind={it.kind}>
          <b>{titleOf(it)}</b>
          {it.body && <p>{it.body}</p>}
          <small>{timeText(it.created)}</small>
          <div class="actions">
            {it.kind === "friend-request" && (
              <>
                <button
                  class="button small primary"
                  disabled={busy}
                  aria-label={`Accept ${it.name}`}
                  data-testid="notification-accept"
                  onClick={() => change(() => friends.accept(it.userId))}
                >
                  Accept
                </button>
                <button
                  class="button small"
                  disabled={busy}
                  aria-label={`Decline ${it.name}`}
                  data-testid="notification-decline"
                  onClick={() => change(() => friends.decline(it.userId))}
                >
                  Decline
                </button>
              </>
            )}
            {it.kind !== "friend-request" && (
              <button
                class="button small"
                disabled={busy}
                aria-label={`Remove: ${titleOf(it)}`}
                data-testid="notification-remove"
                onClick={() => change(() => inbox.remove([it.id]))}
              >
                Remove
              </button>
            )}
          </div>
        </li>
      ))}
    </ul>
  );
}

function titleOf({ kind, name, title }: Notification): string {
  if (kind === "friend-request") return `${name} asks you to be friends`;
  if (kind === "friend-accepted") return `${name} is your friend now`;
  return title || "Something has happened";
}

function timeText(date: Date): string {
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  return format.format(date);
}

// What the player may do about the other one of a direct conversation.
import { useEffect, useState } from "preact/hooks";
import { Problem, useAttempt } from "../ui/attempt.js";
import { Confirm } from "../ui/dialog.js";
import { useStore } from "../ui/use-store.js";
import type { Around } from "./around.js";
import { standingOf } from "./book.js";

interface ChatHeadProps {
  around: Around;
  userId: string;
  name: string;
}

export function ChatHead({ around, userId, name }: ChatHeadProps) {
  const { friends, lobby } = around;
  const { value: book } = useStore(friends.known);
  const { busy, problem, attempt } = useAttempt();
  const [asked, setAsked] = useState(false);
  useEffect(() => void friends.load(), [friends]);
  const standing = book && standingOf(book, userId);
  const change = (work: () => Promise<void>) => () =>
    attempt(async () => {
      try {
        await work();
      } finally {
        await friends.load();
      }
    });
  const answer = (yes: boolean) => {
    setAsked(false);
    if (yes) void change(() => lobby.friends.block(userId))();
  };
  return (
    <div class="chat-head">
      <b>{name}</b>
      {standing && <small data-testid="chat-standing">{standings[standing]}</small>}
      <span class="person-actions">
        {(standing === "none" || standing === "received") && (
          <button
            class="button small"
            disabled={busy}
            data-testid="chat-friend"
            onClick={change(() => lobby.friends.request(userId))}
          >
            {standing === "received" ? "Accept as friend" : "Ask to be friends"}
          </button>
        )}
        {standing === "blocked" ? (
          <button
            class="button small"
            disabled={busy}
            data-testid="chat-unblock"
            onClick={change(() => lobby.friends.unblock(userId))}
          >
            Unblock
          </button>
        ) : (
          <button
            class="button small quiet"
            disabled={busy || !standing}
            data-testid="chat-block"
            onClick={() => setAsked(true)}
          >
            Block
          </button>
        )}
      </span>
      <Problem text={problem} testId="chat-head-problem" />
      {asked && (
        <Confirm
          title={`Block ${name}?`}
          confirm="Block"
          keep="Cancel"
          testId="chat-block"
          onAnswer={answer}
        >
          <p>
            Their messages do not reach you, you are not matched with each other, and if you are
            friends, that ends. They are not told.
          </p>
        </Confirm>
      )}
    </div>
  );
}

const standings = {
  none: "",
  friend: "Your friend",
  received: "Asks you to be friends",
  sent: "You have asked to be friends",
  blocked: "Blocked",
} as const;

// Friends and what they are doing, requests, and whom the player wants nothing to do with.
import type { Friend } from "@scenehost/client";
import { useEffect, useState } from "preact/hooks";
import type { App } from "../app.js";
import { Problem, useAttempt, type Attempt } from "../ui/attempt.js";
import { Confirm } from "../ui/dialog.js";
import { useStore } from "../ui/use-store.js";
import type { Around } from "./around.js";
import { byPresence, type FriendBook } from "./book.js";
import type { PanelProps } from "./hub.js";
import { IdForm } from "./id-form.js";
import { Person } from "./person.js";
import { PresenceText } from "./presence.js";

interface Asked {
  what: "remove" | "block";
  friend: Friend;
}

interface PartProps {
  app: App;
  around: Around;
  book: FriendBook;
  busy: boolean;
  attempt: Attempt["attempt"];
}

export function FriendsPanel({ app, around }: PanelProps) {
  const { friends } = around;
  const { value: book, problem } = useStore(friends.known);
  const { busy, problem: refused, attempt } = useAttempt();
  useEffect(() => void friends.load(), [friends]);
  const change = (work: () => Promise<void>) =>
    attempt(async () => {
      try {
        await work();
      } finally {
        await friends.load();
      }
    });
  const props = book && { app, around, book, busy, attempt: change };
  return (
    <div class="guild" data-testid="friends" aria-busy={busy || (!book && !problem)}>
      <Problem text={refused} testId="friends-problem" />
      {props && (
        <div class="columns">
          <FriendList {...props} />
          <div class="stack">
            <AddFriend {...props} />
            <Requests {...props} />
            <Blocked {...props} />
            <Seen {...props} />
          </div>
        </div>
      )}
      {!book && !problem && <p class="hub-empty">Loading your friends…</p>}
      <Problem text={problem} testId="friends-load-problem" />
      {problem && (
        <button class="button" onClick={() => friends.load()}>
          Try again
        </button>
      )}
    </div>
  );
}

function FriendList(props: PartProps) {
  const { around, book, busy, attempt } = props;
  const [asked, setAsked] = useState<Asked | null>(null);
  const answer = (yes: boolean) => {
    setAsked(null);
    if (yes && asked) void attempt(() => around.lobby.friends[asked.what](asked.friend.userId));
  };
  return (
    <section class="people" aria-labelledby="friends-title">
      <h3 id="friends-title">Friends</h3>
      {book.friends.length === 0 && (
        <p class="hub-empty">Nobody yet. Ask somebody by the id in their profile.</p>
      )}
      <ul>
        {byPresence(book.friends).map((friend) => (
          <Person
            key={friend.userId}
            around={around}
            userId={friend.userId}
            name={friend.name}
            note={<PresenceText presence={friend.presence} />}
            testId="friend"
          >
            <InviteButton {...props} friend={friend} />
            <button
              class="button small"
              aria-label={`Talk with ${friend.name}`}
              data-testid="friend-talk"
              onClick={() => around.talkWith(friend.userId, friend.name)}
            >
              Talk
            </button>
            <button
              class="button small quiet"
              disabled={busy}
              aria-label={`Be friends with ${friend.name} no more`}
              data-testid="friend-remove"
              onClick={() => setAsked({ what: "remove", friend })}
            >
              Remove
            </button>
            <button
              class="button small quiet"
              disabled={busy}
              aria-label={`Block ${friend.name}`}
              data-testid="friend-block"
              onClick={() => setAsked({ what: "block", friend })}
            >
              Block
            </button>
          </Person>
        ))}
      </ul>
      {asked && (
        <Confirm
          title={asked.what === "block" ? `Block ${asked.friend.name}?` : "Friends no more?"}
          confirm={asked.what === "block" ? "Block" : "Remove"}
          keep="Cancel"
          testId={`friend-${asked.what}`}
          onAnswer={answer}
        >
          <p>
            {asked.what === "block"
              ? "The friendship ends, their messages do not reach you, and you are not matched with each other."
              : `To be friends again, ${asked.friend.name} has to accept it.`}
          </p>
        </Confirm>
      )}
    </section>
  );
}

/** Invites a friend who is here into the player's party, which begins with that if there is none. */
function InviteButton({ app, around, friend, busy, attempt }: PartProps & { friend: Friend }) {
  const party = useStore(around.party.party);
  const { userId, name, presence } = friend;
  const isMember = party?.members.some((it) => it.userId === userId);
  if (isMember || presence.state === "OFFLINE") return null;
  const invited = party?.invited.some((it) => it.userId === userId);
  return (
    <button
      class="button small"
      disabled={busy || invited}
      aria-label={`Invite ${name} to your party`}
      data-testid="friend-invite"
      onClick={() => attempt(() => app.inviteToParty(userId))}
    >
      {invited ? "Invited" : "Invite"}
    </button>
  );
}

function AddFriend({ around, busy, attempt }: PartProps) {
  return (
    <IdForm
      label="Ask somebody by id"
      action="Ask"
      primary
      fieldTestId="friend-id"
      buttonTestId="friend-request"
      busy={busy}
      attempt={attempt}
      onId={(id) => around.lobby.friends.request(id)}
    />
  );
}

function Requests({ around, book, busy, attempt }: PartProps) {
  const { friends } = around.lobby;
  if (book.received.length + book.sent.length === 0) return null;
  return (
    <section class="people" aria-labelledby="friend-requests">
      <h3 id="friend-requests">Requests</h3>
      <ul>
        {book.received.map(({ userId, name }) => (
          <Person
            key={userId}
            around={around}
            userId={userId}
            name={name}
            note="Asks you"
            testId="friend-received"
          >
            <button
              class="button small primary"
              disabled={busy}
              aria-label={`Accept ${name}`}
              data-testid="friend-accept"
              onClick={() => attempt(() => friends.accept(userId))}
            >
              Accept
            </button>
            <button
              class="button small"
              disabled={busy}
              aria-label={`Decline ${name}`}
              data-testid="friend-decline"
              onClick={() => attempt(() => friends.decline(userId))}
            >
              Decline
            </button>
          </Person>
        ))}
        {book.sent.map(({ userId, name }) => (
          <Person
            key={userId}
            around={around}
            userId={userId}
            name={name}
            note="You have asked"
            testId="friend-sent"
          >
            <button
              class="button small"
              disabled={busy}
              aria-label={`Take the request to ${name} back`}
              data-testid="friend-withdraw"
              onClick={() => attempt(() => friends.withdraw(userId))}
            >
              Withdraw
            </button>
          </Person>
        ))}
      </ul>
    </section>
  );
}

function Blocked({ around, book, busy, attempt }: PartProps) {
  if (book.blocked.length === 0) return null;
  return (
    <section class="people" aria-labelledby="friends-blocked">
      <h3 id="friends-blocked">Blocked</h3>
      <ul>
        {book.blocked.map(({ userId, name }) => (
          <Person
            key={userId}
            around={around}
            userId={userId}
            name={name}
            note="Is not told"
            testId="friend-blocked"
          >
            <button
              class="button small"
              disabled={busy}
              aria-label={`Unblock ${name}`}
              data-testid="friend-unblock"
              onClick={() => attempt(() => around.lobby.friends.unblock(userId))}
            >
              Unblock
            </button>
          </Person>
        ))}
      </ul>
    </section>
  );
}

function Seen({ around, book, busy, attempt }: PartProps) {
  return (
    <label class="account-keep">
      <input
        type="checkbox"
        checked={book.appearsOffline}
        disabled={busy}
        data-testid="appear-offline"
        onChange={(event) => {
          const offline = event.currentTarget.checked;
          void attempt(() => around.lobby.friends.appearOffline(offline));
        }}
      />
      <span>Look offline to everybody</span>
    </label>
  );
}

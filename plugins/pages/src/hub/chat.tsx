// The chat: the room where everybody meets, the guild, the party, and conversations with one user.
import type { ChatMessage } from "@scenehost/client";
import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { Problem, useAttempt } from "../ui/attempt.js";
import { useStore } from "../ui/use-store.js";
import type { Around } from "./around.js";
import { Face } from "./avatar.js";
import { ChatHead } from "./chat-head.js";
import { chosenOf, continues, TEXT_CHARS_MAX, type Conversation } from "./chat-log.js";
import type { PanelProps } from "./hub.js";
import type { Talk } from "./talk.js";

/** From here on the player is told how much may still be written. */
const COUNTED_FROM_CHARS = TEXT_CHARS_MAX - 100;
/** So close to the end counts as being at it. */
const AT_END_PX = 40;
/** The longest time that a timer can wait. */
const TIMER_MS_MAX = 2 ** 31 - 1;

export function ChatPanel({ around }: PanelProps) {
  const { talk } = around;
  const log = useStore(talk.log);
  useEffect(() => {
    talk.watch(true);
    return () => talk.watch(false);
  }, [talk]);
  const chosen = chosenOf(log);
  return (
    <div class="chat" data-testid="chat">
      <Conversations talk={talk} conversations={log.conversations} chosen={chosen.key} />
      <div class="chat-talk">
        {chosen.channel.kind === "direct" && (
          <ChatHead
            key={`head-${chosen.key}`}
            around={around}
            userId={chosen.channel.userId}
            name={chosen.title}
          />
        )}
        <Messages key={chosen.key} around={around} conversation={chosen} />
        <SendBox
          key={`send-${chosen.key}`}
          talk={talk}
          conversation={chosen}
          mutedUntil={log.mutedUntil}
        />
      </div>
    </div>
  );
}

interface ConversationsProps {
  talk: Talk;
  conversations: readonly Conversation[];
  chosen: string;
}

function Conversations({ talk, conversations, chosen }: ConversationsProps) {
  return (
    <ul class="chat-list" aria-label="Conversations">
      {conversations.map(({ key, title, channel, unread }) => (
        <li key={key}>
          <button
            class="chat-choice"
            type="button"
            aria-current={key === chosen}
            data-testid="conversation"
            data-kind={channel.kind}
            onClick={() => talk.choose(key)}
          >
            <span class="chat-choice-title">{title}</span>
            {unread > 0 && (
              <span class="count">
                {unread}
                <span class="hidden"> unread</span>
              </span>
            )}
          </button>
          {channel.kind === "direct" && (
            <button
              class="chat-close"
              type="button"
              aria-label={`Close the conversation with ${title}`}
              onClick={() => talk.close(key)}
            >
              ✕
            </button>
          )}
        </li>
      ))}
    </ul>
  );
}

interface MessagesProps {
  around: Around;
  conversation: Conversation;
}

function Messages({ around, conversation }: MessagesProps) {
  const { talk } = around;
  const { state, problem, messages, more, title, channel } = conversation;
  const list = useFollowing(messages);
  const earlier = useAttempt();
  return (
    <div
      ref={list}
      class="chat-messages"
      role="log"
      aria-label={channel.kind === "direct" ? `Conversation with ${title}` : title}
      aria-busy={state === "loading"}
      tabIndex={0}
      data-testid="chat-messages"
      data-state={state}
    >
      {more && (
        <div class="chat-earlier">
          <button
            class="button small"
            disabled={earlier.busy}
            data-testid="chat-earlier"
            onClick={() => earlier.attempt(() => talk.earlier(conversation))}
          >
            Earlier messages
          </button>
          <Problem text={earlier.problem} testId="chat-earlier-problem" />
        </div>
      )}
      {messages.map((message, i) => (
        <Message
          key={message.id}
          around={around}
          message={message}
          continued={continues(message, messages[i - 1])}
        />
      ))}
      {messages.length === 0 && state !== "failed" && (
        <p class="hub-empty">{state === "ready" ? "Nothing was said yet." : "Loading…"}</p>
      )}
      {state === "failed" && (
        <div class="chat-failed">
          <Problem text={problem} testId="chat-problem" />
          <button class="button small" onClick={() => talk.load(conversation)}>
            Try again
          </button>
        </div>
      )}
    </div>
  );
}

/** A list that shows its end as long as the player does not look further up. */
function useFollowing(messages: readonly ChatMessage[]) {
  const list = useRef<HTMLDivElement>(null);
  const height = useRef(0);
  useLayoutEffect(() => {
    const box = list.current!;
    const fromEnd = height.current - box.scrollTop - box.clientHeight;
    // What is shown stays where it is, also when earlier messages come in above it.
    box.scrollTop = fromEnd < AT_END_PX ? box.scrollHeight : box.scrollTop;
    height.current = box.scrollHeight;
  }, [messages]);
  return list;
}

interface MessageProps {
  around: Around;
  message: ChatMessage;
  continued: boolean;
}

function Message({ around, message, continued }: MessageProps) {
  const { userId, name, text, sent } = message;
  const own = userId === around.lobby.user.id;
  return (
    <article class="chat-message" data-own={own} data-continued={continued} data-testid="message">
      {!continued && (
        <>
          <Face faces={around.faces} userId={userId} name={name} />
          <p class="chat-who">
            {own ? (
              <b>{name}</b>
            ) : (
              <button
                type="button"
                aria-label={`Talk with ${name}`}
                title={`Talk with ${name}`}
                data-testid="message-name"
                onClick={() => around.talkWith(userId, name)}
              >
                {name}
              </button>
            )}
            <time dateTime={sent.toISOString()}>{timeText(sent)}</time>
          </p>
        </>
      )}
      <p class="chat-text" data-testid="message-text">
        {text}
      </p>
    </article>
  );
}

interface SendBoxProps {
  talk: Talk;
  conversation: Conversation;
  mutedUntil: Date | undefined;
}

function SendBox({ talk, conversation, mutedUntil }: SendBoxProps) {
  const [text, setText] = useState("");
  const { busy, problem, attempt } = useAttempt();
  const muted = useMuted(mutedUntil);
  const quietS = useQuiet(talk);
  const box = useRef<HTMLInputElement>(null);
  const id = useId();
  const submit = (event: Event) => {
    event.preventDefault();
    const said = text.trim();
    if (busy || quietS > 0 || !said) return;
    // Whoever types on meanwhile loses nothing, and what could not be said is there again.
    setText("");
    box.current?.focus();
    void attempt(() =>
      talk.say(conversation, said).catch((error) => {
        setText((typed) => typed || said);
        throw error;
      }),
    );
  };
  if (muted) {
    return (
      <p class="chat-muted" role="status" data-testid="chat-muted">
        An operator has muted you until {timeText(muted)}. You can read what others say.
      </p>
    );
  }
  const left = TEXT_CHARS_MAX - text.length;
  return (
    <form class="chat-send" onSubmit={submit}>
      <label class="hidden" for={id}>
        Say something
      </label>
      <input
        ref={box}
        id={id}
        value={text}
        maxLength={TEXT_CHARS_MAX}
        autocomplete="off"
        enterkeyhint="send"
        placeholder={placeholder(conversation)}
        aria-describedby={`${id}-left`}
        data-testid="chat-text"
        onInput={(event) => setText(event.currentTarget.value)}
      />
      <button
        class="button primary"
        type="submit"
        disabled={busy || quietS > 0 || !text.trim()}
        data-testid="chat-send"
      >
        {quietS > 0 ? `Wait ${quietS} s` : "Send"}
      </button>
      <small id={`${id}-left`} class="chat-left">
        {text.length > COUNTED_FROM_CHARS ? `${left} characters left` : ""}
      </small>
      <Problem text={problem} testId="chat-send-problem" />
    </form>
  );
}

function placeholder({ channel, title }: Conversation): string {
  if (channel.kind === "room") return "Say something to everybody";
  return `Say something to ${channel.kind === "party" ? "your party" : title}`;
}

/** Until when the player is muted; `undefined` once that is over. */
function useMuted(until: Date | undefined): Date | undefined {
  const [, setOver] = useState<Date | undefined>();
  const leftMs = until ? until.getTime() - Date.now() : 0;
  useEffect(() => {
    if (leftMs <= 0) return;
    const timer = setTimeout(() => setOver(until), Math.min(leftMs, TIMER_MS_MAX));
    return () => clearTimeout(timer);
  }, [until]);
  return leftMs > 0 ? until : undefined;
}

/** For how many seconds the server takes no message; 0: it does. */
function useQuiet(talk: Talk): number {
  const untilMs = useStore(talk.quietUntilMs);
  const [nowMs, setNowMs] = useState(() => performance.now());
  useEffect(() => {
    setNowMs(performance.now());
    if (untilMs <= performance.now()) return;
    const timer = setInterval(() => {
      setNowMs(performance.now());
      if (untilMs <= performance.now()) clearInterval(timer);
    }, 250);
    return () => clearInterval(timer);
  }, [untilMs]);
  return Math.max(0, Math.ceil((untilMs - nowMs) / 1000));
}

/** The time, with the day unless it is today. */
function timeText(date: Date): string {
  const today = date.toDateString() === new Date().toDateString();
  const day = today ? {} : ({ dateStyle: "medium" } as const);
  return new Intl.DateTimeFormat(undefined, { ...day, timeStyle: "short" }).format(date);
}

// The account on the home view: sign in, make one, see where it is signed in, sign out.
import type { AccountInfo, SessionInfo } from "@scenehost/client";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import type { App } from "../app.js";
import { Problem, useAttempt } from "./attempt.js";

const NAME_PATTERN = "[A-Za-z0-9._\\-]{3,32}";
const PASSWORD_CHARS_MIN = 8;
const PASSWORD_CHARS_MAX = 128;

export function AccountPanel({ app }: { app: App }) {
  const { hasAccount } = app;
  const section = useRef<HTMLElement>(null);
  const shown = useRef(hasAccount);
  useEffect(() => {
    // The form that had the focus is gone.
    if (shown.current !== hasAccount) section.current?.focus({ preventScroll: true });
    shown.current = hasAccount;
  }, [hasAccount]);
  return (
    <section
      ref={section}
      class="account"
      data-testid="account"
      aria-labelledby="account-title"
      tabIndex={-1}
    >
      {hasAccount ? <SignedIn app={app} /> : <SignIn app={app} />}
    </section>
  );
}

type Way = "sign-in" | "create";

function SignIn({ app }: { app: App }) {
  const [way, setWay] = useState<Way>("sign-in");
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [keep, setKeep] = useState(true);
  const { busy, problem, attempt } = useAttempt();
  const create = way === "create";
  const submit = (event: Event) => {
    event.preventDefault();
    void attempt(() =>
      create && keep ? app.keepGuest(name, password) : app.signIn(name, password, create),
    );
  };
  return (
    <>
      <div class="account-words">
        <h2 id="account-title">Your account</h2>
        <p>
          You play as a guest, in this tab only. With a name and a password your ratings stay, on
          every device.
        </p>
      </div>
      <form class="account-form" onSubmit={submit}>
        <Ways way={way} onWay={setWay} />
        <div class="account-fields">
          <Field
            label="Account name"
            hint={create ? "3 to 32 letters, digits, or - _ ." : ""}
            input={{
              name: "username",
              value: name,
              pattern: NAME_PATTERN,
              title: "3 to 32 letters, digits, or - _ .",
              autocomplete: "username",
              autocapitalize: "none",
              spellcheck: false,
            }}
            testId="account-name"
            onValue={setName}
          />
          <Field
            label="Password"
            hint={create ? `${PASSWORD_CHARS_MIN} characters or more` : ""}
            input={{
              name: "password",
              type: "password",
              value: password,
              minLength: PASSWORD_CHARS_MIN,
              maxLength: PASSWORD_CHARS_MAX,
              autocomplete: create ? "new-password" : "current-password",
            }}
            testId="account-password"
            onValue={setPassword}
          />
        </div>
        {create && (
          <label class="account-keep">
            <input
              type="checkbox"
              checked={keep}
              data-testid="account-keep"
              onChange={(event) => setKeep(event.currentTarget.checked)}
            />
            <span>Keep what I have played as this guest</span>
          </label>
        )}
        <Problem text={problem} testId="account-problem" />
        <button class="button" type="submit" disabled={busy} data-testid="account-submit">
          {create ? "Create account" : "Sign in"}
        </button>
      </form>
    </>
  );
}

function Ways({ way, onWay }: { way: Way; onWay: (way: Way) => void }) {
  const ways: readonly (readonly [Way, string])[] = [
    ["sign-in", "Sign in"],
    ["create", "New account"],
  ];
  return (
    <fieldset class="account-ways">
      <legend class="hidden">What to do</legend>
      {ways.map(([value, text]) => (
        <label key={value}>
          <input
            type="radio"
            name="account-way"
            checked={way === value}
            data-testid={`account-way-${value}`}
            onChange={() => onWay(value)}
          />
          <span>{text}</span>
        </label>
      ))}
    </fieldset>
  );
}

interface FieldProps {
  label: string;
  hint: string;
  input: preact.InputHTMLAttributes<HTMLInputElement>;
  testId: string;
  onValue: (value: string) => void;
}

function Field({ label, hint, input, testId, onValue }: FieldProps) {
  const id = useId();
  return (
    <div class="account-field">
      <label for={id}>{label}</label>
      <input
        id={id}
        required
        aria-describedby={`${id}-hint`}
        data-testid={testId}
        onInput={(event) => onValue(event.currentTarget.value)}
        {...input}
      />
      <small id={`${id}-hint`}>{hint}</small>
    </div>
  );
}

function SignedIn({ app }: { app: App }) {
  const { lobby } = app;
  const [account, setAccount] = useState<AccountInfo | null>(null);
  const { busy, problem, attempt } = useAttempt();
  const show = async () => setAccount((await lobby?.account.show()) ?? null);
  useEffect(() => void attempt(show), [lobby]);
  const names = account?.identities.filter((identity) => identity.startsWith("name/")) ?? [];
  const end = (sessionId: string) =>
    attempt(async () => {
      await lobby?.account.endSession(sessionId);
      await show();
    });
  return (
    <>
      <div class="account-words">
        <h2 id="account-title">Your account</h2>
        <p>
          Signed in
          {names[0] && (
            <>
              {" "}
              as <b data-testid="account-of">{names[0].slice("name/".length)}</b>
            </>
          )}
          . Your ratings stay with this account.
        </p>
        <div class="actions">
          <button
            class="button"
            disabled={busy}
            data-testid="sign-out"
            onClick={() => attempt(() => app.signOut(false))}
          >
            Sign out
          </button>
          <button
            class="button quiet"
            disabled={busy}
            data-testid="sign-out-everywhere"
            onClick={() => attempt(() => app.signOut(true))}
          >
            Sign out everywhere
          </button>
        </div>
        <Problem text={problem} testId="account-problem" />
      </div>
      <div class="account-sessions">
        <h3 id="sessions-title">Where you are signed in</h3>
        <ul aria-labelledby="sessions-title" data-testid="sessions">
          {account?.sessions.map((session) => (
            <SessionRow key={session.sessionId} session={session} busy={busy} onEnd={end} />
          ))}
        </ul>
      </div>
    </>
  );
}

interface SessionRowProps {
  session: SessionInfo;
  busy: boolean;
  onEnd: (sessionId: string) => void;
}

function SessionRow({ session, busy, onEnd }: SessionRowProps) {
  const { sessionId, device, created, used, own } = session;
  const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  return (
    <li data-own={own} data-testid="session">
      <span>
        <b>{device || "An unnamed device"}</b>
        <small>{own ? "This session" : `Since ${day.format(created)}, used ${ago(used)}`}</small>
      </span>
      {!own && (
        <button
          class="button small"
          disabled={busy}
          data-testid="end-session"
          aria-label={`End the session of ${device || "an unnamed device"}`}
          onClick={() => onEnd(sessionId)}
        >
          End
        </button>
      )}
    </li>
  );
}

/** How long ago, as coarsely as it is known. */
function ago(date: Date): string {
  const hours = Math.max(0, Math.floor((Date.now() - date.getTime()) / 3_600_000));
  if (hours < 2) return "just now";
  return hours < 48 ? `${hours} hours ago` : `${Math.floor(hours / 24)} days ago`;
}

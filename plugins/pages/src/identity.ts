// Who this tab is: a guest of its own, or an account that was signed in to.
//
// A guest's key and tokens are kept in sessionStorage, so that each tab is a player of its own: two
// windows of one browser can play against each other, and a reload still is the same player. A real
// game would keep the key in localStorage, where it outlives the tab.
//
// An account's tokens are kept in localStorage, where they outlive the tab, too. One tab of a browser
// at a time plays as the account; tabs that are opened beside it are guests until they sign in.
//
// Invariant: what a tab was, it is after a reload.
import type { Credential, Tokens } from "@scenehost/client";
import { randomHex } from "./random.js";

const DEVICE_ID = "scenehost.device";
const NAME = "scenehost.name";
/** What this tab is: `guest`, `account` (kept in this tab) or `browser` (the browser's account). */
const KIND = "scenehost.kind";
/** The tokens of this tab's session, or the browser's account's, as JSON. */
const TOKENS = "scenehost.tokens";
const SEARCH = "scenehost.search";
const LIKES = "scenehost.likes";
/** How old what a page was looking for may be, for the next one to go on with it. */
const SEARCH_MS_MAX = 10_000;

/** The browser's account is this tab's: no other tab had it when this one was opened. */
let claimed = false;

/** Finds out whose tab this is; everything else here waits for it. */
export async function claim(): Promise<void> {
  claimed = await lock();
  if (!session.read(KIND)) {
    session.write(KIND, claimed && local.read(TOKENS) ? "browser" : "guest");
  }
}

/** Takes the lock that one tab holds as long as it lives; whether it was free. */
function lock(): Promise<boolean> {
  // Browsers have locks for safe origins only. Without them every tab may have the account.
  if (!("locks" in navigator)) return Promise.resolve(true);
  return new Promise((resolve) => {
    const hold = (lock: Lock | null) => {
      resolve(lock !== null);
      return lock ? new Promise(() => {}) : undefined;
    };
    navigator.locks.request("scenehost.account", { ifAvailable: true }, hold).catch(() => {
      resolve(false);
    });
  });
}

/** Whether this tab plays as an account with a name. */
export function hasAccount(): boolean {
  const kind = session.read(KIND);
  return kind === "account" || kind === "browser";
}

/** The guest's key: 128 bits of a secure random source, made at the first call. */
function deviceId(): string {
  const known = session.read(DEVICE_ID);
  if (known) return known;
  const made = randomHex();
  session.write(DEVICE_ID, made);
  return made;
}

/** The name that the player chose as a guest, or empty. */
export function chosenName(): string {
  return session.read(NAME) ?? "";
}

export function chooseName(name: string): void {
  session.write(NAME, name);
}

/** The credential of a guest, under the name that was chosen. */
export function guestCredential(): Credential {
  return { guest: { deviceId: deviceId(), name: chosenName() } };
}

/** The credential of the session that the last sign-in began, if one did. */
export function sessionCredential(): Credential | undefined {
  const kept = store().read(TOKENS);
  if (!kept) return undefined;
  try {
    const { sessionToken, refreshToken } = JSON.parse(kept) as Partial<Tokens>;
    if (!sessionToken) return undefined;
    return refreshToken ? { sessionToken, refreshToken } : { sessionToken };
  } catch {
    return undefined;
  }
}

/** Keeps the tokens of this tab's session; the next pair voids the one before it. */
export function keepTokens({ sessionToken, refreshToken }: Tokens): void {
  store().write(TOKENS, JSON.stringify({ sessionToken, refreshToken }));
}

/** This tab plays as an account from now on, with these tokens. */
export function becomeAccount(tokens: Tokens): void {
  session.write(TOKENS, "");
  session.write(KIND, claimed ? "browser" : "account");
  keepTokens(tokens);
}

/** The guest of this tab has become an account: the next guest is somebody else. */
export function forgetGuest(): void {
  session.write(DEVICE_ID, "");
}

/** The session has ended: this tab plays as its guest from now on. */
export function forgetSession(): void {
  store().write(TOKENS, "");
  session.write(KIND, "guest");
}

/** How the player likes to play, by property. */
export function likes(): Record<string, string> {
  const kept = local.read(LIKES);
  if (!kept) return {};
  try {
    const likes: unknown = JSON.parse(kept);
    if (typeof likes !== "object" || likes === null) return {};
    return Object.fromEntries(Object.entries(likes).filter(([, it]) => typeof it === "string"));
  } catch {
    return {};
  }
}

export function keepLikes(likes: Readonly<Record<string, string>>): void {
  local.write(LIKES, Object.keys(likes).length > 0 ? JSON.stringify(likes) : "");
}

/** What this page looks for, for the page that is loaded in its place. */
export function noteSearch(domain: string): void {
  session.write(SEARCH, JSON.stringify({ domain, atMs: Date.now() }));
}

/** What the page that this one replaces was looking for just now. */
export function takeSearch(): string | undefined {
  const noted = session.read(SEARCH);
  session.write(SEARCH, "");
  if (!noted) return undefined;
  try {
    const { domain, atMs } = JSON.parse(noted) as { domain: string; atMs: number };
    return Date.now() - atMs < SEARCH_MS_MAX ? domain : undefined;
  } catch {
    return undefined;
  }
}

interface Store {
  read(key: string): string | undefined;
  /** An empty value is none. */
  write(key: string, value: string): void;
}

const session = storeOf(() => sessionStorage);
const local = storeOf(() => localStorage);

function store(): Store {
  return session.read(KIND) === "browser" ? local : session;
}

/** A browser may forbid storage; the page then works until it is reloaded. */
function storeOf(storage: () => Storage): Store {
  const fallback = new Map<string, string>();
  return {
    read(key) {
      try {
        return storage().getItem(key) ?? undefined;
      } catch {
        return fallback.get(key);
      }
    },
    write(key, value) {
      try {
        if (value) storage().setItem(key, value);
        else storage().removeItem(key);
      } catch {
        fallback.set(key, value);
      }
    },
  };
}

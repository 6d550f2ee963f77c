// Who this tab is: the guest's key, the session, and the name.
//
// Kept in sessionStorage and not in localStorage, so that each tab is a player of its own: two
// windows of one browser can play against each other, and a reload still is the same player. A
// real game would keep the key in localStorage, where it outlives the tab.
import type { Credential } from "@scenehost/client";

const DEVICE_ID = "scenehost.device";
const SESSION = "scenehost.session";
const NAME = "scenehost.name";

/** The guest's key: 128 bits of a secure random source, made at the first call. */
function deviceId(): string {
  const known = read(DEVICE_ID);
  if (known) return known;
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const made = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  write(DEVICE_ID, made);
  return made;
}

/** The name that the player chose, or empty. */
export function chosenName(): string {
  return read(NAME) ?? "";
}

export function chooseName(name: string): void {
  write(NAME, name);
}

/** The credential of a guest, under the name that was chosen. */
export function guestCredential(): Credential {
  return { guest: { deviceId: deviceId(), name: chosenName() } };
}

/** The credential of the session that the last sign-in began, if one did. */
export function sessionCredential(): Credential | undefined {
  const sessionToken = read(SESSION);
  return sessionToken ? { sessionToken } : undefined;
}

export function keepSession(token: string): void {
  write(SESSION, token);
}

export function forgetSession(): void {
  write(SESSION, "");
}

// A browser may forbid storage; the page then works until it is reloaded.
const fallback = new Map<string, string>();

function read(key: string): string | undefined {
  try {
    return sessionStorage.getItem(key) ?? undefined;
  } catch {
    return fallback.get(key);
  }
}

function write(key: string, value: string): void {
  try {
    sessionStorage.setItem(key, value);
  } catch {
    fallback.set(key, value);
  }
}

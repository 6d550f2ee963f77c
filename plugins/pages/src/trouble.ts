// What the player is told when something goes wrong, and what can be done about it.
import { Closed, OutcomeUnknown, Refused, TimedOut, type SceneEnd } from "@scenehost/client";

export interface Trouble {
  title: string;
  text: string;
  /** `retry` starts over, and goes back to a seat that is held; `lobby` chooses a game again. */
  action: "retry" | "lobby";
}

/** Trouble with the lobby: signing in, finding a match, entering its scene. */
export function troubleOf(error: unknown): Trouble {
  if (error instanceof Refused) return refusal(error);
  if (error instanceof TimedOut) {
    return {
      title: "No answer",
      text: "The server took too long to answer. It may be busy; try again in a moment.",
      action: "retry",
    };
  }
  if (error instanceof OutcomeUnknown) {
    return {
      title: "The search was lost",
      text: "The connection was away for too long, and the server has let the search go.",
      action: "lobby",
    };
  }
  if (error instanceof Closed) return lobbyGone(error).trouble;
  return {
    title: "Something went wrong",
    text: error instanceof Error ? error.message : String(error),
    action: "retry",
  };
}

/** Why something that was asked for around the games is not done, or may not be. */
export function problemOf(error: unknown): string {
  if (error instanceof OutcomeUnknown) {
    return "The connection was lost meanwhile, and whether this was done is not known. Look before you try again.";
  }
  return troubleOf(error).text;
}

function refusal(refused: Refused): Trouble {
  const titles: Partial<Record<Refused["code"], string>> = {
    OVERLOADED: "The server is full",
    SERVICE_DOWN: "Not available right now",
    STOPPING: "The server is stopping",
    NOT_FOUND: "No such game here",
    NOT_ADMITTED: "You cannot enter this game",
    SCENE_ENDED: "That game is over",
    NO_SEAT: "Your seat is gone",
    SCENE_FULL: "There is no room",
    RESTARTING: "The game is starting again",
    BANNED: "This account is closed",
    CLOSED: "Closed right now",
    CANCELLED: "The search is over",
    RATE_LIMITED: "Not yet",
    TIMED_OUT: "It took too long",
  };
  // Some refusals say so themselves.
  const again =
    refused.retryAfterMs && !/try again/i.test(refused.message)
      ? ` Try again in ${Math.ceil(refused.retryAfterMs / 1000)} s.`
      : "";
  return {
    title: titles[refused.code] ?? "The server refused",
    text: refused.message + again,
    action: "lobby",
  };
}

/** Codes after which a session is void. */
const SESSION_OVER: readonly Closed["code"][] = ["BAD_TOKEN", "SESSION_ENDED", "BANNED"];

/** Whether the server says by this that the session is void: it let nobody in, or ended a connection. */
export function isSessionOver(error: unknown): error is Refused | Closed {
  const saidByServer =
    error instanceof Refused || (error instanceof Closed && error.kind === "server");
  return saidByServer && SESSION_OVER.includes(error.code);
}

/** Why there is no lobby any more, and whether the session is over with it. */
export function lobbyGone(closed: Closed): { over: boolean; trouble: Trouble } {
  return { over: isSessionOver(closed), trouble: { ...goneWords(closed), action: "retry" } };
}

function goneWords(closed: Closed): Omit<Trouble, "action"> {
  if (closed.code === "TAKEN_OVER") {
    return {
      title: "You are playing in another window",
      text: "Another window of this player has connected, and only one may be. Continue here to take over.",
    };
  }
  if (closed.code === "SESSION_ENDED" || closed.code === "BAD_TOKEN") {
    return {
      title: "You are signed out",
      text: "This session was ended, here or on another device. Go on as a guest, or sign in again.",
    };
  }
  if (closed.code === "BANNED") return { title: "This account is closed", text: closed.message };
  if (closed.kind === "server") {
    return { title: "The server closed the connection", text: closed.message };
  }
  if (closed.kind === "protocol") {
    return { title: "Something went wrong", text: closed.message };
  }
  return {
    title: "The server cannot be reached",
    text: "There is no connection, or the server is too busy to answer. Check your network, then try again in a moment.",
  };
}

/** Codes of a seat that is not this player's any more. */
const SEAT_OVER: readonly Closed["code"][] = [
  "BAD_TOKEN",
  "NO_SEAT",
  "SCENE_ENDED",
  "TOKEN_EXPIRED",
];

/** Trouble with a seat to which the client could not come back. */
export function sceneGone(closed: Closed): Trouble {
  if (SEAT_OVER.includes(closed.code)) {
    return {
      title: "Your seat is gone",
      text: "You were away for longer than the game keeps a seat, or the game is over.",
      action: "lobby",
    };
  }
  return { ...goneWords(closed), action: "retry" };
}

/** Trouble with a game that is watched no more, though nobody has said that it is over. */
export function watchedGone(closed: Closed): Trouble {
  if (closed.code === "RESTARTING") {
    return {
      title: "The game failed",
      text: "It starts again with its players. In a moment it can be watched again.",
      action: "lobby",
    };
  }
  if (SEAT_OVER.includes(closed.code)) {
    return { title: "That game is over", text: closed.message, action: "lobby" };
  }
  return { ...goneWords(closed), action: "retry" };
}

/** Trouble for every end of a scene that is not the game's own; undefined for those that are. */
export function sceneEnded(end: SceneEnd): Trouble | undefined {
  const titles: Partial<Record<SceneEnd["reason"], string>> = {
    CRASHED: "The game crashed",
    KICKED: "The game removed you",
    STOPPED: "The game was stopped",
    EXPIRED: "Your seat was given up",
    TIME_LIMIT: "The game ran out of time",
    UNSPECIFIED: "The game ended",
  };
  const title = titles[end.reason];
  return title === undefined
    ? undefined
    : { title, text: end.text || "The server gave no reason.", action: "lobby" };
}

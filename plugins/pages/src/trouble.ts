// What the player is told when something goes wrong, and what can be done about it.
import { Closed, Refused, TimedOut, type SceneEnd } from "@scenehost/client";

export interface Trouble {
  title: string;
  text: string;
  /** `retry` starts over, `rejoin` goes back to the seat, `lobby` chooses a game again. */
  action: "retry" | "rejoin" | "lobby";
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
  if (error instanceof Closed) return lobbyClosed(error);
  return {
    title: "Something went wrong",
    text: error instanceof Error ? error.message : String(error),
    action: "retry",
  };
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
  };
  const again = refused.retryAfterMs
    ? ` Try again in ${Math.ceil(refused.retryAfterMs / 1000)} s.`
    : "";
  return {
    title: titles[refused.code] ?? "The server refused",
    text: refused.message + again,
    action: "lobby",
  };
}

function lobbyClosed(closed: Closed): Trouble {
  if (closed.code === "TAKEN_OVER") {
    return {
      title: "You are playing in another window",
      text: "A copied tab is the same player, and only one may be connected. Continue here to take over.",
      action: "retry",
    };
  }
  if (closed.kind === "server") {
    return { title: "The server closed the connection", text: closed.message, action: "retry" };
  }
  return {
    title: "The server cannot be reached",
    text: "The connection is gone. Check that the host is running, then try again.",
    action: "retry",
  };
}

/** Trouble with a scene whose connection ended without a word from the server. */
export function sceneLost(closed: Closed): Trouble {
  if (closed.code === "TAKEN_OVER") return lobbyClosed(closed);
  return {
    title: "Connection lost",
    text: "The game goes on without you, and your seat is kept for a while.",
    action: "rejoin",
  };
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

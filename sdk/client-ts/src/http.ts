// The server's calls over HTTP: JSON by the schema, beside the lobby's path.
import { fromJson, type DescMessage, type JsonValue, type MessageShape } from "@bufbuild/protobuf";
import { Closed, Refused, TimedOut } from "./errors.js";
import { RefusedSchema } from "./gen/scenehost/v1/client_pb.js";

export interface Call {
  method: "GET" | "POST" | "DELETE";
  /** Beside the lobby's, for example `auth/refresh`. */
  path: string;
  token?: string;
  body?: JsonValue;
}

/** What is shown at most of words that are not the server's own. */
const WORDS_CHARS_MAX = 200;
/** What is believed at most of a wait that something before the server asks for. */
const RETRY_AFTER_MS_MAX = 60_000;

/**
 * Makes a call; the answer's JSON, undefined if it has none.
 * Throws `Refused`, `TimedOut`, and `Closed` when the server cannot be reached (`lost`) or what
 * answers is not it (`protocol`).
 */
export async function call(
  lobby: URL,
  { method, path, token, body }: Call,
  deadlineMs: number,
): Promise<JsonValue | undefined> {
  const url = new URL(path, lobby);
  url.protocol = lobby.protocol === "wss:" ? "https:" : "http:";
  const headers: Record<string, string> = {};
  if (token !== undefined) headers["Authorization"] = `Bearer ${token}`;
  let response: Response;
  let text: string;
  try {
    response = await fetch(url, {
      method,
      headers,
      signal: AbortSignal.timeout(deadlineMs),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    text = await response.text();
  } catch (error) {
    if (error instanceof Error && error.name === "TimeoutError")
      throw new TimedOut(path, deadlineMs);
    throw new Closed("lost", `${url.host} cannot be reached`);
  }
  if (response.ok) return text === "" ? undefined : parse(text);
  throw toRefused(text) ?? turnedAway(url, response, text);
}

/** The server's refusal, if the body is one: a proxy has words of its own, and maybe a `code`, too. */
function toRefused(text: string): Refused | undefined {
  try {
    const json = JSON.parse(text) as { code?: unknown } | null;
    // The server writes codes by their names. A number is somebody else's, and means something else.
    if (typeof json?.code !== "string") return undefined;
    const refused = Refused.from(read(RefusedSchema, json as JsonValue));
    return refused.code === "CODE_UNSPECIFIED" ? undefined : refused;
  } catch {
    return undefined;
  }
}

/** An answer from the server's door or from a proxy; whether it may be another one later, its status tells. */
function turnedAway(url: URL, { status, statusText, headers }: Response, text: string): Closed {
  const plain = headers.get("Content-Type")?.startsWith("text/plain") ?? false;
  const words = (plain && text.trim().slice(0, WORDS_CHARS_MAX)) || statusText;
  const message = `${url.host} answered ${status}${words && `: ${words}`}`;
  const transient = status === 408 || status === 429 || status >= 500;
  if (!transient) return new Closed("protocol", message);
  return new Closed("lost", message, undefined, toMs(headers.get("Retry-After")));
}

/** `Retry-After`, in seconds or as a date; 0 if it is neither, or a page may not see it. */
function toMs(retryAfter: string | null): number {
  const text = retryAfter?.trim() ?? "";
  const ms = /^\d+$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - Date.now();
  return Number.isFinite(ms) ? Math.min(Math.max(0, ms), RETRY_AFTER_MS_MAX) : 0;
}

/** A message of the schema, of what a call answered. Throws `Closed` when it is none. */
export function read<S extends DescMessage>(
  schema: S,
  json: JsonValue | undefined,
): MessageShape<S> {
  try {
    return fromJson(schema, json ?? {}, { ignoreUnknownFields: true });
  } catch (error) {
    throw unreadable(error);
  }
}

function parse(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch (error) {
    throw unreadable(error);
  }
}

function unreadable(error: unknown): Closed {
  const detail = error instanceof Error ? error.message : error;
  return new Closed("protocol", `unreadable answer: ${detail}`);
}

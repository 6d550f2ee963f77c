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

/**
 * Makes a call; the answer's JSON, undefined if it has none.
 * Throws `Refused`, `TimedOut`, and `Closed` when the server cannot be reached.
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
  throw Refused.from(read(RefusedSchema, parse(text)));
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

// The errors of this package. Every failure is one of them, so that `instanceof` decides what to do.
import { Code, type Refused as RefusedFrame } from "./gen/scenehost/v1/client_pb.js";

/** Why the server refused or closed: the schema's names, for example `"NOT_ADMITTED"`. */
export type CodeName = keyof typeof Code;

/** The base of all errors that this package throws. */
export abstract class ScenehostError extends Error {
  constructor(message: string) {
    super(message);
    this.name = new.target.name;
  }
}

/** The server refused a request; nothing was changed by it. `message` tells people what to do. */
export class Refused extends ScenehostError {
  constructor(
    readonly code: CodeName,
    message: string,
    /** When to try again, in milliseconds from now; 0: trying again as it is does not help. */
    readonly retryAfterMs: number,
  ) {
    super(message || code);
  }

  static from(frame: RefusedFrame): Refused {
    return new Refused(codeName(frame.code), frame.text, frame.retryAfterMs);
  }
}

/** A deadline passed without an answer. Whether the request had an effect is unknown. */
export class TimedOut extends ScenehostError {
  constructor(
    readonly what: string,
    readonly deadlineMs: number,
  ) {
    super(`${what}: no answer within ${deadlineMs} ms`);
  }
}

/**
 * The connection was lost, and the server does not know any more what was asked over it. Whether
 * the request had an effect is unknown; the state after `resumed` tells.
 */
export class OutcomeUnknown extends ScenehostError {
  constructor(readonly what: string) {
    super(`${what}: the connection was lost, and what came of this is unknown`);
  }
}

/**
 * Why a connection is closed.
 * - `left`: this side closed it.
 * - `server`: the server closed it or refused the return, and said why by `code` and `message`.
 * - `lost`: it broke, could not be opened, or a call over HTTP was answered by something before the
 *   server that could not let it through.
 * - `silent`: the server stopped answering.
 * - `protocol`: the server sent what the protocol does not allow; the bug is on one of the sides.
 */
export type CloseKind = "left" | "server" | "lost" | "silent" | "protocol";

/** There is no connection any more, so the request cannot be sent or will not be answered. */
export class Closed extends ScenehostError {
  constructor(
    readonly kind: CloseKind,
    message: string,
    /** What the server gave as the reason; only of the kind `server`. */
    readonly code: CodeName = "CODE_UNSPECIFIED",
    /** When to try again at the earliest, in milliseconds from now; 0: nobody said. */
    readonly retryAfterMs = 0,
  ) {
    super(message);
  }
}

/**
 * A limit of this side: too much is kept for sending, too many requests wait for an answer, or one
 * message is too large. The message was not sent and will not be.
 */
export class Overflow extends ScenehostError {}

/** The search for a match was taken back with `cancelMatch`. */
export class Cancelled extends ScenehostError {
  constructor() {
    super("the search for a match was taken back");
  }
}

/** The name of a code; one that this package is too old to know becomes `CODE_UNSPECIFIED`. */
export function codeName(code: Code): CodeName {
  return (Code[code] as CodeName | undefined) ?? "CODE_UNSPECIFIED";
}

// The tokens of a session, and how they are renewed.
//
// Invariant: a new pair is told before it is used, since using it voids the old one; and at most one
// renewal is under way.
import type { JsonValue } from "@bufbuild/protobuf";
import { Refused } from "./errors.js";
import { ResSignInSchema, type ResSignIn } from "./gen/scenehost/v1/client_pb.js";
import { call, read, type Call } from "./http.js";

/** What signs in again without the credential; keep both like a password. */
export interface Tokens {
  readonly sessionToken: string;
  readonly sessionExpires: Date;
  /** Gets the next pair, once. Empty if this side was never given one. */
  readonly refreshToken: string;
}

export class Session {
  readonly #lobby: URL;
  readonly #deadlineMs: number;
  readonly #onTokens: (tokens: Tokens) => void;
  #tokens: Tokens;
  #refreshing: Promise<void> | undefined;

  constructor(
    lobby: URL,
    deadlineMs: number,
    known: { sessionToken?: string; refreshToken?: string },
    onTokens: (tokens: Tokens) => void,
  ) {
    this.#lobby = lobby;
    this.#deadlineMs = deadlineMs;
    this.#onTokens = onTokens;
    const { sessionToken = "", refreshToken = "" } = known;
    this.#tokens = { sessionToken, sessionExpires: new Date(0), refreshToken };
  }

  get tokens(): Tokens {
    return this.#tokens;
  }

  /** Takes what a sign-in gave; what it left out stays as it is. */
  adopt({ sessionToken, sessionExpiresMs, refreshToken }: ResSignIn): void {
    const before = this.#tokens;
    this.#tokens = {
      sessionToken: sessionToken || before.sessionToken,
      sessionExpires: new Date(Number(sessionExpiresMs)),
      refreshToken: refreshToken || before.refreshToken,
    };
    const { sessionToken: session, refreshToken: refresh } = this.#tokens;
    if (session !== before.sessionToken || refresh !== before.refreshToken) {
      this.#onTokens(this.#tokens);
    }
  }

  /** Gets the next pair. Throws `Refused`, `TimedOut` and `Closed`; then the old pair stays. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#refresh().finally(() => (this.#refreshing = undefined));
    return this.#refreshing;
  }

  /**
   * After a refusal of the session token: gets a new pair if that is all that is wrong. Whether it
   * did. Throws as `refresh`.
   */
  async mend(refused: Refused): Promise<boolean> {
    if (refused.code !== "BAD_TOKEN" || !this.#tokens.refreshToken) return false;
    await this.refresh();
    return true;
  }

  /** Makes a call with the session's token, once more with the next one if it has expired. */
  async call(
    method: Call["method"],
    path: string,
    body?: JsonValue,
  ): Promise<JsonValue | undefined> {
    const request = () => {
      const { sessionToken: token } = this.#tokens;
      const withBody = body === undefined ? {} : { body };
      return call(this.#lobby, { method, path, token, ...withBody }, this.#deadlineMs);
    };
    try {
      return await request();
    } catch (error) {
      if (error instanceof Refused && (await this.mend(error))) return await request();
      throw error;
    }
  }

  async #refresh(): Promise<void> {
    const { refreshToken } = this.#tokens;
    const request = { method: "POST", path: "auth/refresh", body: { refreshToken } } as const;
    this.adopt(read(ResSignInSchema, await call(this.#lobby, request, this.#deadlineMs)));
  }
}

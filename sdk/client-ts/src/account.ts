// The signed-in user's account: its sessions, and what leads to it.
import { create, toJson } from "@bufbuild/protobuf";
import { toFrame, type Credential } from "./credential.js";
import { read } from "./http.js";
import { ReqSignInSchema, ResAccountSchema } from "./gen/scenehost/v1/client_pb.js";
import type { Session } from "./session.js";

/** A sign-in that goes on, on this device or another. */
export interface SessionInfo {
  readonly sessionId: string;
  /** What the device called itself when it signed in. */
  readonly device: string;
  readonly created: Date;
  /** When it was used last, to the hour. */
  readonly used: Date;
  /** When it ends unless it is refreshed. */
  readonly expires: Date;
  /** Whether it is the one that asks. */
  readonly own: boolean;
}

export interface AccountInfo {
  readonly sessions: readonly SessionInfo[];
  /** What leads to the account, for example `name/ada`, or `guest/` and a part of a hash. */
  readonly identities: readonly string[];
}

/**
 * The account, over HTTP. Every call throws `Refused` (the server said no), `TimedOut` (the outcome
 * is unknown), or `Closed` (the server cannot be reached, or something else answers in its place).
 */
export class Account {
  readonly #session: Session;

  /** Made by `Lobby`; see `Lobby.account`. */
  constructor(session: Session) {
    this.#session = session;
  }

  async show(): Promise<AccountInfo> {
    const { sessions, identities } = read(
      ResAccountSchema,
      await this.#session.call("GET", "account"),
    );
    return {
      identities,
      sessions: sessions.map(({ sessionId, device, createdMs, usedMs, expiresMs, own }) => ({
        sessionId,
        device,
        created: new Date(Number(createdMs)),
        used: new Date(Number(usedMs)),
        expires: new Date(Number(expiresMs)),
        own,
      })),
    };
  }

  /** Ends a session: its tokens are void, and its lobby connection is closed. */
  async endSession(sessionId: string): Promise<void> {
    await this.#session.call("DELETE", `account/sessions/${encodeURIComponent(sessionId)}`);
  }

  /**
   * The credential leads to this account from now on, too. The own name with another password
   * changes the password and ends the other sessions.
   */
  async link(credential: Credential): Promise<void> {
    const body = create(ReqSignInSchema, { credential: toFrame(credential) });
    await this.#session.call("POST", "account/link", toJson(ReqSignInSchema, body));
  }

  /** One of `identities` leads here no more; the last one stays. */
  async unlink(identity: string): Promise<void> {
    await this.#session.call("POST", "account/unlink", { identity });
  }

  /** Ends all sessions of the user, this one too. */
  async signOutEverywhere(): Promise<void> {
    await this.#session.call("POST", "auth/sign-out", { everywhere: true });
  }

  /** All that the server keeps about the user. */
  async export(): Promise<unknown> {
    return await this.#session.call("GET", "account/export");
  }

  /** The account and its sessions are gone for good. */
  async delete(): Promise<void> {
    await this.#session.call("DELETE", "account");
  }
}

// The lobby: signs in, finds matches, and tells what happens to the services.
//
// Invariant: at most one search for a match is under way, and it ends by a match, a refusal,
// taking it back, a deadline, or the end of the connection.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Connection, socketUrl, type ConnectOptions, type ServerBody } from "./connection.js";
import { Emitter, type Listener } from "./emitter.js";
import { Cancelled, Closed, Overflow, Refused, TimedOut } from "./errors.js";
import {
  ReqSignInSchema,
  Service,
  SynMatchState_State,
  type ResMatch,
  type ResSignIn,
  type SynMatchState,
} from "./gen/scenehost/v1/client_pb.js";
import { Scene, toSceneEnd, type SceneEnd } from "./scene.js";

/** A part of the server: the schema's names, for example `"MATCH"`. */
export type ServiceName = keyof typeof Service;

/**
 * Who signs in: a guest by a secret of the device, a session that began earlier, an account with a
 * name and a password, or a user of an OpenID Connect provider.
 */
export type Credential =
  | {
      guest: {
        /** 16 to 128 characters from a secure random source; whoever has it is the user. */
        deviceId: string;
        /** 1 to 32 characters; left out, the known name stays or the server chooses one. */
        name?: string;
      };
    }
  | { sessionToken: string }
  | {
      password: {
        /** 3 to 32 letters, digits, or - _ . ; capitals make no difference. */
        name: string;
        /** 8 to 128 characters. */
        password: string;
        /** Make the account; else it must be there. */
        create?: boolean;
      };
    }
  | {
      oidc: {
        /** The provider's name in the server's configuration. */
        provider: string;
        /** The ID token that the provider gave the user. */
        idToken: string;
      };
    };

type CredentialFrame = NonNullable<MessageInitShape<typeof ReqSignInSchema>["credential"]>;

export interface User {
  /** The same at every sign-in: 16 hexadecimal digits. */
  readonly id: string;
  readonly name: string;
}

export interface MatchState {
  readonly state: keyof typeof SynMatchState_State;
  readonly domain: string;
  /** Since the request. */
  readonly waitedMs: number;
  /** How far apart the ratings may be now. */
  readonly ratingRange: number;
  /** How many users wait in this domain. */
  readonly waiting: number;
  readonly playersMin: number;
  readonly playersMax: number;
  /** Why the search ended, if it ended without a match. */
  readonly refused: Refused | undefined;
}

/** A match that is made; `Lobby.join` enters its scene. */
export interface Match {
  readonly sceneId: string;
  readonly domain: string;
  /** Where the scene's connection goes: an absolute WebSocket URL. */
  readonly sceneUrl: string;
  readonly sceneToken: string;
  /** Until when the token must have been used. */
  readonly tokenExpires: Date;
}

export interface LobbyEvents {
  /** How the search for a match stands. */
  matchState: MatchState;
  /** A match is made; `findMatch` and `rejoin` give it, too. */
  match: Match;
  /** A service went down or is back. */
  service: { readonly service: ServiceName; readonly up: boolean };
  /** The server refused a frame that was no request. */
  refused: Refused;
  /** The scene that the user was in has ended, told to the lobby as well. */
  sceneEnded: SceneEnd;
  /** The connection is closed; every call that waits has been rejected. */
  closed: Closed;
}

export interface FindMatchOptions {
  /** Takes the search back. A match that is already made is given all the same. */
  signal?: AbortSignal;
  /** Called with every state of this search. */
  onState?: (state: MatchState) => void;
  /** How long the search may take. Default: 600,000. */
  deadlineMs?: number;
}

interface Search {
  /** The server has answered this search; what it said before is about an earlier one. */
  answered: boolean;
  /** Why it was taken back, if it was. */
  takenBack: unknown;
  onState: (state: MatchState) => void;
  resolve(match: Match): void;
  reject(error: unknown): void;
}

export class Lobby {
  readonly #connection: Connection;
  readonly #options: ConnectOptions;
  readonly #events = new Emitter<LobbyEvents>();
  readonly #servicesDown = new Set<ServiceName>();
  #signIn!: ResSignIn;
  #matchState: MatchState | undefined;
  #search: Search | undefined;

  private constructor(connection: Connection, options: ConnectOptions) {
    this.#connection = connection;
    this.#options = options;
    connection.onFrame = (body) => this.#receive(body);
    connection.onClosed = (closed) => {
      this.#search?.reject(closed);
      this.#events.emit("closed", closed);
    };
  }

  /**
   * Connects and signs in. `url` is the lobby's, or a path on the page's own host: `/v1/lobby`.
   * Throws `Refused`, `TimedOut`, `Closed`, or the reason of the signal.
   */
  static async connect(
    url: string | URL,
    credential: Credential,
    options: ConnectOptions = {},
  ): Promise<Lobby> {
    const connection = await Connection.open(url, options);
    const lobby = new Lobby(connection, options);
    try {
      const answer = await connection.request({
        case: "reqSignIn",
        value: { credential: toFrame(credential), device: options.device ?? "" },
      });
      connection.expect(answer, "resSignIn");
    } catch (error) {
      connection.close();
      throw error;
    }
    return lobby;
  }

  get user(): User {
    return { id: this.#signIn.userId, name: this.#signIn.name };
  }

  /** Signs in again without the credential; keep it like a password. */
  get sessionToken(): string {
    return this.#signIn.sessionToken;
  }

  /**
   * Gets the next pair of tokens, by `POST /v1/auth/refresh`; empty after a sign-in with a session
   * token, since the one that came with it stays good.
   */
  get refreshToken(): string {
    return this.#signIn.refreshToken;
  }

  get sessionExpires(): Date {
    return new Date(Number(this.#signIn.sessionExpiresMs));
  }

  /** The scene in which the user held a seat at sign-in, if any; `rejoin` leads back to it. */
  get heldSceneId(): string | undefined {
    return this.#signIn.sceneId || undefined;
  }

  /** The services that are not available now. */
  get servicesDown(): ReadonlySet<ServiceName> {
    return this.#servicesDown;
  }

  /**
   * The last state that the server told about a search; after `connect`, of one that was begun on an
   * earlier connection and goes on.
   */
  get matchState(): MatchState | undefined {
    return this.#matchState;
  }

  /** Why the connection is closed, once it is. */
  get closed(): Closed | undefined {
    return this.#connection.closed;
  }

  /** Calls `listener` at every `event` from now on; the returned function ends that. */
  on<E extends keyof LobbyEvents>(event: E, listener: Listener<LobbyEvents[E]>): () => void {
    return this.#events.on(event, listener);
  }

  /**
   * Waits for a match in a domain, for example `"gomoku"`.
   * Throws `Refused`, `Cancelled` after `cancelMatch`, the reason of the signal, `TimedOut`,
   * `Closed`, and `Overflow` when a search is already under way.
   */
  async findMatch(domain: string, options: FindMatchOptions = {}): Promise<Match> {
    const { signal, onState = () => {}, deadlineMs = 600_000 } = options;
    signal?.throwIfAborted();
    if (this.#search) throw new Overflow("a search is under way; take it back with cancelMatch");
    let onAbort = () => {};
    let timer: ReturnType<typeof setTimeout> | undefined;
    const found = new Promise<Match>((resolve, reject) => {
      const search: Search = { answered: false, takenBack: undefined, onState, resolve, reject };
      this.#search = search;
      onAbort = () => this.#takeBack(search, signal?.reason);
      timer = setTimeout(
        () => this.#takeBack(search, new TimedOut("findMatch", deadlineMs)),
        deadlineMs,
      );
      signal?.addEventListener("abort", onAbort, { once: true });
    });
    this.#ask(this.#search!, domain);
    try {
      return await found;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      this.#search = undefined;
    }
  }

  /**
   * Takes the search for a match back. Throws `Refused` if the match is already made; then the
   * search gives that match.
   */
  async cancelMatch(): Promise<void> {
    const search = this.#search;
    if (search) search.takenBack ??= new Cancelled();
    await this.#connection.request({ case: "reqCancelMatch", value: {} });
    search?.reject(search.takenBack);
  }

  /** A new scene token for the seat that the user holds; `join` enters with it. */
  async rejoin(): Promise<Match> {
    const answer = await this.#connection.request({ case: "reqRejoin", value: {} });
    return this.#toMatch(this.#connection.expect(answer, "resMatch"));
  }

  /** Enters the scene of a match, by a connection of its own. */
  join(match: Match, options: ConnectOptions = {}): Promise<Scene> {
    // The signal of `connect` was for the lobby's connection only.
    const { signal: _, ...inherited } = this.#options;
    return Scene.join(match.sceneUrl, match.sceneToken, { ...inherited, ...options });
  }

  /** Asks whether the server is there; the answer is the round trip in milliseconds. */
  ping(): Promise<number> {
    return this.#connection.ping();
  }

  /**
   * Ends the session: its tokens are void, and the connection is closed. Throws `Closed` if the
   * connection ends without the server's word; whether the session has ended is unknown then.
   */
  async signOut(): Promise<void> {
    try {
      await this.#connection.request({ case: "reqSignOut", value: {} });
    } catch (error) {
      if (!(error instanceof Closed && error.code === "SESSION_ENDED")) throw error;
    }
  }

  /** Closes the connection. The session stays: sign in again with `sessionToken`. */
  close(): void {
    this.#connection.close();
  }

  #ask(search: Search, domain: string): void {
    this.#connection
      .request({ case: "reqMatch", value: { domain } }, () => (search.answered = true))
      .catch((error) => search.reject(error));
  }

  /** The search ends by the server's answer, so that a match made meanwhile is not lost. */
  #takeBack(search: Search, reason: unknown): void {
    search.takenBack ??= reason;
    this.cancelMatch().catch((error) => {
      if (!(error instanceof Refused)) search.reject(search.takenBack);
    });
  }

  #receive(body: ServerBody): void {
    switch (body.case) {
      case "resSignIn":
        this.#signIn = body.value;
        for (const service of body.value.servicesDown) {
          this.#servicesDown.add(serviceName(service));
        }
        // A search that was begun on a connection before this one goes on.
        if (body.value.matchState) this.#receiveMatchState(body.value.matchState);
        return;
      case "synMatchState":
        return this.#receiveMatchState(body.value);
      case "resMatch": {
        const match = this.#toMatch(body.value);
        this.#search?.resolve(match);
        return this.#events.emit("match", match);
      }
      case "synService": {
        const service = serviceName(body.value.service);
        if (body.value.up) this.#servicesDown.delete(service);
        else this.#servicesDown.add(service);
        return this.#events.emit("service", { service, up: body.value.up });
      }
      case "refused":
        return this.#events.emit("refused", Refused.from(body.value));
      case "synSceneEnded":
        return this.#events.emit("sceneEnded", toSceneEnd(body.value));
    }
  }

  #receiveMatchState(frame: SynMatchState): void {
    const state: MatchState = {
      state: (SynMatchState_State[frame.state] as MatchState["state"] | undefined) ?? "IDLE",
      domain: frame.domain,
      waitedMs: Number(frame.waitedMs),
      ratingRange: frame.ratingRange,
      waiting: frame.waiting,
      playersMin: frame.playersMin,
      playersMax: frame.playersMax,
      refused: frame.refused && Refused.from(frame.refused),
    };
    this.#matchState = state;
    const search = this.#search;
    if (search?.answered) {
      search.onState(state);
      if (state.state === "IDLE") {
        search.reject(state.refused ?? search.takenBack ?? new Cancelled());
      }
    }
    this.#events.emit("matchState", state);
  }

  #toMatch({ sceneId, domain, sceneUrl, sceneToken, tokenExpiresInMs }: ResMatch): Match {
    return {
      sceneId,
      domain,
      sceneUrl: socketUrl(sceneUrl, this.#connection.url).href,
      sceneToken,
      tokenExpires: new Date(Date.now() + tokenExpiresInMs),
    };
  }
}

function toFrame(credential: Credential): CredentialFrame {
  if ("guest" in credential) return { case: "guest", value: credential.guest };
  if ("password" in credential) return { case: "password", value: credential.password };
  if ("oidc" in credential) return { case: "oidc", value: credential.oidc };
  return { case: "sessionToken", value: credential.sessionToken };
}

function serviceName(service: Service): ServiceName {
  return (Service[service] as ServiceName | undefined) ?? "SERVICE_UNSPECIFIED";
}

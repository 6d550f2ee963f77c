// The lobby: signs in, finds matches, and tells what happens to the services.
//
// Invariant: at most one search for a match is under way, and it ends by a match, a refusal,
// taking it back, a deadline, or the end of the line.
import { Account } from "./account.js";
import type { ClientBody } from "./codec.js";
import { requestDeadlineMs, socketUrl } from "./connection.js";
import { toFrame, type Credential } from "./credential.js";
import { Emitter, type Listener } from "./emitter.js";
import type { Ask } from "./features/ask.js";
import { Chat, toChatEvent, type ChatEvent } from "./features/chat.js";
import {
  Friends,
  toFriendChange,
  toPresences,
  type FriendChange,
  type FriendPresence,
} from "./features/friends.js";
import { Guilds, toGuildEvent, type GuildEvent } from "./features/guilds.js";
import { Inbox, toNotificationNews, type NotificationNews } from "./features/inbox.js";
import {
  domains,
  toMatchState,
  toWish,
  type Domain,
  type MatchState,
  type Wish,
} from "./features/matching.js";
import { Parties, type PartyEvent } from "./features/party.js";
import { Profiles } from "./features/profiles.js";
import { Records } from "./features/records.js";
import { findScenes, type FindScenes, type FoundScenes } from "./features/scenes.js";
import { Shop, toWalletChange, type WalletChange } from "./features/shop.js";
import { Standing, toRatingChange, type RatingChange } from "./features/standing.js";
import { Cancelled, Closed, OutcomeUnknown, Overflow, Refused, TimedOut } from "./errors.js";
import { Service, type ResMatch, type ResSignIn } from "./gen/scenehost/v1/client_pb.js";
import { toSceneEnd, type SceneEnd } from "./game-line.js";
import {
  Line,
  type ConnectOptions,
  type Dropped,
  type Entered,
  type Resumed,
  type Role,
  type ServerBody,
} from "./line.js";
import { Scene } from "./scene.js";
import { Session, type Tokens } from "./session.js";
import { Spectator, type Watch } from "./spectator.js";

/** A part of the server: the schema's names, for example `"MATCH"`. */
export type ServiceName = keyof typeof Service;

export interface LobbyOptions extends ConnectOptions {
  /**
   * Called with every new pair of tokens, also before `connect` is done: the next one voids the one
   * before it, so keep each at once. The event `tokens` tells the same from then on.
   */
  onTokens?: (tokens: Tokens) => void;
}

export interface User {
  /** The same at every sign-in: 16 hexadecimal digits. */
  readonly id: string;
  readonly name: string;
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
  /** A service went down or is back; of matching only in some domains, if it names them. */
  service: {
    readonly service: ServiceName;
    readonly up: boolean;
    readonly domains?: readonly string[];
  };
  /** Somebody has said something, or who may speak has changed. */
  chat: ChatEvent;
  /** Something has changed between the user and another. */
  friends: FriendChange;
  /** What friends are doing now; those of whom nothing has changed are left out. */
  presence: readonly FriendPresence[];
  /** Something has happened in a guild. */
  guild: GuildEvent;
  /** What has become of the user's party, or of an invitation. */
  party: PartyEvent;
  /** A notification has come. */
  notification: NotificationNews;
  /** The user's rating has changed. */
  rating: RatingChange;
  /** Somebody else has changed the user's wallet. */
  wallet: WalletChange;
  /** The game has changed stored records of the user's. */
  recordsChanged: { readonly game: string; readonly keys: readonly string[] };
  /** The server refused a frame that was no request. */
  refused: Refused;
  /** The scene that the user was in has ended, told to the lobby as well. */
  sceneEnded: SceneEnd;
  /** There is a new pair of tokens, and the old one is void or will be. */
  tokens: Tokens;
  /** The connection is lost, and the way back is being tried; again after each attempt that failed. */
  dropped: Dropped;
  /** The connection is there again. */
  resumed: Resumed;
  /** There will be no connection any more; every call that waits has been rejected. The last event. */
  gone: Closed;
}

export interface FindMatchOptions {
  /** What the user brings and wants from now on; left out: what was said last. */
  wish?: Wish;
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
  readonly #line: Line;
  readonly #options: LobbyOptions;
  readonly #credential: Credential;
  readonly #session: Session;
  readonly #ask: Ask;
  readonly #events = new Emitter<LobbyEvents>();
  readonly #servicesDown = new Set<ServiceName>();
  readonly #domainsDown = new Set<string>();
  /** Rooms, direct messages, the chat of the guild and the party. */
  readonly chat: Chat;
  /** Friends and what they are doing. */
  readonly friends: Friends;
  /** Groups of users with roles. */
  readonly guilds: Guilds;
  /** Notifications that wait for the user. */
  readonly inbox: Inbox;
  /** Users who prepare and play together. */
  readonly party: Parties;
  /** Users as others see them. */
  readonly profiles: Profiles;
  /** What games keep for users. */
  readonly records: Records;
  /** What the user has, and may buy. */
  readonly shop: Shop;
  /** Ratings, leaderboards and past matches. */
  readonly standing: Standing;
  #signIn: ResSignIn | undefined;
  #heldSceneId = "";
  #matchState: MatchState | undefined;
  #search: Search | undefined;

  private constructor(url: URL, credential: Credential, options: LobbyOptions) {
    this.#options = options;
    this.#credential = credential;
    const known = "sessionToken" in credential ? credential : {};
    this.#session = new Session(url, requestDeadlineMs(options), known, (tokens) => {
      options.onTokens?.(tokens);
      this.#events.emit("tokens", tokens);
    });
    this.#line = new Line(url, options, this.#role());
    const ask: Ask = async (body, answer) =>
      this.#line.expect(await this.#line.request(body), answer);
    this.#ask = ask;
    this.chat = new Chat(ask);
    this.friends = new Friends(ask);
    this.guilds = new Guilds(ask);
    this.inbox = new Inbox(ask);
    this.party = new Parties(ask);
    this.profiles = new Profiles(ask);
    this.records = new Records(ask);
    this.shop = new Shop(ask);
    this.standing = new Standing(ask);
  }

  /**
   * Connects and signs in. `url` is the lobby's, or a path on the page's own host: `/v1/lobby`.
   * Throws `Refused`, `TimedOut`, `Closed`, or the reason of the signal.
   */
  static async connect(
    url: string | URL,
    credential: Credential,
    options: LobbyOptions = {},
  ): Promise<Lobby> {
    const lobby = new Lobby(socketUrl(url), credential, options);
    await lobby.#line.begin();
    return lobby;
  }

  get user(): User {
    return { id: this.#signIn!.userId, name: this.#signIn!.name };
  }

  /** What signs in again without the credential; renewed when it has expired. */
  get tokens(): Tokens {
    return this.#session.tokens;
  }

  /** The account of the user: its sessions, and what leads to it. */
  get account(): Account {
    return new Account(this.#session);
  }

  /** The scene in which the user holds a seat, if any; `rejoin` leads back to it. */
  get heldSceneId(): string | undefined {
    return this.#heldSceneId || undefined;
  }

  /** The services that are not available now. */
  get servicesDown(): ReadonlySet<ServiceName> {
    return this.#servicesDown;
  }

  /** The domains in which matching is not available now, as far as the user was told. */
  get domainsDown(): ReadonlySet<string> {
    return this.#domainsDown;
  }

  /**
   * The last state that the server told about a search; after `connect`, of one that was begun on an
   * earlier connection and goes on.
   */
  get matchState(): MatchState | undefined {
    return this.#matchState;
  }

  /** Why there is no connection and when the next attempt is, while the way back is being tried. */
  get dropped(): Dropped | undefined {
    return this.#line.dropped;
  }

  /** Why there will be no connection any more, once that is so. */
  get gone(): Closed | undefined {
    return this.#line.gone;
  }

  /** Calls `listener` at every `event` from now on; the returned function ends that. */
  on<E extends keyof LobbyEvents>(event: E, listener: Listener<LobbyEvents[E]>): () => void {
    return this.#events.on(event, listener);
  }

  /**
   * Waits for a match in a domain, for example `"gomoku"`; in a party the leader asks for all of it. A
   * search in the domain that goes on (`matchState` tells) is taken up: one from an earlier connection,
   * or one that the leader of the party has begun.
   * Throws `Refused`, `Cancelled` after `cancelMatch`, the reason of the signal, `TimedOut`,
   * `OutcomeUnknown` when the search ended during a drop, `Closed`, and `Overflow` when a search is
   * already under way.
   */
  async findMatch(domain: string, options: FindMatchOptions = {}): Promise<Match> {
    const { wish, signal, onState = () => {}, deadlineMs = 600_000 } = options;
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
    this.#begin(this.#search!, domain, wish);
    try {
      return await found;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      this.#search = undefined;
    }
  }

  /**
   * Takes the search for a match back, in a party for all of it; at once if it waits for the end of a
   * drop. Throws `Refused` if the match is already made; then the search gives that match. Throws also
   * `TimedOut`, `OutcomeUnknown`, `Closed` and `Overflow`; then the search may go on.
   */
  async cancelMatch(): Promise<void> {
    const search = this.#search;
    if (search) search.takenBack ??= new Cancelled();
    if (search && this.#line.withdraw("reqMatch", search.takenBack)) return;
    await this.#line.request({ case: "reqCancelMatch", value: {} });
    search?.reject(search.takenBack);
  }

  /**
   * Whether the user plays the match that was found (`matchState.found`); who does not cannot search for
   * a while. How it stands is told as every state of the search. Throws `Refused` if no match waits for
   * that any more.
   */
  async acceptMatch(accept: boolean): Promise<void> {
    await this.#ask({ case: "reqAcceptMatch", value: { accept } }, "synMatchState");
  }

  /**
   * What the user brings and wants from the next search on, in the place of what was said before; in a
   * party each member says their own. Throws `Refused` if something in it is beyond its limits.
   */
  async setWish(wish: Wish): Promise<void> {
    await this.#ask({ case: "reqWish", value: { wish: toWish(wish) } }, "done");
  }

  /** All domains, in the order of their names, with what a search in each may bring and want. */
  domains(): Promise<readonly Domain[]> {
    return domains(this.#ask);
  }

  /** A new scene token for the seat that the user holds; `join` enters with it. */
  async rejoin(): Promise<Match> {
    const answer = await this.#line.request({ case: "reqRejoin", value: {} });
    return this.#toMatch(this.#line.expect(answer, "resMatch"));
  }

  /** A part of the list of games that are going on, the newest first. */
  findScenes(find: FindScenes = {}): Promise<FoundScenes> {
    return findScenes(this.#ask, find);
  }

  /**
   * A seat in a game that is going on; `join` enters with it. Throws `Refused` if the game has ended,
   * is full or takes nobody in, or while the user is in a search or a game.
   */
  async joinScene(sceneId: string): Promise<Match> {
    const ask = { case: "join" as const, value: sceneId };
    return this.#toMatch(await this.#ask({ case: "reqScenes", value: { ask } }, "resMatch"));
  }

  /**
   * Watches a game that is going on, by a connection of its own, which comes back after a drop. Throws
   * `Refused` if the game has ended, cannot be watched, or as many watch it as may.
   */
  async watchScene(sceneId: string, options: ConnectOptions = {}): Promise<Spectator> {
    const way = () => this.#wayToWatch(sceneId);
    return Spectator.enter(await way(), way, this.#inherited(options));
  }

  /** Enters the scene of a match, by a connection of its own. */
  async join(match: Match, options: ConnectOptions = {}): Promise<Scene> {
    const scene = await Scene.join(match.sceneUrl, match.sceneToken, this.#inherited(options));
    const off = this.on("sceneEnded", (end) => scene.hearOfEnd(end));
    scene.on("gone", off);
    return scene;
  }

  /** Asks whether the server is there; the answer is the round trip in milliseconds. */
  ping(): Promise<number> {
    return this.#line.ping();
  }

  /**
   * Ends the session: its tokens are void, and the connection is closed. During a drop it is asked
   * for over HTTP, so that it need not wait for the return. Throws `Refused`, `TimedOut`, and `Closed`
   * if the server cannot be reached, or the connection ends without its word; after the last two it
   * is unknown whether the session has ended.
   */
  async signOut(): Promise<void> {
    if (this.dropped) return this.#signOutOverHttp();
    try {
      await this.#line.request({ case: "reqSignOut", value: {} });
    } catch (error) {
      if (!(error instanceof Closed && error.code === "SESSION_ENDED")) throw error;
    }
  }

  /** Leaves: a search is taken back. The session stays: sign in again with `tokens`. */
  close(): void {
    this.#line.close();
  }

  /** The signal of `connect` was for the lobby's connection only. */
  #inherited(options: ConnectOptions): ConnectOptions {
    const { signal: _, onTokens: __, ...inherited } = this.#options;
    return { ...inherited, ...options };
  }

  async #wayToWatch(sceneId: string): Promise<Watch> {
    const ask = { case: "watch" as const, value: sceneId };
    const way = await this.#ask({ case: "reqScenes", value: { ask } }, "resWatch");
    const sceneUrl = socketUrl(way.sceneUrl, this.#line.url).href;
    return { sceneId: way.sceneId, sceneUrl, watchToken: way.watchToken };
  }

  async #signOutOverHttp(): Promise<void> {
    try {
      await this.#session.call("POST", "auth/sign-out", {});
    } catch (error) {
      // A session that is void already needs no end.
      if (!(error instanceof Refused && error.code === "BAD_TOKEN")) throw error;
    }
    this.close();
  }

  #begin(search: Search, domain: string, wish: Wish | undefined): void {
    const known = this.#matchState;
    if (known && known.state !== "IDLE" && known.domain === domain) {
      search.answered = true;
      search.onState(known);
      return;
    }
    const value = wish ? { domain, wish: toWish(wish) } : { domain };
    this.#line
      .request({ case: "reqMatch", value }, () => (search.answered = true))
      .catch((error) => {
        // After a drop the state of the search that goes on has answered already.
        if (!(error instanceof OutcomeUnknown && search.answered)) search.reject(error);
      });
  }

  /** The search ends by the server's answer, so that a match made meanwhile is not lost. */
  #takeBack(search: Search, reason: unknown): void {
    search.takenBack ??= reason;
    this.cancelMatch().catch((error) => {
      if (error instanceof OutcomeUnknown) return this.#takeBack(search, reason);
      if (!(error instanceof Refused)) search.reject(search.takenBack);
    });
  }

  #role(): Role {
    return {
      enter: (resumeSeq) => this.#toEnter(resumeSeq),
      entered: (body) => this.#entered(body),
      mend: (refused) => this.#session.mend(refused),
      receive: (body) => this.#receive(body),
      dropped: (dropped) => this.#events.emit("dropped", dropped),
      resumed: (resumed) => this.#resumed(resumed),
      gone: (closed) => {
        this.#search?.reject(closed);
        this.#events.emit("gone", closed);
      },
    };
  }

  /** Whoever has a session comes by it. Only a line that this side was on can go on. */
  #toEnter(resumeSeq: number | undefined): ClientBody {
    const { sessionToken } = this.#session.tokens;
    const credential = toFrame(sessionToken ? { sessionToken } : this.#credential);
    const resume = this.#signIn && resumeSeq !== undefined ? { resumeSeq } : {};
    const { device = "" } = this.#options;
    return { case: "reqSignIn", value: { credential, device, ...resume } };
  }

  #entered(body: ServerBody): Entered {
    const signIn = this.#line.expect(body, "resSignIn");
    const first = !this.#signIn;
    this.#signIn = signIn;
    this.#session.adopt(signIn);
    this.#heldSceneId = signIn.sceneId;
    if (first) {
      for (const service of signIn.servicesDown) this.#servicesDown.add(serviceName(service));
      for (const domain of signIn.domainsDown) this.#domainsDown.add(domain);
      if (signIn.matchState) this.#matchState = toMatchState(signIn.matchState);
    }
    const { resumed, afterSeq, graceMs, lastRequest } = signIn;
    const requestsArrived = resumed ? lastRequest : undefined;
    return { resumed, afterSeq, graceMs, requestsArrived, messagesArrived: 0 };
  }

  #resumed(resumed: Resumed): void {
    if (!resumed.complete) this.party.forget();
    this.#events.emit("resumed", resumed);
    if (!resumed.complete) this.#adopt(this.#signIn!);
  }

  /** Takes the whole state over, as it is after more was missed than the server has kept. */
  #adopt(signIn: ResSignIn): void {
    const down = new Set(signIn.servicesDown.map(serviceName));
    for (const service of this.#servicesDown) {
      if (!down.has(service)) this.#receiveService(service, true);
    }
    for (const service of down) {
      if (!this.#servicesDown.has(service)) this.#receiveService(service, false);
    }
    const domainsUp = [...this.#domainsDown].filter(
      (domain) => !signIn.domainsDown.includes(domain),
    );
    const domainsDown = signIn.domainsDown.filter((domain) => !this.#domainsDown.has(domain));
    if (domainsUp.length > 0) this.#receiveService("MATCH", true, domainsUp);
    if (domainsDown.length > 0) this.#receiveService("MATCH", false, domainsDown);
    const search = this.#search;
    if (signIn.matchState) {
      // Whatever the search had been told, this is what became of it.
      if (search) search.answered = true;
      return this.#receiveMatchState(toMatchState(signIn.matchState));
    }
    this.#matchState = undefined;
    if (!search?.answered) return;
    // The match that was made meanwhile is not told again, but its seat is there.
    if (signIn.sceneId) this.rejoin().then(search.resolve, search.reject);
    else search.reject(search.takenBack ?? new OutcomeUnknown("findMatch"));
  }

  #receive(body: ServerBody): void {
    switch (body.case) {
      case "synMatchState":
        return this.#receiveMatchState(toMatchState(body.value));
      case "resMatch": {
        const match = this.#toMatch(body.value);
        this.#matchState = undefined;
        this.#heldSceneId = match.sceneId;
        this.#search?.resolve(match);
        return this.#events.emit("match", match);
      }
      case "synService":
        return this.#receiveService(
          serviceName(body.value.service),
          body.value.up,
          body.value.domains,
        );
      case "synChat": {
        const event = toChatEvent(body.value);
        return event && this.#events.emit("chat", event);
      }
      case "synFriends":
        return this.#events.emit("friends", toFriendChange(body.value));
      case "synPresence":
        return this.#events.emit("presence", toPresences(body.value));
      case "synGuild":
        return this.#events.emit("guild", toGuildEvent(body.value));
      case "synParty": {
        const event = this.party.hear(body.value);
        return event && this.#events.emit("party", event);
      }
      case "synNotification": {
        const news = toNotificationNews(body.value);
        return news && this.#events.emit("notification", news);
      }
      case "synStanding":
        return this.#events.emit("rating", toRatingChange(body.value));
      case "synWallet":
        return this.#events.emit("wallet", toWalletChange(body.value));
      case "synRecords":
        return this.#events.emit("recordsChanged", body.value);
      case "refused":
        return this.#events.emit("refused", Refused.from(body.value));
      case "synSceneEnded":
        if (body.value.sceneId === this.#heldSceneId) this.#heldSceneId = "";
        return this.#events.emit("sceneEnded", toSceneEnd(body.value));
    }
  }

  #receiveService(service: ServiceName, up: boolean, domains: readonly string[] = []): void {
    if (domains.length > 0) {
      for (const domain of domains) {
        if (up) this.#domainsDown.delete(domain);
        else this.#domainsDown.add(domain);
      }
      return this.#events.emit("service", { service, up, domains });
    }
    if (up) this.#servicesDown.delete(service);
    else this.#servicesDown.add(service);
    this.#events.emit("service", { service, up });
  }

  #receiveMatchState(state: MatchState): void {
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
      sceneUrl: socketUrl(sceneUrl, this.#line.url).href,
      sceneToken,
      tokenExpires: new Date(Date.now() + tokenExpiresInMs),
    };
  }
}

function serviceName(service: Service): ServiceName {
  return (Service[service] as ServiceName | undefined) ?? "SERVICE_UNSPECIFIED";
}

// What the pages show, and how one view leads to the next.
//
// Invariant: one task at a time leads somewhere. Starting another aborts it, and an aborted task
// changes nothing any more. Lost connections are the client's affair: it comes back by itself, and
// says `gone` when it does not.
import {
  Cancelled,
  Closed,
  Lobby,
  Refused,
  type Credential,
  type Dropped,
  type Match,
  type MatchState,
  type Parties,
  type Party,
  type Scene,
  type SceneEnd,
  type Spectator,
  type Tokens,
} from "@scenehost/client";
import { isDomain, type Domain } from "./domains.js";
import * as identity from "./identity.js";
import { deviceName } from "./device.js";
import { Around } from "./hub/around.js";
import {
  isSessionOver,
  lobbyGone,
  problemOf,
  sceneEnded,
  sceneGone,
  troubleOf,
  watchedGone,
  type Trouble,
} from "./trouble.js";

export type View =
  | { at: "connecting"; text: string }
  | { at: "home" }
  | Waiting
  | { at: "playing"; domain: Domain; scene: Scene }
  | { at: "watching"; domain: Domain; spectator: Spectator }
  | { at: "trouble"; trouble: Trouble };

/** The wait for a match. */
export interface Waiting {
  at: "waiting";
  domain: Domain;
  sinceMs: number;
  /**
   * `searching`: the lobby has been asked for a match, so the search may go on until the server has
   * taken it back, whatever this page has heard of it. `cancelling`: that is being asked for.
   */
  stage: "connecting" | "searching" | "cancelling";
  state: MatchState | undefined;
}

/** Signs in at the lobby. */
export type Connect = (
  credential: Credential,
  onTokens: (tokens: Tokens) => void,
  signal: AbortSignal,
) => Promise<Lobby>;

/**
 * How long the word that a scene is left, or that a game has begun a search, may take to come from the lobby, until a
 * search is tried all the same.
 */
const HEARD_MS_MAX = 3_000;
const NO_CONNECTION = "There is no connection. Try again in a moment.";

export class App {
  readonly #connectLobby: Connect;
  #view: View = { at: "connecting", text: "Connecting" };
  #lobby: Lobby | undefined;
  #around: Around | undefined;
  /** The lobby whose session is being ended: that it goes is wanted and no trouble. */
  #signingOut: Lobby | undefined;
  #task = new AbortController();
  /** The last leaving of a scene; a search before its end would lead back to the old seat. */
  #left: Promise<unknown> = Promise.resolve();
  #listeners = new Set<() => void>();

  constructor(connect: Connect = connectLobby) {
    this.#connectLobby = connect;
  }

  get view(): View {
    return this.#view;
  }

  /** The lobby, until it is gone; it may be on its way back. */
  get lobby(): Lobby | undefined {
    return this.#lobby?.gone ? undefined : this.#lobby;
  }

  /** What goes on around the games, at the lobby. */
  get around(): Around | undefined {
    return this.lobby && this.#around;
  }

  /** The party that the player is in. */
  get party(): Party | undefined {
    return this.around?.party.party.value;
  }

  /** What keeps the player from going on: the lost connection of what is shown, if it is lost. */
  get dropped(): Dropped | undefined {
    const view = this.#view;
    if (view.at === "trouble") return undefined;
    if (view.at === "watching") return view.spectator.dropped;
    return view.at === "playing" ? view.scene.dropped : this.lobby?.dropped;
  }

  /** Whether the player has signed in to an account with a name. */
  get hasAccount(): boolean {
    return identity.hasAccount();
  }

  /** Calls `listener` after every change; the returned function ends that. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Connects, and goes back to the seat that is still held, to the search, or to the home view. */
  start(): void {
    this.#begin({ at: "connecting", text: "Connecting" }, async (signal) => {
      const lobby = await this.#connect(signal);
      if (lobby.heldSceneId) {
        this.#show({ at: "connecting", text: "Returning to your seat" });
        return this.#enter(await lobby.rejoin(), lobby, signal);
      }
      const { matchState } = lobby;
      const noted = identity.takeSearch();
      const search = matchState && matchState.state !== "IDLE" ? matchState.domain : noted;
      if (search === undefined || !isDomain(search)) return this.#show({ at: "home" });
      await this.#search(search, lobby, signal);
    });
  }

  /**
   * The page goes: it is closed, left, or loaded again, and which of them cannot be known. So the
   * search is taken back (the lobby is left), since nobody shall be matched with a closed tab for as
   * long as a lost connection is waited for; and it is noted in the tab, where only the page that is
   * loaded in this one's place finds it and searches again. Who is in a party stays there, since leaving
   * the lobby is leaving the party; a party searches again when its leader wants it.
   */
  hide(): void {
    const view = this.#view;
    if (view.at !== "waiting") return;
    if (this.party) return void this.lobby?.cancelMatch().catch(() => {});
    if (view.stage !== "cancelling") identity.noteSearch(view.domain);
    this.#task.abort();
    // A page that the browser keeps and shows again has to connect anew.
    const lobby = this.#lobby;
    this.#lobby = undefined;
    lobby?.close();
  }

  /** Waits for a match, under `name` if one is given, and enters its scene; an old seat is left. */
  play(domain: Domain, name = identity.chosenName()): void {
    identity.chooseName(name.trim());
    this.#leaveScene();
    this.#begin(waiting(domain), async (signal) => {
      const lobby = await this.#connect(signal);
      await this.#left;
      await this.#search(domain, lobby, signal);
    });
  }

  /** Takes a seat in a game that goes on, under `name` if one is given; an old seat is left. */
  join(sceneId: string, name = identity.chosenName()): void {
    identity.chooseName(name.trim());
    this.#leaveScene();
    this.#begin({ at: "connecting", text: "Entering the game" }, async (signal) => {
      const lobby = await this.#connect(signal);
      await this.#left;
      const match = await lobby.joinScene(sceneId);
      signal.throwIfAborted();
      await this.#enter(match, lobby, signal);
    });
  }

  /** Watches a game that goes on. */
  watch(domain: Domain, sceneId: string): void {
    this.#begin({ at: "connecting", text: "Finding a place to watch" }, async (signal) => {
      const lobby = await this.#connect(signal);
      const spectator = await lobby.watchScene(sceneId);
      if (signal.aborted) spectator.close();
      signal.throwIfAborted();
      // Whatever is shown next, this game is watched no more.
      signal.addEventListener("abort", () => spectator.close(), { once: true });
      this.#show({ at: "watching", domain, spectator });
      const changed = () => this.#changed();
      for (const event of ["ended", "dropped", "resumed"] as const) spectator.on(event, changed);
      spectator.on("gone", (closed) => {
        if (!signal.aborted && !spectator.end) this.#fail(watchedGone(closed));
      });
    });
  }

  /**
   * Takes the search back; one that the server may know of, after the return if the connection is
   * lost. A match that is already made is played all the same.
   */
  cancel(): void {
    const view = this.#view;
    if (view.at !== "waiting" || view.stage === "cancelling") return;
    const { lobby } = this;
    if (view.stage === "connecting" || !lobby) return this.home();
    this.#show({ ...view, stage: "cancelling" });
    lobby.cancelMatch().catch(() => {
      // It goes on, or that is not known: the player can ask again, or is shown the match.
      // A search that began after it is not concerned.
      const now = this.#view;
      if (now.at === "waiting" && now.sinceMs === view.sinceMs)
        this.#show({ ...now, stage: "searching" });
    });
  }

  /** Says whether the match that was found is played. Throws as the client. */
  acceptMatch(accept: boolean): Promise<void> {
    return this.#theLobby().acceptMatch(accept);
  }

  /** What a guest is called from the next game or party on. */
  chooseName(name: string): void {
    identity.chooseName(name.trim());
  }

  /** Begins a party, or comes into one, under the name that was chosen. Throws as the client. */
  async enterParty(enter: (party: Parties) => Promise<void>): Promise<void> {
    try {
      await this.#connect(this.#task.signal);
    } finally {
      this.#changed();
    }
    await enter(this.#theLobby().party);
  }

  /** Invites a user into the player's party; who is in none begins one. Throws as the client. */
  inviteToParty(userId: string): Promise<void> {
    return this.enterParty(async (party) => {
      if (!party.current) await party.create();
      await party.invite(userId);
    });
  }

  /** Leaves the scene for good, then shows the home view. */
  leave(): void {
    this.#leaveScene();
    this.home();
  }

  /** Shows the home view, connecting again if the lobby is gone. */
  home(): void {
    if (this.lobby) this.#begin({ at: "home" }, async () => {});
    else this.start();
  }

  /** Signs in to an account with a name, which is made if `create` says so. Throws as the client. */
  async signIn(name: string, password: string, create: boolean): Promise<void> {
    const credential = { password: { name, password, create } };
    const { signal } = this.#task;
    const lobby = await this.#connectLobby(credential, identity.becomeAccount, signal);
    const guest = this.#lobby;
    this.#adopt(lobby);
    guest?.close();
    this.home();
  }

  /** Makes this tab's guest an account with a name. Throws as the client. */
  async keepGuest(name: string, password: string): Promise<void> {
    const lobby = this.#theLobby();
    await lobby.account.link({ password: { name, password } });
    identity.becomeAccount(lobby.tokens);
    identity.forgetGuest();
    this.#changed();
  }

  /** Ends the session, or all sessions of the account; this tab is a guest then. Throws as the client. */
  async signOut(everywhere: boolean): Promise<void> {
    const lobby = this.#theLobby();
    this.#signingOut = lobby;
    try {
      if (everywhere) await lobby.account.signOutEverywhere();
      else await lobby.signOut();
    } catch (error) {
      this.#signingOut = undefined;
      if (lobby.gone) this.#gone(lobby, lobby.gone);
      throw error;
    }
    // Whatever lobby there is by now is of the session that has ended.
    const current = this.#lobby;
    this.#lobby = undefined;
    for (const each of new Set([lobby, current])) each?.close();
    this.#signingOut = undefined;
    identity.forgetSession();
    this.start();
  }

  #leaveScene(): void {
    const view = this.#view;
    if (view.at !== "playing" || view.scene.end) return;
    // Whatever comes of it, the player is gone; the seat's grace period does the rest.
    const { scene } = view;
    this.#left = scene.leave().then(
      () => this.lobby && heardOfEnd(this.lobby, scene.sceneId),
      () => scene.close(),
    );
  }

  #begin(view: View, task: (signal: AbortSignal) => Promise<void>): void {
    this.#task.abort();
    this.#task = new AbortController();
    const { signal } = this.#task;
    this.#show(view);
    task(signal).catch((error) => {
      if (signal.aborted) return;
      if (error instanceof Cancelled) this.#show({ at: "home" });
      else this.#fail(troubleOf(error));
    });
  }

  #show(view: View): void {
    this.#view = view;
    this.#changed();
  }

  #fail(trouble: Trouble): void {
    this.#show({ at: "trouble", trouble });
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }

  #theLobby(): Lobby {
    const { lobby } = this;
    if (!lobby) throw new Error(NO_CONNECTION);
    return lobby;
  }

  /**
   * The lobby, signed in: the account, or the guest under the name that was chosen. In a party one keeps
   * the name that one has there, since signing out is leaving it.
   */
  async #connect(signal: AbortSignal): Promise<Lobby> {
    const name = identity.chosenName();
    const current = this.lobby;
    const mayRename = current && !identity.hasAccount() && !current.party.current;
    const renamed = mayRename && name && current.user.name !== name;
    if (current && !renamed) return current;
    this.#lobby = undefined;
    // A guest gets another name by another sign-in; the session under the old one would only lie about.
    await current?.signOut().catch(() => current.close());
    signal.throwIfAborted();
    const lobby = await this.#signIn(signal, current !== undefined);
    if (signal.aborted) lobby.close();
    signal.throwIfAborted();
    this.#adopt(lobby);
    return lobby;
  }

  /**
   * Signs in: by the session if there is one, else as a guest. A guest's sign-in also sets the name,
   * so a `renamed` player signs in as one.
   */
  async #signIn(signal: AbortSignal, renamed: boolean): Promise<Lobby> {
    const session = renamed ? undefined : identity.sessionCredential();
    if (session) {
      try {
        return await this.#connectLobby(session, identity.keepTokens, signal);
      } catch (error) {
        if (!isSessionOver(error)) throw error;
        const wasAccount = identity.hasAccount();
        identity.forgetSession();
        // A guest is known by the device. Whoever had an account shall know why it is not played with.
        if (wasAccount) throw new Closed("server", error.message, error.code);
      }
    }
    return this.#connectLobby(identity.guestCredential(), identity.keepTokens, signal);
  }

  #adopt(lobby: Lobby): void {
    this.#lobby = lobby;
    const changed = () => this.#changed();
    this.#around = new Around(lobby);
    this.#around.rating.subscribe(changed);
    this.#around.party.subscribe(changed);
    lobby.on("matchState", (state) => this.#followParty(lobby, state));
    lobby.on("match", (match) => this.#followMatch(lobby, match));
    for (const event of ["service", "dropped", "resumed"] as const) lobby.on(event, changed);
    lobby.on("gone", (closed) => this.#gone(lobby, closed));
  }

  #gone(lobby: Lobby, closed: Closed): void {
    if (this.#lobby !== lobby || this.#signingOut === lobby) return;
    const { over, trouble } = lobbyGone(closed);
    if (over) identity.forgetSession();
    if (this.#view.at === "home") this.#fail(trouble);
    else this.#changed();
  }

  /** The leader of the party has begun a search for all of it, or it has ended otherwise than by a match. */
  #followParty(lobby: Lobby, state: MatchState): void {
    if (this.#lobby !== lobby || !this.#around || !lobby.party.current) return;
    const { state: stage, domain, refused } = state;
    const view = this.#view;
    const idle = view.at === "home" || view.at === "trouble" || view.at === "watching";
    const free = idle || (view.at === "playing" && view.scene.end);
    if (stage === "IDLE") {
      if (refused) this.#around.party.news.set(problemOf(refused));
    } else if (free && isDomain(domain)) {
      this.#begin(waiting(domain, state), (signal) => this.#search(domain, lobby, signal));
    }
  }

  async #search(domain: Domain, lobby: Lobby, signal: AbortSignal): Promise<void> {
    const said = this.#around?.likes.said;
    if (said) await said;
    signal.throwIfAborted();
    const view = this.#view.at === "waiting" ? this.#view : waiting(domain, lobby.matchState);
    this.#show({ ...view, stage: "searching" });
    this.#around?.party.news.set("");
    const match = await this.#find(domain, lobby).catch((error: unknown) => {
      if (!(error instanceof Refused) || !lobby.party.current) throw error;
      // What keeps a party from playing is told where it can be mended.
      this.#around?.party.news.set(problemOf(error));
      throw new Cancelled();
    });
    signal.throwIfAborted();
    this.#show({ at: "connecting", text: "Entering the game" });
    await this.#enter(match, lobby, signal);
  }

  async #find(domain: Domain, lobby: Lobby): Promise<Match> {
    const onState = (state: MatchState) => {
      if (this.#view.at === "waiting") this.#show({ ...this.#view, state });
    };
    try {
      return await lobby.findMatch(domain, { onState });
    } catch (error) {
      if (!(error instanceof Refused && error.code === "BUSY")) throw error;
      // If a seat is held that this page did not know of, that game goes first.
      return await lobby.rejoin().catch(() => {
        throw error;
      });
    }
  }

  async #enter(match: Match, lobby: Lobby, signal: AbortSignal): Promise<void> {
    const { domain } = match;
    if (!isDomain(domain)) throw new Error(`These pages do not know the game "${domain}".`);
    const scene = await lobby.join(match);
    if (signal.aborted) scene.close();
    signal.throwIfAborted();
    const shown = () => this.#view.at === "playing" && this.#view.scene === scene;
    this.#around?.rating.set(undefined);
    this.#show({ at: "playing", domain, scene });
    scene.on("ended", (end) => {
      const trouble = sceneEnded(end);
      if (!shown()) return;
      if (end.reason === "NEXT_MATCH") this.#followSearch(domain, lobby);
      else if (trouble) this.#fail(trouble);
      else this.#changed();
    });
    const changed = () => this.#changed();
    scene.on("dropped", changed);
    scene.on("resumed", changed);
    scene.on("gone", (closed: Closed) => {
      if (!shown() || scene.end) return;
      if (closed.code === "RESTARTING") this.#followRestart(lobby);
      else this.#fail(sceneGone(closed));
    });
  }

  /** The game has sent the player on to the next match: the lobby searches already, and that is taken up. */
  #followSearch(domain: Domain, lobby: Lobby): void {
    this.#begin({ ...waiting(domain), stage: "searching" }, async (signal) => {
      const state = await heardOfSearch(lobby);
      signal.throwIfAborted();
      if (state?.state === "IDLE") throw state.refused ?? new Cancelled();
      await this.#search(domain, lobby, signal);
    });
  }

  /** A game of the player's has begun anew while its page was lost; who does something else goes on with that. */
  #followMatch(lobby: Lobby, match: Match): void {
    if (this.#lobby !== lobby || this.#view.at !== "trouble") return;
    this.#begin({ at: "connecting", text: "Entering the game" }, (signal) =>
      this.#enter(match, lobby, signal),
    );
  }

  /** The game has failed and begins anew, or ends. */
  #followRestart(lobby: Lobby): void {
    this.#begin({ at: "connecting", text: "The game failed and starts again" }, async (signal) => {
      const next = await nextLife(lobby, signal);
      signal.throwIfAborted();
      if (!("reason" in next)) return this.#enter(next, lobby, signal);
      const trouble = sceneEnded(next);
      this.#show(trouble ? { at: "trouble", trouble } : { at: "home" });
    });
  }
}

/** Until the lobby, too, has heard that a scene is left: it refuses a search before that. */
function heardOfEnd(lobby: Lobby, sceneId: string): Promise<void> {
  if (!lobby.heldSceneId || lobby.heldSceneId !== sceneId) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      for (const off of offs) off();
      clearTimeout(timer);
      resolve();
    };
    const offs = [lobby.on("sceneEnded", done), lobby.on("gone", done)];
    const timer = setTimeout(done, HEARD_MS_MAX);
  });
}

/** How the search stands that a game has begun, once the lobby tells; a search of the own before that is refused. */
function heardOfSearch(lobby: Lobby): Promise<MatchState | undefined> {
  const known = lobby.matchState;
  if (known && known.state !== "IDLE") return Promise.resolve(known);
  return new Promise((resolve) => {
    const done = (state?: MatchState) => {
      for (const off of offs) off();
      clearTimeout(timer);
      resolve(state);
    };
    const offs = [lobby.on("matchState", done), lobby.on("gone", () => done())];
    const timer = setTimeout(done, HEARD_MS_MAX);
  });
}

/** The way into the game that begins anew, or that it has ended. */
function nextLife(lobby: Lobby, signal: AbortSignal): Promise<Match | SceneEnd> {
  return new Promise((resolve, reject) => {
    const offs = [
      lobby.on("match", (match) => done(() => resolve(match))),
      lobby.on("sceneEnded", (end) => done(() => resolve(end))),
      lobby.on("gone", (closed) => done(() => reject(closed))),
    ];
    const done = (tell: () => void) => {
      for (const off of offs) off();
      signal.removeEventListener("abort", aborted);
      tell();
    };
    const aborted = () => done(() => reject(signal.reason));
    signal.addEventListener("abort", aborted);
  });
}

/** The view of a search that begins, or that goes on in this state. */
function waiting(domain: Domain, state?: MatchState): Waiting {
  const sinceMs = performance.now() - (state?.waitedMs ?? 0);
  return { at: "waiting", domain, sinceMs, stage: "connecting", state };
}

function connectLobby(...[credential, onTokens, signal]: Parameters<Connect>): Promise<Lobby> {
  return Lobby.connect("/v1/lobby", credential, { signal, onTokens, device: deviceName() });
}

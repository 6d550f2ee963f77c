// What the pages show, and how one view leads to the next.
//
// Invariant: one task at a time leads somewhere. Starting another aborts it, and an aborted task
// changes nothing any more. Lost connections are the client's affair: it comes back by itself, and
// says `gone` when it does not.
import {
  Cancelled,
  Lobby,
  Refused,
  type Closed,
  type Credential,
  type Dropped,
  type Match,
  type MatchState,
  type Scene,
  type Tokens,
} from "@scenehost/client";
import { isDomain, type Domain } from "./domains.js";
import * as identity from "./identity.js";
import { deviceName } from "./device.js";
import { lobbyGone, sceneEnded, sceneGone, troubleOf, type Trouble } from "./trouble.js";

export type View =
  | { at: "connecting"; text: string }
  | { at: "home" }
  | { at: "waiting"; domain: Domain; sinceMs: number; state: MatchState | undefined }
  | { at: "playing"; domain: Domain; scene: Scene }
  | { at: "trouble"; trouble: Trouble };

export class App {
  #view: View = { at: "connecting", text: "Connecting" };
  #lobby: Lobby | undefined;
  #task = new AbortController();
  /** The last leaving of a scene; a search before its end would lead back to the old seat. */
  #left: Promise<unknown> = Promise.resolve();
  #listeners = new Set<() => void>();

  get view(): View {
    return this.#view;
  }

  /** The lobby, until it is gone; it may be on its way back. */
  get lobby(): Lobby | undefined {
    return this.#lobby?.gone ? undefined : this.#lobby;
  }

  /** What keeps the player from going on: the lost connection of what is shown, if it is lost. */
  get dropped(): Dropped | undefined {
    const view = this.#view;
    if (view.at === "trouble") return undefined;
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
   * loaded in this one's place finds it and searches again.
   */
  hide(): void {
    if (this.#view.at !== "waiting") return;
    identity.noteSearch(this.#view.domain);
    this.#task.abort();
    this.#lobby?.close();
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

  /** Takes the search back. A match that is already made is played all the same. */
  cancel(): void {
    const lobby = this.lobby;
    if (lobby && this.#view.at === "waiting" && this.#view.state) {
      lobby.cancelMatch().catch(() => {});
    } else {
      this.start();
    }
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
    const lobby = await connect(credential, identity.becomeAccount, this.#task.signal);
    const guest = this.#lobby;
    this.#adopt(lobby);
    guest?.close();
    this.home();
  }

  /** Makes this tab's guest an account with a name. Throws as the client. */
  async keepGuest(name: string, password: string): Promise<void> {
    const { lobby } = this;
    if (!lobby) throw new Error("There is no connection. Try again in a moment.");
    await lobby.account.link({ password: { name, password } });
    identity.becomeAccount(lobby.tokens);
    identity.forgetGuest();
    this.#changed();
  }

  /** Ends the session, or all sessions of the account; this tab is a guest then. Throws as the client. */
  async signOut(everywhere: boolean): Promise<void> {
    const { lobby } = this;
    // Its end is wanted and no trouble.
    this.#lobby = undefined;
    try {
      if (everywhere) await lobby?.account.signOutEverywhere();
      else await lobby?.signOut();
    } catch (error) {
      this.#lobby = lobby;
      throw error;
    }
    lobby?.close();
    identity.forgetSession();
    this.start();
  }

  #leaveScene(): void {
    const view = this.#view;
    if (view.at !== "playing" || view.scene.end) return;
    // Whatever comes of it, the player is gone; the seat's grace period does the rest.
    this.#left = view.scene.leave().catch(() => view.scene.close());
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

  /** The lobby, signed in: the account, or the guest under the name that was chosen. */
  async #connect(signal: AbortSignal): Promise<Lobby> {
    const name = identity.chosenName();
    const current = this.lobby;
    const renamed = current && !identity.hasAccount() && name && current.user.name !== name;
    if (current && !renamed) return current;
    this.#lobby = undefined;
    // A guest gets another name by another sign-in; the session under the old one would only lie about.
    await current?.signOut().catch(() => current.close());
    signal.throwIfAborted();
    const lobby = await signIn(signal, current !== undefined);
    if (signal.aborted) lobby.close();
    signal.throwIfAborted();
    this.#adopt(lobby);
    return lobby;
  }

  #adopt(lobby: Lobby): void {
    this.#lobby = lobby;
    const changed = () => this.#changed();
    for (const event of ["service", "dropped", "resumed"] as const) lobby.on(event, changed);
    lobby.on("gone", (closed) => {
      if (this.#lobby !== lobby) return;
      const { over, trouble } = lobbyGone(closed);
      if (over) identity.forgetSession();
      if (this.#view.at === "home") this.#fail(trouble);
      else this.#changed();
    });
  }

  async #search(domain: Domain, lobby: Lobby, signal: AbortSignal): Promise<void> {
    if (this.#view.at !== "waiting") this.#show(waiting(domain, lobby.matchState));
    const match = await this.#find(domain, lobby);
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
      // A seat is held that this page did not know of: that game goes first.
      if (error instanceof Refused && error.code === "BUSY") return await lobby.rejoin();
      throw error;
    }
  }

  async #enter(match: Match, lobby: Lobby, signal: AbortSignal): Promise<void> {
    const { domain } = match;
    if (!isDomain(domain)) throw new Error(`These pages do not know the game "${domain}".`);
    const scene = await lobby.join(match);
    if (signal.aborted) scene.close();
    signal.throwIfAborted();
    const shown = () => this.#view.at === "playing" && this.#view.scene === scene;
    this.#show({ at: "playing", domain, scene });
    scene.on("ended", (end) => {
      const trouble = sceneEnded(end);
      if (!shown()) return;
      if (trouble) this.#fail(trouble);
      else this.#changed();
    });
    const changed = () => this.#changed();
    scene.on("dropped", changed);
    scene.on("resumed", changed);
    scene.on("gone", (closed: Closed) => {
      if (shown() && !scene.end) this.#fail(sceneGone(closed));
    });
  }
}

/** The view of a search that begins, or that goes on in this state. */
function waiting(domain: Domain, state?: MatchState): View {
  const sinceMs = performance.now() - (state?.waitedMs ?? 0);
  return { at: "waiting", domain, sinceMs, state };
}

/**
 * Signs in: by the session if there is one, else as a guest. A guest's sign-in also sets the name,
 * so a `renamed` player signs in as one.
 */
async function signIn(signal: AbortSignal, renamed: boolean): Promise<Lobby> {
  const session = renamed ? undefined : identity.sessionCredential();
  if (session) {
    try {
      return await connect(session, identity.keepTokens, signal);
    } catch (error) {
      if (!(error instanceof Refused) || error.retryAfterMs > 0) throw error;
      identity.forgetSession();
    }
  }
  return connect(identity.guestCredential(), identity.keepTokens, signal);
}

function connect(
  credential: Credential,
  onTokens: (tokens: Tokens) => void,
  signal: AbortSignal,
): Promise<Lobby> {
  return Lobby.connect("/v1/lobby", credential, { signal, onTokens, device: deviceName() });
}

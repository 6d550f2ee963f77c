// What the pages show, and how one view leads to the next.
//
// Invariant: one task at a time leads somewhere. Starting another aborts it, and an aborted task
// changes nothing any more.
import {
  Cancelled,
  Lobby,
  Refused,
  type Match,
  type MatchState,
  type Scene,
} from "@scenehost/client";
import { isDomain, type Domain } from "./domains.js";
import * as identity from "./identity.js";
import { sceneEnded, sceneLost, troubleOf, type Trouble } from "./trouble.js";

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

  /** The lobby, while it is connected. */
  get lobby(): Lobby | undefined {
    return this.#lobby?.closed ? undefined : this.#lobby;
  }

  /** Calls `listener` after every change; the returned function ends that. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Connects, and goes back to the seat that is still held or to the home view. */
  start(): void {
    this.#begin({ at: "connecting", text: "Connecting" }, async (signal) => {
      const lobby = await this.#connect(signal);
      if (!lobby.heldSceneId) return this.#show({ at: "home" });
      this.#show({ at: "connecting", text: "Returning to your seat" });
      await this.#enter(await lobby.rejoin(), lobby, signal);
    });
  }

  /** Goes back to the seat after the connection to its scene was lost. */
  returnToSeat(): void {
    this.#begin({ at: "connecting", text: "Returning to your seat" }, async (signal) => {
      const lobby = await this.#connect(signal);
      await this.#enter(await lobby.rejoin(), lobby, signal);
    });
  }

  /** Waits for a match, under `name` if one is given, and enters its scene; an old seat is left. */
  play(domain: Domain, name = identity.chosenName()): void {
    identity.chooseName(name.trim());
    this.#leaveScene();
    const waiting = {
      at: "waiting",
      domain,
      sinceMs: performance.now(),
      state: undefined,
    } as const;
    this.#begin(waiting, async (signal) => {
      const lobby = await this.#connect(signal);
      await this.#left;
      const match = await this.#find(domain, lobby);
      signal.throwIfAborted();
      this.#show({ at: "connecting", text: "Entering the game" });
      await this.#enter(match, lobby, signal);
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

  /** The lobby, connected and signed in under the name that was chosen. */
  async #connect(signal: AbortSignal): Promise<Lobby> {
    const name = identity.chosenName();
    const current = this.lobby;
    if (current && (!name || current.user.name === name)) return current;
    this.#lobby = undefined;
    current?.close();
    const lobby = await signIn(signal, current !== undefined);
    if (signal.aborted) lobby.close();
    signal.throwIfAborted();
    this.#lobby = lobby;
    identity.keepSession(lobby.sessionToken);
    lobby.on("service", () => this.#changed());
    lobby.on("closed", (closed) => {
      if (this.#lobby !== lobby) return;
      if (this.#view.at === "home") this.#fail(troubleOf(closed));
      else this.#changed();
    });
    return lobby;
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
    scene.on("closed", (closed) => {
      if (shown() && !scene.end) this.#fail(sceneLost(closed));
    });
  }
}

/**
 * Signs in: by the session if there is one, else as a guest. A guest's sign-in also sets the name,
 * so a `renamed` player signs in as one.
 */
async function signIn(signal: AbortSignal, renamed: boolean): Promise<Lobby> {
  const lobby = await connect(signal, renamed);
  // A page that is loaded again starts at home; what the one before it was looking for ends.
  if (lobby.matchState && lobby.matchState.state !== "IDLE") {
    await lobby.cancelMatch().catch((error) => {
      if (!(error instanceof Refused)) throw error;
    });
  }
  return lobby;
}

async function connect(signal: AbortSignal, renamed: boolean): Promise<Lobby> {
  const session = renamed ? undefined : identity.sessionCredential();
  if (session) {
    try {
      return await Lobby.connect("/v1/lobby", session, { signal });
    } catch (error) {
      if (!(error instanceof Refused) || error.retryAfterMs > 0) throw error;
      identity.forgetSession();
    }
  }
  return Lobby.connect("/v1/lobby", identity.guestCredential(), { signal });
}

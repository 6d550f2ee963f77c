// What the tests of the app share: lobbies that do as each test says, and an app at them.
import assert from "node:assert/strict";
import { beforeEach } from "node:test";
import {
  Closed,
  Refused,
  type Credential,
  type Dropped,
  type Lobby,
  type Match,
  type MatchState,
  type Party,
  type Scene,
  type SceneEnd,
  type Spectator,
} from "@scenehost/client";
import { App } from "../src/app.js";
import * as identity from "../src/identity.js";

export const tokens = {
  sessionToken: "session",
  refreshToken: "refresh",
  sessionExpires: new Date(0),
};
export const lost = new Closed("lost", "the connection is lost");

/** An answer that the test gives later. */
export class Answer<T> {
  resolve!: (value: T) => void;
  reject!: (error: Error) => void;
  readonly promise = new Promise<T>((resolve, reject) => Object.assign(this, { resolve, reject }));
}

/** What the app uses of a lobby. */
export class FakeLobby {
  readonly user = { id: "aa", name: "Ada" };
  readonly tokens = tokens;
  readonly servicesDown = new Set();
  heldSceneId: string | undefined;
  /** Going back to a seat is refused. */
  seatless = false;
  /** How the scene has ended. */
  sceneEnd: SceneEnd | undefined;
  /** The scene ends while its page is shown. */
  endScene: (end: SceneEnd) => void = () => {};
  /** The scene's connection is gone for good. */
  sceneGone: (closed: Closed) => void = () => {};
  matchState: MatchState | undefined;
  dropped: Dropped | undefined;
  gone: Closed | undefined;
  /** What was asked of it, in order. */
  readonly asked: string[] = [];
  search = new Answer<Match>();
  /** Of what was asked last, other than a match. */
  answer = new Answer<void>();
  /** Of the scene. */
  readonly left = new Answer<void>();
  readonly account = { signOutEverywhere: () => this.#ask("signOutEverywhere") };
  readonly party = {
    current: undefined as Party | undefined,
    invites: [],
    create: () => this.#ask("create"),
    join: (code: string) => this.#ask(`join ${code}`),
    invite: (userId: string) => this.#ask(`invite ${userId}`),
  };
  readonly #listeners: [string, (value: never) => void][] = [];

  findMatch(domain: string): Promise<Match> {
    this.asked.push(`findMatch ${domain}`);
    this.search = new Answer();
    return this.search.promise;
  }

  rejoin(): Promise<Match> {
    this.asked.push("rejoin");
    return this.seatless
      ? Promise.reject(new Refused("NO_SEAT", "you have no seat", 0))
      : Promise.resolve({ domain: "gomoku" } as Match);
  }

  /** What is asked about games that go on is refused. */
  noRoom: Refused | undefined;
  /** What the spectator tells, and whether it was closed. */
  readonly spectator = {
    closed: false,
    end: undefined as SceneEnd | undefined,
    listeners: new Map<string, (value: never) => void>(),
  };

  joinScene(sceneId: string): Promise<Match> {
    this.asked.push(`joinScene ${sceneId}`);
    return this.noRoom
      ? Promise.reject(this.noRoom)
      : Promise.resolve({ domain: "arena", sceneId } as Match);
  }

  watchScene(sceneId: string): Promise<Spectator> {
    this.asked.push(`watchScene ${sceneId}`);
    if (this.noRoom) return Promise.reject(this.noRoom);
    const { spectator } = this;
    const on = (event: string, listener: (value: never) => void) =>
      void spectator.listeners.set(event, listener);
    const close = () => void (spectator.closed = true);
    const end = { get: () => spectator.end };
    return Promise.resolve(
      Object.defineProperty({ sceneId, on, close }, "end", end) as unknown as Spectator,
    );
  }

  join(): Promise<Scene> {
    const leave = () => {
      this.asked.push("leave");
      return this.left.promise;
    };
    const on = (event: string, listener: (value: never) => void) => {
      if (event === "ended") this.endScene = listener as (end: SceneEnd) => void;
      if (event === "gone") this.sceneGone = listener as (closed: Closed) => void;
    };
    const scene = { sceneId: "s1", on, leave, end: this.sceneEnd };
    return Promise.resolve(scene as unknown as Scene);
  }

  domains(): Promise<[]> {
    return Promise.resolve([]);
  }

  acceptMatch(accept: boolean): Promise<void> {
    return this.#ask(`acceptMatch ${accept}`);
  }

  cancelMatch(): Promise<void> {
    return this.#ask("cancelMatch");
  }

  signOut(): Promise<void> {
    return this.#ask("signOut");
  }

  on(event: string, listener: (value: never) => void): () => void {
    const entry: [string, (value: never) => void] = [event, listener];
    this.#listeners.push(entry);
    return () => this.#listeners.splice(this.#listeners.indexOf(entry), 1);
  }

  tell(event: string, value: unknown): void {
    for (const [name, listener] of [...this.#listeners]) {
      if (name === event) listener(value as never);
    }
  }

  /** The player is in this party now. */
  enter(party: Party): void {
    this.party.current = party;
    this.tell("party", { kind: "changed", party, change: "UNSPECIFIED", userId: "" });
  }

  /** Tells how the search stands. */
  stand(state: MatchState["state"], refused?: Refused): void {
    const found = { state, domain: "gomoku", refused, waitedMs: 0 } as unknown as MatchState;
    if (state === "IDLE" && refused) this.search.reject(refused);
    this.tell("matchState", found);
  }

  /** A lobby whose connection stands is gone when the server has heard of it, and not before. */
  close(): void {
    this.asked.push("close");
  }

  drop(): void {
    this.dropped = { reason: lost, retryInMs: 0, attempts: 0 };
  }

  end(closed: Closed): void {
    this.gone = closed;
    this.tell("gone", closed);
  }

  #ask(what: string): Promise<void> {
    this.asked.push(what);
    this.answer = new Answer();
    return this.answer.promise;
  }
}

/** Whoever signs in meets the next of these. */
export const doors: (FakeLobby | Error | Promise<FakeLobby>)[] = [];
/** With what was signed in, in order. */
export const signedIn: Credential[] = [];
beforeEach(() => {
  doors.length = 0;
  signedIn.length = 0;
  identity.forgetSession();
  identity.chooseName("");
});

export function newApp(): App {
  return new App(async (credential) => {
    signedIn.push(credential);
    const door = await doors.shift();
    if (!door) return assert.fail("nobody signs in now");
    if (door instanceof Error) throw door;
    return door as unknown as Lobby;
  });
}

/** Until everything that can go on has done so. */
export const settled = () => new Promise((resolve) => setImmediate(resolve));

export async function atHome(lobby = new FakeLobby()): Promise<[App, FakeLobby]> {
  doors.push(lobby);
  const app = newApp();
  app.start();
  await settled();
  assert.equal(app.view.at, "home");
  return [app, lobby];
}

export const stage = ({ view }: App) => (view.at === "waiting" ? view.stage : view.at);
export const troubleTitle = ({ view }: App) =>
  view.at === "trouble" ? view.trouble.title : view.at;

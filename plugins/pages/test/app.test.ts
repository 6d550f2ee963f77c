// Behaviour of how one view leads to the next, at lobbies that do as each test says.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import {
  Cancelled,
  Closed,
  Refused,
  TimedOut,
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

const tokens = { sessionToken: "session", refreshToken: "refresh", sessionExpires: new Date(0) };
const lost = new Closed("lost", "the connection is lost");

/** An answer that the test gives later. */
class Answer<T> {
  resolve!: (value: T) => void;
  reject!: (error: Error) => void;
  readonly promise = new Promise<T>((resolve, reject) => Object.assign(this, { resolve, reject }));
}

/** What the app uses of a lobby. */
class FakeLobby {
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
let doors: (FakeLobby | Error | Promise<FakeLobby>)[];
let signedIn: Credential[];
beforeEach(() => {
  doors = [];
  signedIn = [];
  identity.forgetSession();
  identity.chooseName("");
});

function newApp(): App {
  return new App(async (credential) => {
    signedIn.push(credential);
    const door = await doors.shift();
    if (!door) return assert.fail("nobody signs in now");
    if (door instanceof Error) throw door;
    return door as unknown as Lobby;
  });
}

/** Until everything that can go on has done so. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

async function atHome(lobby = new FakeLobby()): Promise<[App, FakeLobby]> {
  doors.push(lobby);
  const app = newApp();
  app.start();
  await settled();
  assert.equal(app.view.at, "home");
  return [app, lobby];
}

const stage = ({ view }: App) => (view.at === "waiting" ? view.stage : view.at);
const troubleTitle = ({ view }: App) => (view.at === "trouble" ? view.trouble.title : view.at);

test("a search that nothing has been heard of is taken back, and the player waits for its end", async () => {
  const [app, lobby] = await atHome();
  lobby.drop();
  app.play("gomoku");
  await settled();
  assert.equal(stage(app), "searching");
  app.cancel();
  assert.deepEqual(lobby.asked, ["findMatch gomoku", "cancelMatch"]);
  await settled();
  assert.equal(stage(app), "cancelling");
  app.cancel();
  assert.equal(lobby.asked.length, 2);
  lobby.search.reject(new Cancelled());
  await settled();
  assert.equal(app.view.at, "home");
});

test("a search that could not be taken back is still shown", async () => {
  const [app, lobby] = await atHome();
  app.play("gomoku");
  await settled();
  app.cancel();
  lobby.answer.reject(new TimedOut("reqCancelMatch", 10_000));
  await settled();
  assert.equal(stage(app), "searching");
  app.cancel();
  assert.equal(stage(app), "cancelling");
});

test("that a search could not be taken back says nothing of the one after it", async () => {
  const [app, lobby] = await atHome();
  app.play("gomoku");
  await settled();
  app.cancel();
  const first = lobby.answer;
  lobby.search.reject(new Cancelled());
  await settled();
  app.play("arena");
  await settled();
  app.cancel();
  first.reject(new TimedOut("reqCancelMatch", 10_000));
  await settled();
  assert.equal(stage(app), "cancelling");
});

test("whoever cancels before the lobby is there searches for nothing", async () => {
  const first = new Answer<FakeLobby>();
  const [app, lobby] = await atHome();
  lobby.end(lost);
  doors.push(first.promise, new FakeLobby());
  app.play("gomoku");
  await settled();
  assert.equal(stage(app), "connecting");
  app.cancel();
  await settled();
  const late = new FakeLobby();
  first.resolve(late);
  await settled();
  assert.equal(app.view.at, "home");
  assert.deepEqual(late.asked, ["close"]);
});

test("whoever cancels before the old seat is left searches for nothing", async () => {
  const lobby = new FakeLobby();
  lobby.heldSceneId = "s1";
  doors.push(lobby);
  const app = newApp();
  app.start();
  await settled();
  assert.equal(stage(app), "playing");
  app.play("arena");
  await settled();
  app.cancel();
  assert.equal(stage(app), "home");
  lobby.left.resolve();
  await settled();
  assert.equal(stage(app), "home");
  assert.deepEqual(lobby.asked, ["rejoin", "leave"]);
});

test("a page that the browser kept while it searched connects anew, and searches on", async () => {
  const [app, lobby] = await atHome();
  app.play("arena");
  await settled();
  app.hide();
  assert.equal(lobby.asked.at(-1), "close");
  const next = new FakeLobby();
  doors.push(next);
  app.start();
  await settled();
  assert.deepEqual([stage(app), next.asked], ["searching", ["findMatch arena"]]);
});

test("a page that is loaded again while it takes its search back does not search on", async () => {
  const [app] = await atHome();
  app.play("arena");
  await settled();
  app.cancel();
  app.hide();
  doors.push(new FakeLobby());
  app.start();
  await settled();
  assert.equal(app.view.at, "home");
});

for (const code of ["BAD_TOKEN", "SESSION_ENDED", "BANNED"] as const) {
  test(`an account whose session is over with ${code} is told so before the tab is a guest`, async () => {
    identity.becomeAccount(tokens);
    doors.push(new Refused(code, "the server's words", 0), new FakeLobby());
    const app = newApp();
    app.start();
    await settled();
    const title = code === "BANNED" ? "This account is closed" : "You are signed out";
    assert.equal(troubleTitle(app), title);
    assert.equal(identity.hasAccount(), false);
    app.start();
    await settled();
    assert.equal(app.view.at, "home");
    assert.ok("guest" in signedIn.at(-1)!);
  });
}

test("a guest whose session is over is the same guest by the device, without a word", async () => {
  identity.keepTokens(tokens);
  doors.push(new Refused("BAD_TOKEN", "", 0));
  await atHome();
  assert.deepEqual(
    signedIn.map((credential) => Object.keys(credential)[0]),
    ["sessionToken", "guest"],
  );
});

for (const [what, error] of [
  ["is connected elsewhere", new Refused("BUSY", "elsewhere", 0)],
  ["meets a fault of the server", new Refused("INTERNAL", "", 0)],
  ["finds no server", lost],
] as const) {
  test(`an account that ${what} stays the tab's`, async () => {
    identity.becomeAccount(tokens);
    doors.push(error);
    const app = newApp();
    app.start();
    await settled();
    assert.equal(app.view.at, "trouble");
    assert.ok(identity.hasAccount());
    assert.ok(identity.sessionCredential());
  });
}

test("signing out ends the session and leads to the guest, without a word of trouble", async () => {
  identity.becomeAccount(tokens);
  const [app, lobby] = await atHome();
  const out = app.signOut(false);
  const next = new FakeLobby();
  doors.push(next);
  lobby.end(new Closed("server", "the session was ended", "SESSION_ENDED"));
  assert.equal(app.view.at, "home");
  lobby.answer.resolve();
  await out;
  await settled();
  assert.deepEqual([app.view.at, app.lobby], ["home", next as unknown as Lobby]);
  assert.ok("guest" in signedIn.at(-1)!);
});

for (const everywhere of [false, true]) {
  test(`signing out during a drop shows the drop, and fails as one (everywhere: ${everywhere})`, async () => {
    identity.becomeAccount(tokens);
    const [app, lobby] = await atHome();
    lobby.drop();
    const out = app.signOut(everywhere);
    assert.equal(app.dropped?.reason, lost);
    lobby.answer.reject(lost);
    await assert.rejects(out, lost);
    assert.equal(app.lobby, lobby as unknown as Lobby);
    assert.ok(identity.hasAccount());
    lobby.end(lost);
    assert.equal(troubleTitle(app), "The server cannot be reached");
  });
}

test("a failed sign-out does not bring back a lobby that another one has replaced", async () => {
  identity.becomeAccount(tokens);
  const [app, lobby] = await atHome();
  const out = app.signOut(true);
  lobby.end(lost);
  const next = new FakeLobby();
  doors.push(next);
  app.play("gomoku");
  await settled();
  lobby.answer.reject(lost);
  await assert.rejects(out, lost);
  assert.equal(app.lobby, next as unknown as Lobby);
  assert.equal(stage(app), "searching");
});

const member = (userId: string, name: string) => ({ userId, name }) as Party["members"][number];
const party = {
  partyId: "p1",
  leaderId: "bb",
  members: [member("bb", "Bob"), member("aa", "Ada")],
  invited: [],
} as unknown as Party;

test("a member goes along with the search that the leader has begun, into the match", async () => {
  const [app, lobby] = await atHome();
  lobby.enter(party);
  lobby.stand("SEARCHING");
  assert.deepEqual([stage(app), lobby.asked], ["searching", ["findMatch gomoku"]]);
  lobby.stand("PLACING");
  assert.equal(lobby.asked.length, 1, "it is one search");
  lobby.search.resolve({ domain: "gomoku" } as Match);
  await settled();
  assert.equal(stage(app), "playing");
});

test("a member goes along from the result of a game, and from no game that goes on", async () => {
  for (const over of [true, false]) {
    const lobby = new FakeLobby();
    lobby.heldSceneId = "s1";
    lobby.sceneEnd = over ? ({} as SceneEnd) : undefined;
    doors.push(lobby);
    const app = newApp();
    app.start();
    await settled();
    lobby.enter(party);
    lobby.stand("SEARCHING");
    assert.equal(stage(app), over ? "searching" : "playing");
  }
});

test("nobody goes along with a search that is no party's", async () => {
  const [app, lobby] = await atHome();
  lobby.stand("SEARCHING");
  assert.deepEqual([stage(app), lobby.asked], ["home", []]);
});

test("who has stopped the party's search is told at the party", async () => {
  const [app, lobby] = await atHome();
  lobby.seatless = true;
  lobby.enter(party);
  lobby.stand("SEARCHING");
  lobby.stand("IDLE", new Refused("BUSY", "Bob has stopped the search", 0));
  await settled();
  assert.equal(app.view.at, "home");
  assert.equal(app.around?.party.news.value, "Bob has stopped the search");
  lobby.stand("SEARCHING");
  assert.equal(app.around?.party.news.value, "", "that is over with the next one");
});

test("why the party cannot search is told at the party, also where nobody of this page has asked", async () => {
  const [app, lobby] = await atHome();
  lobby.seatless = true;
  lobby.enter({ ...party, leaderId: "aa" });
  app.play("gomoku");
  await settled();
  lobby.search.reject(new Refused("INVALID", "your party is too large", 0));
  await settled();
  assert.deepEqual(
    [app.view.at, app.around?.party.news.value],
    ["home", "your party is too large"],
  );
  lobby.stand("IDLE", new Refused("BUSY", "a member of your party is away", 0));
  assert.equal(app.around?.party.news.value, "a member of your party is away");
});

test("who plays alone and holds no seat is told why there is no match", async () => {
  const [app, lobby] = await atHome();
  lobby.seatless = true;
  app.play("gomoku");
  await settled();
  lobby.search.reject(new Refused("BUSY", "you are elsewhere", 0));
  await settled();
  assert.ok(app.view.at === "trouble" && app.view.trouble.text === "you are elsewhere");
});

test("a guest comes into a party under the name that was chosen, and keeps it there", async () => {
  const [app, first] = await atHome();
  const lobby = new FakeLobby();
  doors.push(lobby);
  app.chooseName(" Bo ");
  const entered = app.enterParty((party) => party.join("K7MX2B"));
  first.answer.resolve();
  await settled();
  assert.deepEqual([first.asked, lobby.asked], [["signOut"], ["join K7MX2B"]]);
  const { guest } = signedIn.at(-1) as { guest: { name: string } };
  assert.equal(guest.name, "Bo");
  lobby.enter(party);
  lobby.answer.resolve();
  await entered;
  app.play("gomoku", "Cy");
  await settled();
  assert.deepEqual(lobby.asked.slice(1), ["findMatch gomoku"], "signing out would be leaving");
});

test("the first invitation begins the party", async () => {
  const [app, lobby] = await atHome();
  const invited = app.inviteToParty("cc");
  await settled();
  assert.deepEqual(lobby.asked, ["create"]);
  lobby.enter(party);
  lobby.answer.resolve();
  await settled();
  assert.deepEqual(lobby.asked, ["create", "invite cc"]);
  lobby.answer.resolve();
  await invited;
  void app.inviteToParty("dd");
  await settled();
  assert.deepEqual(lobby.asked.slice(2), ["invite dd"]);
});

test("a page that goes while its party searches takes the search back, and stays in the party", async () => {
  const [app, lobby] = await atHome();
  lobby.enter(party);
  lobby.stand("SEARCHING");
  app.hide();
  assert.deepEqual(lobby.asked, ["findMatch gomoku", "cancelMatch"]);
  const next = new FakeLobby();
  doors.push(next);
  const loaded = newApp();
  loaded.start();
  await settled();
  assert.deepEqual([stage(loaded), next.asked], ["home", []], "the leader searches again");
});

const nextMatch = { sceneId: "s1", reason: "NEXT_MATCH", text: "", results: [] } as SceneEnd;

async function inAGame(): Promise<[App, FakeLobby]> {
  const lobby = new FakeLobby();
  lobby.heldSceneId = "s1";
  doors.push(lobby);
  const app = newApp();
  app.start();
  await settled();
  assert.equal(app.view.at, "playing");
  return [app, lobby];
}

test("whom a game sends on to the next match takes the search up once the lobby has told of it", async () => {
  const [app, lobby] = await inAGame();
  lobby.endScene(nextMatch);
  await settled();
  assert.deepEqual([stage(app), lobby.asked], ["searching", ["rejoin"]]);
  lobby.stand("SEARCHING");
  await settled();
  assert.deepEqual([stage(app), lobby.asked], ["searching", ["rejoin", "findMatch gomoku"]]);
  lobby.search.resolve({ domain: "gomoku" } as Match);
  await settled();
  assert.equal(stage(app), "playing");
});

test("the lobby may tell of the search before the game does", async () => {
  const [app, lobby] = await inAGame();
  lobby.matchState = { state: "SEARCHING", domain: "gomoku", waitedMs: 0 } as MatchState;
  lobby.endScene(nextMatch);
  await settled();
  assert.equal(stage(app), "searching");
});

test("why there is no next match is told", async () => {
  const [app, lobby] = await inAGame();
  lobby.endScene(nextMatch);
  const refused = new Refused("CLOSED", "it opens at 18:00", 0);
  lobby.tell("matchState", { state: "IDLE", domain: "gomoku", refused });
  await settled();
  assert.equal(app.view.at, "trouble");
  assert.deepEqual(lobby.asked, ["rejoin"]);
});

test("who does not want the next match takes its search back, also before anything is told of it", async () => {
  const [app, lobby] = await inAGame();
  lobby.endScene(nextMatch);
  app.cancel();
  assert.deepEqual([stage(app), lobby.asked], ["cancelling", ["rejoin", "cancelMatch"]]);
  lobby.tell("matchState", { state: "IDLE", domain: "gomoku" });
  await settled();
  assert.equal(app.view.at, "home");
});

const restarting = new Closed("server", "the game has failed and starts again", "RESTARTING");

async function inAGameThatFails(): Promise<[App, FakeLobby]> {
  const [app, lobby] = await atHome();
  app.play("gomoku");
  await settled();
  lobby.search.resolve({ domain: "gomoku" } as Match);
  await settled();
  assert.equal(app.view.at, "playing");
  lobby.sceneGone(restarting);
  await settled();
  assert.deepEqual(app.view, { at: "connecting", text: "The game failed and starts again" });
  return [app, lobby];
}

test("a game that fails and begins anew is entered again", async () => {
  const [app, lobby] = await inAGameThatFails();
  lobby.tell("match", { domain: "gomoku" });
  await settled();
  assert.equal(app.view.at, "playing");
  assert.deepEqual(lobby.asked, ["findMatch gomoku"]);
});

test("a game that fails too often is told to have crashed", async () => {
  const [app, lobby] = await inAGameThatFails();
  lobby.tell("sceneEnded", { reason: "CRASHED", text: "it failed", results: [] });
  await settled();
  assert.equal(troubleTitle(app), "The game crashed");
  lobby.tell("match", { domain: "gomoku" });
  await settled();
  assert.equal(app.view.at, "playing", "unless it has begun anew after all");
});

test("who does something else meanwhile is not drawn back", async () => {
  const [app, lobby] = await inAGameThatFails();
  app.home();
  await settled();
  lobby.tell("match", { domain: "gomoku" });
  await settled();
  assert.equal(app.view.at, "home");
});

test("a game that goes on is joined from the list", async () => {
  const [app, lobby] = await atHome();
  app.join("s7");
  await settled();
  assert.deepEqual(lobby.asked, ["joinScene s7"]);
  assert.equal(app.view.at, "playing");
});

test("a game without a free seat says so", async () => {
  const [app, lobby] = await atHome();
  lobby.noRoom = new Refused("SCENE_FULL", "all seats are taken", 0);
  app.join("s7");
  await settled();
  assert.equal(troubleTitle(app), "There is no room");
});

test("a game is watched until the player does something else", async () => {
  const [app, lobby] = await atHome();
  app.watch("arena", "s7");
  await settled();
  assert.equal(app.view.at, "watching");
  assert.equal(lobby.spectator.closed, false);
  app.play("gomoku");
  assert.equal(lobby.spectator.closed, true);
  assert.equal(app.view.at, "waiting");
});

test("who watches a game that is over stays with its result", async () => {
  const [app, lobby] = await atHome();
  app.watch("arena", "s7");
  await settled();
  lobby.spectator.end = { reason: "FINISHED" } as SceneEnd;
  lobby.spectator.listeners.get("gone")!(new Closed("left", "closed by this side") as never);
  assert.equal(app.view.at, "watching");
});

test("a game that cannot be watched on is told with the way back", async () => {
  const [app, lobby] = await atHome();
  app.watch("arena", "s7");
  await settled();
  const failed = new Closed("server", "the game has failed", "RESTARTING");
  lobby.spectator.listeners.get("gone")!(failed as never);
  assert.equal(troubleTitle(app), "The game failed");
});

test("a match that was found is accepted by word of the player", async () => {
  const [app, lobby] = await atHome();
  app.play("gomoku-ranked");
  await settled();
  assert.ok(lobby.asked.includes("findMatch gomoku-ranked"));
  void app.acceptMatch(true);
  assert.equal(lobby.asked.at(-1), "acceptMatch true");
});

test("who declines is told why there is no game", async () => {
  const [app, lobby] = await atHome();
  app.play("gomoku-ranked");
  await settled();
  lobby.search.reject(new Refused("CANCELLED", "you did not accept the match", 0));
  await settled();
  assert.ok(app.view.at === "trouble");
  assert.deepEqual(app.view.trouble, {
    title: "The search is over",
    text: "you did not accept the match",
    action: "lobby",
  });
});

test("a search waits until the lobby, too, has heard that the old seat is left", async () => {
  const [app, lobby] = await atHome();
  app.play("gomoku");
  await settled();
  lobby.search.resolve({ domain: "gomoku" } as Match);
  await settled();
  assert.equal(app.view.at, "playing");
  lobby.heldSceneId = "s1";
  const searches = () => lobby.asked.filter((what) => what === "findMatch gomoku").length;
  app.play("gomoku");
  lobby.left.resolve();
  await settled();
  assert.equal(searches(), 1);
  lobby.heldSceneId = undefined;
  lobby.tell("sceneEnded", {});
  await settled();
  assert.equal(searches(), 2);
});

// Behaviour of what the pages know of parties, and what they tell of them.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Lobby, Party, PartyEvent, PartyInvite } from "@scenehost/client";
import { PartyRoom } from "../src/hub/party-room.js";
import { newsText, waitedFor } from "../src/hub/party-words.js";

const OWN = "aa";
const names: Record<string, string> = { aa: "Ada", bb: "Bob", cc: "Cy" };

function party(leaderId: string, ...ids: string[]): Party {
  const members = ids.map((userId) => ({ userId, name: names[userId], ready: userId === OWN }));
  return { partyId: "p1", leaderId, members, invited: [] } as unknown as Party;
}

function changed(
  change: Extract<PartyEvent, { kind: "changed" }>["change"],
  userId: string,
  now: Party,
): PartyEvent {
  return { kind: "changed", change, userId, party: now };
}

const all = party("aa", "aa", "bb", "cc");

for (const [event, before, text] of [
  [changed("CREATED", "aa", party("aa", "aa")), undefined, ""],
  [changed("JOINED", "aa", all), undefined, ""],
  [changed("JOINED", "cc", all), party("aa", "aa", "bb"), "Cy has come in."],
  [changed("LEFT", "cc", party("aa", "aa", "bb")), all, "Cy has left."],
  [
    changed("LEFT", "cc", party("aa", "aa", "bb")),
    party("cc", "cc", "aa", "bb"),
    "Cy has left. You lead now.",
  ],
  [
    changed("LEFT", "cc", party("bb", "bb", "aa")),
    party("cc", "cc", "bb", "aa"),
    "Cy has left. Bob leads now.",
  ],
  [changed("KICKED", "cc", party("aa", "aa", "bb")), all, "Cy was removed."],
  [changed("LEADER", "bb", party("bb", "aa", "bb")), all, "Bob leads the party now."],
  [changed("LEADER", "aa", all), all, "You lead the party now."],
  [changed("CHECK", "aa", all), all, ""],
  [changed("READY", "bb", all), all, undefined],
  [changed("NOT_READY", "bb", all), all, "Bob is not ready."],
  [changed("NOT_READY", "aa", all), all, ""],
  [changed("CHECK_OVER", "", all), all, "Not everybody was ready in time."],
  [changed("ALL_READY", "", all), all, "Everybody is ready."],
  [changed("UNINVITED", "dd", all), all, "Somebody is not invited any more."],
  [changed("PRESENCE", "", all), all, undefined],
  [changed("UNSPECIFIED", "", all), undefined, undefined],
  [{ kind: "gone", partyId: "p1", change: "KICKED" }, all, "You were removed from the party."],
  [{ kind: "gone", partyId: "p1", change: "LEFT" }, all, ""],
  [{ kind: "uninvited", partyId: "p2" }, all, undefined],
] as const) {
  const what = event.kind === "changed" ? `${event.change} of ${event.userId}` : event.kind;
  test(`told of ${what}: ${text ?? "what was told before"}`, () => {
    assert.equal(newsText(event, before, OWN), text);
  });
}

test("says for whom a party waits", () => {
  assert.equal(waitedFor(all), "Bob and Cy");
});

/** What the room uses of a lobby. */
class FakeLobby {
  readonly user = { id: OWN, name: "Ada" };
  readonly party = {
    current: undefined as Party | undefined,
    all: [] as PartyInvite[],
    get invites() {
      return this.all.filter(({ until }) => until.getTime() > Date.now());
    },
  };
  readonly #listeners: [string, (value: never) => void][] = [];

  on(event: string, listener: (value: never) => void): void {
    this.#listeners.push([event, listener]);
  }

  tell(event: string, value: unknown): void {
    for (const [name, listener] of this.#listeners) if (name === event) listener(value as never);
  }
}

const inMs = (ms: number) => new Date(Date.now() + ms);

test("invitations are shown until their time is over, which nobody tells", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const lobby = new FakeLobby();
  const room = new PartyRoom(lobby as unknown as Lobby);
  lobby.party.all = [{ partyId: "p2", until: inMs(30) } as PartyInvite];
  const invited = [{ userId: "cc", name: "Cy", until: inMs(60), byId: "aa" }];
  lobby.party.current = { ...all, invited };
  lobby.tell("party", { kind: "invited" });
  const shown = () => [room.invites.value.length, room.party.value?.invited.length];
  assert.deepEqual(shown(), [1, 1]);
  t.mock.timers.tick(30);
  assert.deepEqual(shown(), [0, 1]);
  t.mock.timers.tick(30);
  assert.deepEqual(shown(), [0, 0]);
});

test("after a return that is not complete there is no party, until it is told", () => {
  const lobby = new FakeLobby();
  const room = new PartyRoom(lobby as unknown as Lobby);
  lobby.party.current = all;
  lobby.tell("party", changed("JOINED", "bb", all));
  assert.equal(room.news.value, "Bob has come in.");
  lobby.party.current = undefined;
  lobby.tell("resumed", { complete: true });
  assert.equal(room.party.value?.partyId, "p1");
  lobby.tell("resumed", { complete: false });
  assert.equal(room.party.value, undefined);
});

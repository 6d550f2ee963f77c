// Behaviour of the shop's counter: nothing is paid for twice, and what is said about it.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  OutcomeUnknown,
  Refused,
  type LedgerEntry,
  type Lobby,
  type Offer,
} from "@scenehost/client";
import { Counter } from "../src/hub/counter.js";
import { amountsText, changesText, entryText, whyText } from "../src/hub/shop-words.js";

/** What the counter uses of a lobby. */
class FakeLobby {
  /** What the next purchases meet, in order; then they are made. */
  failures: Error[] = [];
  readonly bought: [offer: string, requestId: string][] = [];
  wallets = 0;
  #onWallet = () => {};
  readonly shop = {
    wallet: async () => ({ coin: BigInt(++this.wallets) }),
    offers: async () => [],
    history: async () => ({ entries: [], more: false }),
    buy: async (offer: string, requestId: string) => {
      this.bought.push([offer, requestId]);
      const failure = this.failures.shift();
      if (failure) throw failure;
    },
  };

  on(event: string, listener: () => void): void {
    if (event === "wallet") this.#onWallet = listener;
  }

  tellWallet(): void {
    this.#onWallet();
  }
}

const counterAt = (lobby: FakeLobby) => new Counter(lobby as unknown as Lobby);
const unknown = new OutcomeUnknown("reqShop");

test("a purchase of unknown outcome is asked for again by the same id, others by their own", async () => {
  const lobby = new FakeLobby();
  const counter = counterAt(lobby);
  lobby.failures = [unknown, unknown];
  await assert.rejects(counter.buy("hat"), OutcomeUnknown);
  assert.equal(counter.isOpen("hat"), true);
  await assert.rejects(counter.buy("hat"), OutcomeUnknown);
  await counter.buy("cape");
  await counter.buy("hat");
  assert.equal(counter.isOpen("hat"), false);
  await counter.buy("hat");
  const ids = lobby.bought.map(([, id]) => id);
  assert.equal(ids[0], ids[1]);
  assert.equal(ids[0], ids[3]);
  assert.notEqual(ids[2], ids[0]);
  assert.notEqual(ids[4], ids[0], "the next one is another purchase");
});

test("after a refusal the next try is another purchase", async () => {
  const lobby = new FakeLobby();
  const counter = counterAt(lobby);
  lobby.failures = [new Refused("CONFLICT", "you have too little for it", 0)];
  await assert.rejects(counter.buy("hat"), Refused);
  assert.equal(counter.isOpen("hat"), false);
  await counter.buy("hat");
  assert.notEqual(lobby.bought[0]![1], lobby.bought[1]![1]);
});

test("a deadline of the server's leaves open what was done", async () => {
  const lobby = new FakeLobby();
  const counter = counterAt(lobby);
  lobby.failures = [new Refused("TIMED_OUT", "no answer in time", 0)];
  await assert.rejects(counter.buy("hat"), Refused);
  await counter.buy("hat");
  assert.equal(lobby.bought[0]![1], lobby.bought[1]![1]);
});

test("the wallet is as it is after every purchase, and after changes by others", async () => {
  const lobby = new FakeLobby();
  const counter = counterAt(lobby);
  await counter.buy("hat");
  assert.deepEqual(counter.stock.known.value.value?.balances, { coin: 1n });
  lobby.tellWallet();
  await new Promise((resolve) => setTimeout(resolve));
  assert.deepEqual(counter.stock.known.value.value?.balances, { coin: 2n });
});

test("amounts, reasons and entries are said in words", () => {
  assert.equal(amountsText({ coin: 3n, "golden-ship": 1n }), "3 coin, 1 golden ship");
  assert.equal(changesText({ coin: -10n, hat: 1n }), "−10 coin, +1 hat");
  const offer = { from: new Date(1), resets: new Date(2) } as Offer;
  const why = (why: Offer["why"]) => whyText({ ...offer, why }, (date) => `${date.getTime()}`);
  assert.equal(why(undefined), "");
  assert.equal(why("NOT_YET"), "Sold from 1 on");
  assert.equal(why("PERIOD_LIMIT"), "Again from 2 on");
  const entry = { kind: "purchase", offer: "hat", note: "", refundOf: 0n, refundedBy: 4n };
  const said = (change: object) => entryText({ ...entry, ...change } as LedgerEntry, new Map());
  assert.equal(said({}), "Bought hat, undone");
  assert.equal(
    said({ kind: "grant", note: "for finding a fault", refundedBy: 0n }),
    "for finding a fault",
  );
  assert.equal(said({ kind: "refund", refundOf: 2n, refundedBy: 0n }), "Undone: entry 2");
});

// The shop, one's wallet, and the ledger of what has changed it.
import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  LedgerEntry_Kind,
  ShopOffer_Why,
  type LedgerEntry as EntryFrame,
  type ReqShopSchema,
  type ResShop,
  type ShopOffer as OfferFrame,
  type SynWallet,
} from "../gen/scenehost/v1/shop_pb.js";
import type { Ask } from "./ask.js";

/** So much of each currency and item, by their names. */
export type Amounts = Readonly<Record<string, bigint>>;

export interface Offer {
  readonly name: string;
  readonly title: string;
  /** Nothing: it is free. */
  readonly price: Amounts;
  readonly gives: Amounts;
  /** When it begins to be sold; `undefined`: it has begun. */
  readonly from: Date | undefined;
  /** When it ends to be sold; `undefined`: it does not. */
  readonly until: Date | undefined;
  /** How many may be bought now with one request. */
  readonly mayBuy: bigint;
  /** Why none: the schema's names, for example `"CANNOT_PAY"`; `undefined`: it may be bought. */
  readonly why: Exclude<keyof typeof ShopOffer_Why, "WHY_UNSPECIFIED"> | undefined;
  /** When its limit of a day or a week begins anew; `undefined`: it has none. */
  readonly resets: Date | undefined;
}

/** One change of the wallet. */
export interface LedgerEntry {
  /** Counts from 1. */
  readonly number: bigint;
  readonly time: Date;
  /** `unknown`: of a kind that only newer clients know. */
  readonly kind: "purchase" | "grant" | "spend" | "refund" | "unknown";
  /** Purchases: what was bought, and how often. */
  readonly offer: string;
  readonly count: bigint;
  /** Grants and spends: why, for people. */
  readonly note: string;
  /** Refunds: the entry that was undone; `0n`: none. */
  readonly refundOf: bigint;
  /** The entry that has undone this one; `0n`: none. */
  readonly refundedBy: bigint;
  /** Empty: a scene's. */
  readonly requestId: string;
  /** What the wallet has got of each currency and item; negative: what it has lost. */
  readonly changes: Amounts;
}

/** Somebody else has changed the wallet. */
export interface WalletChange {
  /** What there is now. */
  readonly balances: Amounts;
  readonly entry: LedgerEntry | undefined;
}

/** What there is after a purchase, and how it was entered. */
export interface Purchase {
  readonly balances: Amounts;
  readonly entry: LedgerEntry | undefined;
}

export class Shop {
  readonly #ask: Ask;

  /** Made by `Lobby`; see `Lobby.shop`. */
  constructor(ask: Ask) {
    this.#ask = ask;
  }

  /** What one has of each currency and item. */
  async wallet(): Promise<Amounts> {
    return (await this.#request({ case: "wallet", value: {} })).balances;
  }

  /** What is sold, and whether one may buy it now; all of it, by as many requests as it takes. */
  async offers(): Promise<Offer[]> {
    const offers: Offer[] = [];
    for (;;) {
      const after = offers.at(-1)?.name ?? "";
      const page = await this.#request({ case: "offers", value: { after } });
      offers.push(...page.offers.map(toOffer));
      if (!page.more || page.offers.length === 0) return offers;
    }
  }

  /**
   * Buys an offer, 1 to 1,000 times. `requestId` is 1 to 64 letters, digits and - _ . : of one's own,
   * another one for every purchase. After `TimedOut`, `OutcomeUnknown` or `Closed`, call it again with
   * the same: what was bought then is not bought again. Refused with `CONFLICT` for what may not be
   * bought.
   */
  async buy(offer: string, requestId: string, count = 1n): Promise<Purchase> {
    const { balances, entries } = await this.#request({
      case: "buy",
      value: { offer, count, requestId },
    });
    return { balances, entry: entries[0] && toEntry(entries[0]) };
  }

  /** Up to 32 entries of one's ledger, the newest first: all, or those before one. */
  async history(before = 0n, limit = 32n): Promise<{ entries: LedgerEntry[]; more: boolean }> {
    const { entries, more } = await this.#request({ case: "history", value: { before, limit } });
    return { entries: entries.map(toEntry), more };
  }

  #request(ask: NonNullable<MessageInitShape<typeof ReqShopSchema>["ask"]>): Promise<ResShop> {
    return this.#ask({ case: "reqShop", value: { ask } }, "resShop");
  }
}

/** What `syn_wallet` tells. */
export function toWalletChange({ balances, entry }: SynWallet): WalletChange {
  return { balances, entry: entry && toEntry(entry) };
}

function toOffer(frame: OfferFrame): Offer {
  const { name, title, price, gives, fromMs, untilMs, mayBuy, why, resetsMs } = frame;
  // A reason that this package is too old to know is one all the same.
  const known = (ShopOffer_Why[why] ?? "OVER") as keyof typeof ShopOffer_Why;
  return {
    name,
    title,
    price,
    gives,
    from: dateOf(fromMs),
    until: dateOf(untilMs),
    mayBuy,
    why: known === "WHY_UNSPECIFIED" ? undefined : known,
    resets: dateOf(resetsMs),
  };
}

const kinds: Partial<Record<LedgerEntry_Kind, LedgerEntry["kind"]>> = {
  [LedgerEntry_Kind.PURCHASE]: "purchase",
  [LedgerEntry_Kind.GRANT]: "grant",
  [LedgerEntry_Kind.SPEND]: "spend",
  [LedgerEntry_Kind.REFUND]: "refund",
};

function toEntry(frame: EntryFrame): LedgerEntry {
  const { number, timeMs, kind, offer, count, note, refundOf, refundedBy, requestId } = frame;
  const own = frame.postings.filter(({ account }) => account === "user");
  return {
    number,
    time: new Date(Number(timeMs)),
    kind: kinds[kind] ?? "unknown",
    offer,
    count,
    note,
    refundOf,
    refundedBy,
    requestId,
    changes: Object.fromEntries(own.map(({ asset, amount }) => [asset, amount])),
  };
}

function dateOf(ms: bigint): Date | undefined {
  return ms ? new Date(Number(ms)) : undefined;
}

// How prices, purchases and refusals of the shop are said.
import type { Amounts, LedgerEntry, Offer } from "@scenehost/client";

/** "3 coin, 1 potion"; empty for nothing. */
export function amountsText(amounts: Amounts): string {
  return Object.entries(amounts)
    .map(([asset, amount]) => `${amount} ${assetText(asset)}`)
    .join(", ");
}

/** "−10 coin, +1 hat" */
export function changesText(changes: Amounts): string {
  return Object.entries(changes)
    .map(
      ([asset, amount]) =>
        `${amount < 0n ? "−" : "+"}${amount < 0n ? -amount : amount} ${assetText(asset)}`,
    )
    .join(", ");
}

/** Names of currencies and items are made for programs: "golden-ship". */
export function assetText(asset: string): string {
  return asset.replaceAll(/[-_]/g, " ");
}

/** Why the offer cannot be bought now; empty: it can. */
export function whyText({ why, from, resets }: Offer, dateText: (date: Date) => string): string {
  switch (why) {
    case undefined:
      return "";
    case "NOT_YET":
      return from ? `Sold from ${dateText(from)} on` : "Not sold yet";
    case "OVER":
      return "Sold no more";
    case "SOLD_OUT":
      return "Sold out";
    case "LIMIT":
      return "You have bought all that you may";
    case "PERIOD_LIMIT":
      return resets ? `Again from ${dateText(resets)} on` : "Not again yet";
    case "CANNOT_PAY":
      return "You have too little for it";
    case "NO_ROOM":
      return "You have as much as you may have";
  }
}

/** What has changed the wallet; `titles` has those of the offers that there still are. */
export function entryText(entry: LedgerEntry, titles: ReadonlyMap<string, string>): string {
  const { kind, offer, note, refundOf, refundedBy } = entry;
  const undone = refundedBy > 0n ? ", undone" : "";
  switch (kind) {
    case "purchase":
      return `Bought ${titles.get(offer) ?? assetText(offer)}${undone}`;
    case "grant":
      return `${note || "Given"}${undone}`;
    case "spend":
      return `${note || "Spent"}${undone}`;
    case "refund":
      return `Undone: entry ${refundOf}`;
    case "unknown":
      return "Changed";
  }
}

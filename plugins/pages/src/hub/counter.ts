// Where the player buys: what there is and what it costs, kept as it is on the server.
//
// Invariant: as long as it is not known whether a purchase was made, another try at the same offer is
// the same purchase: it has the same request id, so that nothing is paid for twice.
import { Refused, type Amounts, type LedgerEntry, type Lobby, type Offer } from "@scenehost/client";
import { randomHex } from "../random.js";
import { Kept } from "./kept.js";

export interface Stock {
  readonly balances: Amounts;
  readonly offers: readonly Offer[];
  /** The last changes of the wallet, the newest first. */
  readonly entries: readonly LedgerEntry[];
}

const ENTRIES = 10n;
/** Refusals after which it is not known what was done. */
const UNSURE: readonly Refused["code"][] = ["TIMED_OUT", "SERVICE_DOWN", "INTERNAL"];

export class Counter {
  readonly #lobby: Lobby;
  readonly stock: Kept<Stock>;
  /** The request ids of purchases whose outcome is not known, by offer. */
  readonly #open = new Map<string, string>();

  constructor(lobby: Lobby) {
    this.#lobby = lobby;
    this.stock = new Kept(lobby, () => loadStock(lobby));
    lobby.on("wallet", () => this.stock.refresh());
  }

  /** Whether it is not known what became of the last try. */
  isOpen(offer: string): boolean {
    return this.#open.has(offer);
  }

  /** Buys one. Throws as the client; then another call goes on with the same purchase. */
  async buy(offer: string): Promise<void> {
    const requestId = this.#open.get(offer) ?? randomHex();
    this.#open.set(offer, requestId);
    try {
      await this.#lobby.shop.buy(offer, requestId);
      this.#open.delete(offer);
    } catch (error) {
      // Any other refusal says that nothing was done.
      if (error instanceof Refused && !UNSURE.includes(error.code)) this.#open.delete(offer);
      throw error;
    } finally {
      await this.stock.load();
    }
  }
}

async function loadStock(lobby: Lobby): Promise<Stock> {
  const [balances, offers, { entries }] = await Promise.all([
    lobby.shop.wallet(),
    lobby.shop.offers(),
    lobby.shop.history(0n, ENTRIES),
  ]);
  return { balances, offers, entries };
}

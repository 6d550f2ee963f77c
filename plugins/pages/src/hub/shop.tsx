// The shop: what the player has, what there is to buy, and what has changed the wallet.
import type { Offer } from "@scenehost/client";
import { useEffect } from "preact/hooks";
import { Problem, useAttempt } from "../ui/attempt.js";
import { useStore } from "../ui/use-store.js";
import type { Counter, Stock } from "./counter.js";
import type { PanelProps } from "./hub.js";
import { amountsText, assetText, changesText, entryText, whyText } from "./shop-words.js";

export function ShopPanel({ around }: PanelProps) {
  const { counter } = around;
  const { value: stock, problem } = useStore(counter.stock.known);
  useEffect(() => void counter.stock.load(), [counter]);
  return (
    <div class="guild" data-testid="shop" aria-busy={!stock && !problem}>
      {!stock && !problem && <p class="hub-empty">Opening the shop…</p>}
      {stock && (
        <>
          <Wallet stock={stock} />
          <div class="columns">
            <Offers counter={counter} stock={stock} />
            <History stock={stock} />
          </div>
        </>
      )}
      <Problem text={problem} testId="shop-load-problem" />
      {problem && (
        <button class="button" onClick={() => counter.stock.load()}>
          Try again
        </button>
      )}
    </div>
  );
}

function Wallet({ stock }: { stock: Stock }) {
  const balances = Object.entries(stock.balances);
  return (
    <ul class="ratings" aria-label="What you have" data-testid="wallet">
      {balances.map(([asset, amount]) => (
        <li key={asset} data-testid={`balance-${asset}`}>
          <span>{assetText(asset)}</span>
          <b>{String(amount)}</b>
        </li>
      ))}
      {balances.length === 0 && <li class="hub-empty">You have nothing yet.</li>}
    </ul>
  );
}

function Offers({ counter, stock }: { counter: Counter; stock: Stock }) {
  const { busy, problem, attempt } = useAttempt();
  return (
    <section class="people" aria-labelledby="offers-title">
      <h3 id="offers-title">For sale</h3>
      <Problem text={problem} testId="shop-problem" />
      {stock.offers.length === 0 && <p class="hub-empty">Nothing is sold here now.</p>}
      <ul>
        {stock.offers.map((offer) => (
          <OfferRow
            key={offer.name}
            offer={offer}
            busy={busy}
            open={counter.isOpen(offer.name)}
            onBuy={() => attempt(() => counter.buy(offer.name))}
          />
        ))}
      </ul>
    </section>
  );
}

interface OfferRowProps {
  offer: Offer;
  busy: boolean;
  /** Whether it is not known what became of the last try. */
  open: boolean;
  onBuy: () => void;
}

function OfferRow({ offer, busy, open, onBuy }: OfferRowProps) {
  const { name, title, price, gives, why } = offer;
  const whyNot = whyText(offer, timeText);
  // Whether it was bought is asked by buying it again, which pays once, whatever the wallet says.
  const closed = why !== undefined && !open;
  const cost = amountsText(price) || "Free";
  return (
    <li class="person" data-testid="offer" data-offer={name} data-why={why}>
      <span class="person-words">
        <b>{title || assetText(name)}</b>
        <small>
          Gives {amountsText(gives)}
          {whyNot && <>. {whyNot}</>}
        </small>
      </span>
      <span class="person-actions">
        <button
          class="button small primary"
          disabled={busy || closed}
          aria-label={open ? `Ask again for ${title || name}` : `Buy ${title || name}: ${cost}`}
          data-testid={`buy-${name}`}
          onClick={onBuy}
        >
          {open ? "Ask again" : cost}
        </button>
      </span>
    </li>
  );
}

function History({ stock }: { stock: Stock }) {
  const titles = new Map(stock.offers.map(({ name, title }) => [name, title]));
  return (
    <section class="people" aria-labelledby="history-title">
      <h3 id="history-title">Your wallet's last changes</h3>
      {stock.entries.length === 0 && <p class="hub-empty">None yet.</p>}
      <ul>
        {stock.entries.map((entry) => (
          <li key={entry.number} class="match" data-testid="ledger-entry">
            <span>
              <b>{entryText(entry, titles)}</b>
              <small>{timeText(entry.time)}</small>
            </span>
            <span class="ledger-changes">{changesText(entry.changes)}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function timeText(date: Date): string {
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  return format.format(date);
}

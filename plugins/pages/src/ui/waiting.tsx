// The time between choosing a game and playing it.
import { useEffect, useState } from "preact/hooks";
import type { App, Waiting as WaitingView } from "../app.js";
import { titles } from "../domains.js";
import { namesText } from "../hub/party-words.js";
import { Found } from "./found.js";
import { relaxedText, usualText } from "./waiting-words.js";

export function Connecting({ text }: { text: string }) {
  return (
    <section class="card waiting" aria-busy="true" data-testid="connecting">
      <span class="spinner" aria-hidden="true" />
      <h1 aria-live="polite">{text}…</h1>
    </section>
  );
}

export function Waiting({ app, view }: { app: App; view: WaitingView }) {
  const { domain, stage, state, sinceMs } = view;
  const placing = state?.state === "PLACING";
  const cancelling = stage === "cancelling";
  const members = app.party?.members ?? [];
  const others = Math.max(0, (state?.waiting ?? 1) - 1);
  return (
    <section class="card waiting" data-testid="waiting" data-state={state?.state ?? "ASKING"}>
      <span class="search" aria-hidden="true">
        <i />
        <i />
        <i class="search-core" />
      </span>
      <p class="eyebrow">{titles[domain]}</p>
      <h1 aria-live="polite">{titleOf(state)}</h1>
      <Stopwatch sinceMs={sinceMs} />
      <dl class="facts-grid">
        <Fact term="Others waiting" value={String(others)} testId="waiting-others" />
        <Fact
          term="Rating range"
          value={state ? `± ${state.ratingRange}` : "…"}
          testId="rating-range"
        />
        <Fact term="Players" value={playersText(state)} testId="waiting-players" />
      </dl>
      <p class="waiting-news" aria-live="polite" data-testid="waiting-news">
        {state && <span data-testid="waiting-usual">{usualText(state)}</span>}
        {state && <span data-testid="waiting-relaxed">{relaxedText(state)}</span>}
      </p>
      <button
        class="button"
        data-testid="cancel"
        disabled={placing || cancelling}
        onClick={() => app.cancel()}
      >
        {cancelling ? "Cancelling…" : "Cancel"}
      </button>
      <p class="hint" data-testid="waiting-hint">
        {members.length > 1
          ? `Your party looks together: ${namesText(members.map(({ name }) => name))}. Each of you can cancel it.`
          : "Nobody around? A second window of this page is another player."}
      </p>
      {state?.found && (
        <Found
          app={app}
          title={titles[domain]}
          found={state.found}
          acceptMs={app.around?.likes.domain(domain)?.acceptMs ?? 0}
        />
      )}
    </section>
  );
}

function titleOf(state: WaitingView["state"]): string {
  if (state?.state === "PLACING") return "Found! Setting up the game";
  return state?.found ? "Found! Is everybody there?" : "Looking for players";
}

function Fact({ term, value, testId }: { term: string; value: string; testId: string }) {
  return (
    <div>
      <dt>{term}</dt>
      <dd data-testid={testId}>{value}</dd>
    </div>
  );
}

function Stopwatch({ sinceMs }: { sinceMs: number }) {
  const [nowMs, setNowMs] = useState(() => performance.now());
  useEffect(() => {
    const timer = setInterval(() => setNowMs(performance.now()), 250);
    return () => clearInterval(timer);
  }, []);
  const seconds = Math.max(0, Math.floor((nowMs - sinceMs) / 1000));
  const text = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  return (
    <p class="stopwatch" role="timer" aria-label="Time waited" data-testid="waited">
      {text}
    </p>
  );
}

function playersText(state: WaitingView["state"]): string {
  if (!state) return "…";
  const { playersMin, playersMax } = state;
  return playersMin === playersMax ? String(playersMin) : `${playersMin} to ${playersMax}`;
}

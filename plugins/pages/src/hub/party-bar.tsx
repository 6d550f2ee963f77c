// The party on the home view: the player's own, or the ways into one.
import type { Party } from "@scenehost/client";
import { useId, useState } from "preact/hooks";
import type { App } from "../app.js";
import { partyLink, takePartyCode } from "../party-link.js";
import { Problem, useAttempt, type Attempt } from "../ui/attempt.js";
import { CopyButton } from "../ui/copy.js";
import type { Around } from "./around.js";
import { keyOf } from "./chat-log.js";
import { PartyMembers } from "./party-members.js";

/** A code as people write it down: `K7M-X2B`, with some room. */
const CODE_CHARS_MAX = 12;

/** What the parts of a party are given. */
export interface PartyProps {
  around: Around;
  party: Party;
  busy: boolean;
  attempt: Attempt["attempt"];
}

export function PartyBar({ app }: { app: App }) {
  const { around } = app;
  const party = around?.party.party.value;
  const { busy, problem, attempt } = useAttempt();
  const own = around && party && { around, party, busy, attempt };
  return (
    <section class="party" aria-labelledby="party-title" aria-busy={busy} data-testid="party">
      {own ? <PartyHead {...own} /> : <Ways app={app} busy={busy} attempt={attempt} />}
      <p class="party-news" role="status" data-testid="party-news">
        {around?.party.news.value}
      </p>
      <Problem text={problem} testId="party-problem" />
      {own && <PartyMembers {...own} />}
    </section>
  );
}

interface WaysProps extends Pick<PartyProps, "busy" | "attempt"> {
  app: App;
}

/** Begin a party, or come into one by its code. */
function Ways({ app, busy, attempt }: WaysProps) {
  const [code, setCode] = useState(takePartyCode);
  const [invited] = useState(code !== "");
  const field = useId();
  const join = (event: Event) => {
    event.preventDefault();
    void attempt(() => app.enterParty((party) => party.join(code)));
  };
  return (
    <div class="party-ways">
      <div class="party-words">
        <h2 id="party-title">{invited ? "You have the code of a party" : "Play with friends"}</h2>
        <p>
          {invited
            ? "Choose your name above, then come in."
            : "In a party you talk, and go into a game together."}
        </p>
      </div>
      <form class="line-form" onSubmit={join}>
        <div class="field">
          <label for={field}>A party's code</label>
          <input
            id={field}
            value={code}
            required
            maxLength={CODE_CHARS_MAX}
            placeholder="K7MX2B"
            autocomplete="off"
            autocapitalize="characters"
            spellcheck={false}
            data-testid="party-join-code"
            onInput={(event) => setCode(event.currentTarget.value)}
          />
        </div>
        <button
          class={invited ? "button primary" : "button"}
          type="submit"
          disabled={busy}
          data-testid="party-join"
        >
          Join
        </button>
      </form>
      <button
        class="button"
        type="button"
        disabled={busy}
        data-testid="party-create"
        onClick={() => attempt(() => app.enterParty((party) => party.create()))}
      >
        Begin a party
      </button>
    </div>
  );
}

function PartyHead({ around, party, busy, attempt }: PartyProps) {
  const { code, members, membersMax } = party;
  return (
    <div class="party-head">
      <div class="party-words">
        <h2 id="party-title">Your party</h2>
        <p>
          {members.length === 1
            ? "Give your friends its code, or invite them."
            : `${members.length} of ${membersMax} members`}
        </p>
      </div>
      <p class="party-code">
        <span>Code</span>
        <code data-testid="party-code">{code}</code>
        <CopyButton text={code} label="Copy the party's code" testId="party-copy">
          Copy
        </CopyButton>
        <CopyButton text={partyLink(code)} label="Copy a link to the party" testId="party-link">
          Copy link
        </CopyButton>
      </p>
      <div class="actions">
        <button class="button small" data-testid="party-talk" onClick={() => talk(around)}>
          Talk
        </button>
        <button
          class="button small quiet"
          disabled={busy}
          data-testid="party-leave"
          onClick={() => attempt(() => around.lobby.party.leave())}
        >
          Leave
        </button>
      </div>
    </div>
  );
}

/** The chat stands further down: the focus goes there, and what is shown with it. */
function talk(around: Around): void {
  around.talk.choose(keyOf({ kind: "party" }));
  around.tab.set("chat");
  document.getElementById("hub-tab-chat")?.focus();
}

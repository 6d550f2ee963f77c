// What others of a party want to know from the player, over every view but a game that goes on:
// whether they come into a party, and whether they are ready.
import type { Party, PartyCheck, PartyInvite } from "@scenehost/client";
import type { App } from "../app.js";
import { Problem, useAttempt } from "../ui/attempt.js";
import { useLeftS } from "../ui/use-left.js";
import type { Around } from "./around.js";
import { checkTitle, leaderOf, waitedFor } from "./party-words.js";

/** More would cover the page. */
const INVITES_SHOWN_MAX = 3;

export function PartyNotices({ app }: { app: App }) {
  const { around, view } = app;
  const shown = view.at === "playing" && !view.scene.end ? undefined : around;
  const party = shown?.party.party.value;
  // The frame is always there, or else screen readers would not tell what comes into it.
  return (
    <div class="notices" aria-live="polite">
      {shown && party?.check && <Check around={shown} party={party} check={party.check} />}
      {shown?.party.invites.value.slice(0, INVITES_SHOWN_MAX).map((invite) => (
        <Invitation key={invite.partyId} app={app} around={shown} invite={invite} />
      ))}
    </div>
  );
}

function Check({ around, party, check }: { around: Around; party: Party; check: PartyCheck }) {
  const { busy, problem, attempt } = useAttempt();
  const { lobby } = around;
  const ready = party.members.find(({ userId }) => userId === lobby.user.id)?.ready;
  const title = checkTitle(check.domain);
  const answer = (ready: boolean) => () => attempt(() => lobby.party.ready(ready));
  return (
    <div class="notice" role="group" aria-label={title} data-testid="party-question">
      <b>{title}</b>
      <Left until={check.until} />
      <p>{ready ? `Waiting for ${waitedFor(party)}.` : `${leaderOf(party)} asks the party.`}</p>
      <div class="actions">
        {!ready && (
          <button
            class="button small primary"
            disabled={busy}
            data-testid="party-is-ready"
            onClick={answer(true)}
          >
            Ready
          </button>
        )}
        <button
          class="button small"
          disabled={busy}
          data-testid="party-not-ready"
          onClick={answer(false)}
        >
          Not ready
        </button>
      </div>
      <Problem text={problem} testId="party-question-problem" />
    </div>
  );
}

interface InvitationProps {
  app: App;
  around: Around;
  invite: PartyInvite;
}

function Invitation({ app, around, invite }: InvitationProps) {
  const { busy, problem, attempt } = useAttempt();
  const { partyId, name, members, until } = invite;
  const title = `${name} invites you to a party`;
  const accept = () => attempt(() => app.enterParty((party) => party.accept(partyId)));
  const decline = () => attempt(() => around.lobby.party.decline(partyId));
  return (
    <div class="notice" role="group" aria-label={title} data-testid="party-invitation">
      <b>{title}</b>
      <Left until={until} />
      <p>{members === 1 ? "Nobody else is in it yet." : `${members} players are in it.`}</p>
      <div class="actions">
        <button
          class="button small primary"
          disabled={busy}
          aria-label={`Come into the party of ${name}`}
          data-testid="party-accept"
          onClick={accept}
        >
          Accept
        </button>
        <button
          class="button small"
          disabled={busy}
          aria-label={`Decline the invitation of ${name}`}
          data-testid="party-decline"
          onClick={decline}
        >
          Decline
        </button>
      </div>
      <Problem text={problem} testId="party-invitation-problem" />
    </div>
  );
}

function Left({ until }: { until: Date }) {
  const leftS = useLeftS(until);
  return (
    <span class="notice-left" role="timer" aria-label="Time left" aria-live="off">
      {leftS} s
    </span>
  );
}

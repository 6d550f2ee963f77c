// Who is in the party and who is invited, and what may be done about it.
import type { Party, PartyMember } from "@scenehost/client";
import { useId, useState } from "preact/hooks";
import { DOMAINS, titles } from "../domains.js";
import { Confirm } from "../ui/dialog.js";
import { useStore } from "../ui/use-store.js";
import { IdForm } from "./id-form.js";
import type { PartyProps } from "./party-bar.js";
import { Person } from "./person.js";
import { PresenceText } from "./presence.js";

type Asked = { what: "kick" | "handOver"; member: PartyMember };

export function PartyMembers(props: PartyProps) {
  const { around, party, attempt } = props;
  const [asked, setAsked] = useState<Asked | null>(null);
  const leads = party.leaderId === around.lobby.user.id;
  const answer = (yes: boolean) => {
    setAsked(null);
    if (yes && asked) void attempt(() => around.lobby.party[asked.what](asked.member.userId));
  };
  return (
    <>
      <ul class="party-members" aria-label="Members of your party">
        {party.members.map((member) => (
          <Person
            key={member.userId}
            around={around}
            userId={member.userId}
            name={member.name}
            note={<MemberNote party={party} member={member} />}
            testId="party-member"
          >
            {leads && member.userId !== party.leaderId && (
              <MemberActions {...props} member={member} onAsk={setAsked} />
            )}
          </Person>
        ))}
        <Invited {...props} />
      </ul>
      <div class="party-foot">
        <IdForm
          label="Invite by id"
          action="Invite"
          fieldTestId="party-invite-id"
          buttonTestId="party-invite"
          busy={props.busy}
          attempt={attempt}
          onId={(id) => around.lobby.party.invite(id)}
        />
        {leads && party.members.length > 1 && <CheckForm {...props} />}
      </div>
      {asked && (
        <Confirm
          title={asked.what === "kick" ? `Remove ${asked.member.name}?` : "Let somebody else lead?"}
          confirm={asked.what === "kick" ? "Remove" : "Hand over"}
          keep="Cancel"
          testId={asked.what === "kick" ? "party-kick" : "party-hand-over"}
          onAnswer={answer}
        >
          <p>
            {asked.what === "kick"
              ? `${asked.member.name} can come back by an invitation only: the code will be another one.`
              : `${asked.member.name} starts the games then. Only the new leader can give that back.`}
          </p>
        </Confirm>
      )}
    </>
  );
}

function MemberNote({ party, member }: { party: Party; member: PartyMember }) {
  return (
    <span class="party-note">
      {member.userId === party.leaderId && (
        <span class="party-leads" data-testid="party-leads">
          <svg viewBox="0 0 20 16" aria-hidden="true">
            <path d="M2 3l4.5 4L10 1.5 13.5 7 18 3l-1.6 11.5H3.6z" />
          </svg>
          Leads
        </span>
      )}
      <PresenceText presence={member.presence} />
      {party.check && (
        <span class="party-ready" data-ready={member.ready} data-testid="party-ready">
          {member.ready ? "✓ Ready" : "Asked"}
        </span>
      )}
    </span>
  );
}

interface MemberActionsProps extends PartyProps {
  member: PartyMember;
  onAsk: (asked: Asked) => void;
}

function MemberActions({ busy, member, onAsk }: MemberActionsProps) {
  return (
    <>
      <button
        class="button small quiet"
        disabled={busy}
        aria-label={`Let ${member.name} lead`}
        data-testid="party-hand-over"
        onClick={() => onAsk({ what: "handOver", member })}
      >
        Hand over
      </button>
      <button
        class="button small quiet"
        disabled={busy}
        aria-label={`Remove ${member.name}`}
        data-testid="party-kick"
        onClick={() => onAsk({ what: "kick", member })}
      >
        Remove
      </button>
    </>
  );
}

function Invited({ around, party, busy, attempt }: PartyProps) {
  const own = around.lobby.user.id;
  return party.invited.map(({ userId, name, byId }) => (
    <Person
      key={userId}
      around={around}
      userId={userId}
      name={name || `Player ${userId}`}
      note="Is invited"
      testId="party-invited"
    >
      {(byId === own || party.leaderId === own) && (
        <button
          class="button small quiet"
          disabled={busy}
          aria-label={`Take the invitation of ${name || userId} back`}
          data-testid="party-uninvite"
          onClick={() => attempt(() => around.lobby.party.uninvite(userId))}
        >
          Take back
        </button>
      )}
    </Person>
  ));
}

/** For the leader: asks all whether they are ready, for a game that begins then, or without one. */
function CheckForm({ around, party, busy, attempt }: PartyProps) {
  const [domain, setDomain] = useState<string>(DOMAINS[0]);
  const field = useId();
  const known = useStore(around.likes.domains).map(({ name }) => name);
  const games = DOMAINS.filter((domain) => known.includes(domain));
  const submit = (event: Event) => {
    event.preventDefault();
    void attempt(() => around.lobby.party.checkReady(domain));
  };
  return (
    <form class="line-form" onSubmit={submit}>
      <div class="field">
        <label for={field}>Is everybody ready?</label>
        <select
          id={field}
          value={domain}
          data-testid="party-check-game"
          onChange={(event) => setDomain(event.currentTarget.value)}
        >
          {games.map((domain) => (
            <option key={domain} value={domain}>
              Then play {titles[domain]}
            </option>
          ))}
          <option value="">Just ask</option>
        </select>
      </div>
      <button
        class="button"
        type="submit"
        disabled={busy || party.check !== undefined}
        data-testid="party-check"
      >
        Ask
      </button>
    </form>
  );
}

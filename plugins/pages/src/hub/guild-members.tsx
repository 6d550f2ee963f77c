// Who is in the guild, who wants to be, and what may be done about it by the player's role.
import type { Guild, Role } from "@scenehost/client";
import { useState } from "preact/hooks";
import { Confirm } from "../ui/dialog.js";
import type { GuildProps } from "./guild.js";
import { IdForm } from "./id-form.js";
import { Person } from "./person.js";

type Member = Guild["members"][number];
type Asked = { what: "kick" | "handOver"; member: Member };

const RANKS: Record<Role, number> = { member: 0, officer: 1, leader: 2 };
const roleTitles: Record<Role, string> = { member: "Member", officer: "Officer", leader: "Leader" };

export function GuildMembers(props: GuildProps) {
  const { around, membership, attempt } = props;
  const [asked, setAsked] = useState<Asked | null>(null);
  const guild = membership.guild!;
  const role = guild.members.find((it) => it.userId === around.lobby.user.id)?.role ?? "member";
  const members = [...guild.members].sort((a, b) => RANKS[b.role] - RANKS[a.role]);
  const answer = (yes: boolean) => {
    setAsked(null);
    if (!yes || !asked) return;
    const { guilds } = around.lobby;
    void attempt(() => guilds[asked.what](asked.member.userId));
  };
  return (
    <div class="columns">
      <section class="people" aria-labelledby="guild-members">
        <h3 id="guild-members">Members</h3>
        <ul>
          {members.map((member) => (
            <Person
              key={member.userId}
              around={around}
              {...member}
              note={roleTitles[member.role]}
              testId="guild-member"
            >
              <MemberActions {...props} role={role} member={member} onAsk={setAsked} />
            </Person>
          ))}
        </ul>
      </section>
      {role !== "member" && <Doors {...props} />}
      {asked && (
        <Confirm
          title={asked.what === "kick" ? `Remove ${asked.member.name}?` : "Let somebody else lead?"}
          confirm={asked.what === "kick" ? "Remove" : "Hand over"}
          keep="Cancel"
          testId={asked.what === "kick" ? "guild-kick" : "guild-hand-over"}
          onAnswer={answer}
        >
          <p>
            {asked.what === "kick"
              ? `${asked.member.name} is in the guild no more at once.`
              : `${asked.member.name} leads the guild then, and you are an officer. Only the new leader can give that back.`}
          </p>
        </Confirm>
      )}
    </div>
  );
}

interface MemberActionsProps extends GuildProps {
  /** The player's own role. */
  role: Role;
  member: Member;
  onAsk: (asked: Asked) => void;
}

function MemberActions({ around, attempt, busy, role, member, onAsk }: MemberActionsProps) {
  const { userId, name } = member;
  if (userId === around.lobby.user.id) return null;
  const promote = member.role === "member";
  const next = promote ? "officer" : "member";
  return (
    <>
      <button
        class="button small quiet"
        aria-label={`Talk with ${name}`}
        onClick={() => around.talkWith(userId, name)}
      >
        Talk
      </button>
      {role === "leader" && (
        <>
          <button
            class="button small"
            disabled={busy}
            aria-label={promote ? `Make ${name} an officer` : `Make ${name} a member`}
            data-testid="guild-set-role"
            onClick={() => attempt(() => around.lobby.guilds.setRole(userId, next))}
          >
            {promote ? "Promote" : "Demote"}
          </button>
          <button
            class="button small"
            disabled={busy}
            aria-label={`Let ${name} lead`}
            data-testid="guild-hand-over"
            onClick={() => onAsk({ what: "handOver", member })}
          >
            Hand over
          </button>
        </>
      )}
      {RANKS[role] > RANKS[member.role] && role !== "member" && (
        <button
          class="button small"
          disabled={busy}
          aria-label={`Remove ${name}`}
          data-testid="guild-kick"
          onClick={() => onAsk({ what: "kick", member })}
        >
          Remove
        </button>
      )}
    </>
  );
}

/** For officers: who has asked, who is invited, and another invitation. */
function Doors({ around, membership, attempt, busy }: GuildProps) {
  const { requests, invites, entry } = membership.guild!;
  const { guilds } = around.lobby;
  return (
    <section class="people" aria-labelledby="guild-doors">
      <h3 id="guild-doors">Who may come in</h3>
      <Invite around={around} membership={membership} attempt={attempt} busy={busy} />
      <ul>
        {requests.map((user) => (
          <Person
            key={user.userId}
            around={around}
            {...user}
            note="Asks to come in"
            testId="guild-request"
          >
            <button
              class="button small primary"
              disabled={busy}
              aria-label={`Accept ${user.name}`}
              data-testid="guild-accept"
              onClick={() => attempt(() => guilds.accept(user.userId))}
            >
              Accept
            </button>
            <button
              class="button small"
              disabled={busy}
              aria-label={`Decline ${user.name}`}
              data-testid="guild-decline"
              onClick={() => attempt(() => guilds.decline(user.userId))}
            >
              Decline
            </button>
          </Person>
        ))}
        {invites.map((user) => (
          <Person
            key={user.userId}
            around={around}
            {...user}
            note="Is invited"
            testId="guild-invited"
          >
            <button
              class="button small"
              disabled={busy}
              aria-label={`Take the invitation of ${user.name} back`}
              onClick={() => attempt(() => guilds.decline(user.userId))}
            >
              Take back
            </button>
          </Person>
        ))}
      </ul>
      {requests.length + invites.length === 0 && <p class="hub-empty">Nobody waits.</p>}
      <label class="account-keep">
        <input
          type="checkbox"
          checked={entry === "by-request"}
          disabled={busy}
          data-testid="guild-by-request"
          onChange={(event) => {
            const entry = event.currentTarget.checked ? "by-request" : "open";
            void attempt(async () => void (await guilds.change({ entry })));
          }}
        />
        <span>New members have to ask</span>
      </label>
    </section>
  );
}

function Invite({ around, attempt, busy }: GuildProps) {
  return (
    <IdForm
      label="Invite by id"
      action="Invite"
      fieldTestId="guild-invite-id"
      buttonTestId="guild-invite"
      busy={busy}
      attempt={attempt}
      onId={(id) => around.lobby.guilds.invite(id)}
    />
  );
}

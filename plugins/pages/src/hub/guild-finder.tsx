// The ways into a guild: an invitation, finding one by its name, founding one.
import type { Entry, Guild, GuildSummary } from "@scenehost/client";
import { useId, useState } from "preact/hooks";
import type { GuildProps } from "./guild.js";

const NAME_CHARS_MIN = 3;
const NAME_CHARS_MAX = 32;
export const ABOUT_CHARS_MAX = 500;

export function GuildFinder(props: GuildProps) {
  return (
    <div class="columns">
      <div class="stack">
        <Waiting {...props} />
        <Find {...props} />
      </div>
      <Found {...props} />
    </div>
  );
}

/** Guilds that have invited the player, and those that the player has asked. */
function Waiting({ around, membership, attempt, busy }: GuildProps) {
  const { guilds } = around.lobby;
  const { invites, requests } = membership;
  if (invites.length + requests.length === 0) return null;
  return (
    <section class="people" aria-labelledby="guild-waiting">
      <h3 id="guild-waiting">Waiting for an answer</h3>
      <ul>
        {invites.map((guild) => (
          <Line key={guild.guildId} guild={guild} note="Invites you" testId="guild-invitation">
            <button
              class="button small primary"
              disabled={busy}
              aria-label={`Join ${guild.name}`}
              data-testid="guild-accept-invite"
              onClick={() => attempt(async () => void (await guilds.acceptInvite(guild.guildId)))}
            >
              Join
            </button>
            <button
              class="button small"
              disabled={busy}
              aria-label={`Decline the invitation of ${guild.name}`}
              data-testid="guild-decline-invite"
              onClick={() => attempt(() => guilds.declineInvite(guild.guildId))}
            >
              Decline
            </button>
          </Line>
        ))}
        {requests.map((guild) => (
          <Line key={guild.guildId} guild={guild} note="You have asked" testId="guild-asked">
            <button
              class="button small"
              disabled={busy}
              aria-label={`Ask ${guild.name} no more`}
              data-testid="guild-withdraw"
              onClick={() => attempt(() => guilds.withdraw(guild.guildId))}
            >
              Withdraw
            </button>
          </Line>
        ))}
      </ul>
    </section>
  );
}

interface LineProps {
  guild: GuildSummary;
  note: string;
  testId: string;
  children: preact.ComponentChildren;
}

function Line({ guild, note, testId, children }: LineProps) {
  return (
    <li class="person" data-testid={testId}>
      <span class="person-words">
        <b>
          {guild.name} {guild.tag && <span class="tag">{guild.tag}</span>}
        </b>
        <small>
          {note}. {membersText(guild.members)}
        </small>
      </span>
      <span class="person-actions">{children}</span>
    </li>
  );
}

function Find(props: GuildProps) {
  const { around, attempt, busy } = props;
  const [name, setName] = useState("");
  const [guild, setGuild] = useState<Guild | null>(null);
  const id = useId();
  const submit = (event: Event) => {
    event.preventDefault();
    setGuild(null);
    void attempt(async () => setGuild(await around.lobby.guilds.show({ name: name.trim() })));
  };
  return (
    <section class="stack" aria-labelledby={`${id}-title`}>
      <h3 id={`${id}-title`}>Find a guild</h3>
      <form class="line-form" onSubmit={submit}>
        <div class="field">
          <label for={id}>Its whole name</label>
          <input
            id={id}
            value={name}
            required
            minLength={NAME_CHARS_MIN}
            maxLength={NAME_CHARS_MAX}
            autocomplete="off"
            data-testid="guild-find-name"
            onInput={(event) => setName(event.currentTarget.value)}
          />
        </div>
        <button class="button" type="submit" disabled={busy} data-testid="guild-find">
          Find
        </button>
      </form>
      {guild && <Candidate {...props} guild={guild} onDone={() => setGuild(null)} />}
    </section>
  );
}

interface CandidateProps extends GuildProps {
  guild: Guild;
  onDone: () => void;
}

function Candidate({ around, attempt, busy, guild, onDone }: CandidateProps) {
  const { guilds } = around.lobby;
  const open = guild.entry === "open";
  const enter = () =>
    attempt(async () => {
      if (open) await guilds.join(guild.guildId);
      else await guilds.askToJoin(guild.guildId);
      onDone();
    });
  return (
    <div class="candidate" data-testid="guild-candidate">
      <b>
        {guild.name} {guild.tag && <span class="tag">{guild.tag}</span>}
      </b>
      {guild.about && <p>{guild.about}</p>}
      <small>
        {membersText(guild.members.length)} {open ? "" : "They accept new members first."}
      </small>
      <button class="button primary" disabled={busy} data-testid="guild-join" onClick={enter}>
        {open ? "Join" : "Ask to join"}
      </button>
    </div>
  );
}

function Found({ around, attempt, busy }: GuildProps) {
  const [name, setName] = useState("");
  const [tag, setTag] = useState("");
  const [about, setAbout] = useState("");
  const [entry, setEntry] = useState<Entry>("open");
  const id = useId();
  const submit = (event: Event) => {
    event.preventDefault();
    const guild = { name: name.trim(), tag: tag.trim(), about: about.trim(), entry };
    void attempt(async () => void (await around.lobby.guilds.create(guild)));
  };
  return (
    <form class="stack" onSubmit={submit} aria-labelledby={`${id}-title`}>
      <h3 id={`${id}-title`}>Found one</h3>
      <div class="name-and-tag">
        <div class="field">
          <label for={`${id}-name`}>Name</label>
          <input
            id={`${id}-name`}
            value={name}
            required
            minLength={NAME_CHARS_MIN}
            maxLength={NAME_CHARS_MAX}
            autocomplete="off"
            data-testid="guild-new-name"
            onInput={(event) => setName(event.currentTarget.value)}
          />
        </div>
        <div class="field">
          <label for={`${id}-tag`}>Tag</label>
          <input
            id={`${id}-tag`}
            value={tag}
            maxLength={5}
            pattern="[A-Za-z0-9]*"
            title="Up to 5 letters and digits"
            autocomplete="off"
            data-testid="guild-new-tag"
            onInput={(event) => setTag(event.currentTarget.value)}
          />
        </div>
      </div>
      <div class="field">
        <label for={`${id}-about`}>About it</label>
        <input
          id={`${id}-about`}
          value={about}
          maxLength={ABOUT_CHARS_MAX}
          data-testid="guild-new-about"
          onInput={(event) => setAbout(event.currentTarget.value)}
        />
      </div>
      <label class="account-keep">
        <input
          type="checkbox"
          checked={entry === "by-request"}
          data-testid="guild-new-by-request"
          onChange={(event) => setEntry(event.currentTarget.checked ? "by-request" : "open")}
        />
        <span>New members have to ask</span>
      </label>
      <div>
        <button class="button primary" type="submit" disabled={busy} data-testid="guild-found">
          Found the guild
        </button>
      </div>
    </form>
  );
}

function membersText(count: number): string {
  return count === 1 ? "1 member." : `${count} members.`;
}

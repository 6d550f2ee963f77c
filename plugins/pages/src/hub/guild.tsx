// The guild: the player's own, or the ways into one.
import { useEffect, useId, useState } from "preact/hooks";
import { Problem, useAttempt, type Attempt } from "../ui/attempt.js";
import { Confirm } from "../ui/dialog.js";
import { useStore } from "../ui/use-store.js";
import type { Around } from "./around.js";
import { ABOUT_CHARS_MAX, GuildFinder } from "./guild-finder.js";
import { GuildMembers } from "./guild-members.js";
import type { PanelProps } from "./hub.js";
import type { Membership } from "./book.js";
import { keyOf } from "./chat-log.js";

/** What parts of the panel are given. */
export interface GuildProps {
  around: Around;
  membership: Membership;
  /** One thing at a time, for the whole panel; what has changed is loaded after it. */
  attempt: Attempt["attempt"];
  busy: boolean;
}

export function GuildPanel({ around }: PanelProps) {
  const { ownGuild } = around;
  const { value: membership, problem } = useStore(ownGuild.known);
  const { busy, problem: refused, attempt } = useAttempt();
  useEffect(() => void ownGuild.load(), [ownGuild]);
  const change = (work: () => Promise<void>) =>
    attempt(async () => {
      try {
        await work();
      } finally {
        await ownGuild.load();
      }
    });
  const props = membership && { around, membership, attempt: change, busy };
  return (
    <div class="guild" data-testid="guild" aria-busy={busy || (!membership && !problem)}>
      <Problem text={refused} testId="guild-problem" />
      {props && (membership.guild ? <OwnGuildView {...props} /> : <GuildFinder {...props} />)}
      {!membership && !problem && <p class="hub-empty">Looking for your guild…</p>}
      <Problem text={problem} testId="guild-load-problem" />
      {problem && (
        <button class="button" onClick={() => ownGuild.load()}>
          Try again
        </button>
      )}
    </div>
  );
}

function OwnGuildView(props: GuildProps) {
  const { around, membership } = props;
  const guild = membership.guild!;
  const talk = () => {
    around.talk.choose(keyOf({ kind: "guild" }));
    around.tab.set("chat");
  };
  const entry = guild.entry === "open" ? "Everybody may join" : "New members are accepted first";
  return (
    <>
      <div class="guild-head">
        <div class="guild-words">
          <h2 data-testid="guild-name">
            {guild.name} {guild.tag && <span class="tag">{guild.tag}</span>}
          </h2>
          <About {...props} />
          <small>
            {guild.members.length} of {guild.limit} members. {entry}.
          </small>
        </div>
        <div class="actions">
          <button class="button" data-testid="guild-talk" onClick={talk}>
            Talk
          </button>
          <Leaving {...props} />
        </div>
      </div>
      <GuildMembers {...props} />
    </>
  );
}

/** The guild's words about itself; its officers can write others. */
function About({ around, membership, attempt, busy }: GuildProps) {
  const { about, members } = membership.guild!;
  const [draft, setDraft] = useState<string>();
  const id = useId();
  const own = members.find((it) => it.userId === around.lobby.user.id);
  const save = (event: Event) => {
    event.preventDefault();
    void attempt(async () => {
      await around.lobby.guilds.change({ about: draft ?? "" });
      setDraft(undefined);
    });
  };
  if (draft === undefined) {
    return (
      <>
        {about && <p data-testid="guild-about">{about}</p>}
        {own && own.role !== "member" && (
          <button
            class="button small quiet"
            disabled={busy}
            data-testid="guild-about-edit"
            onClick={() => setDraft(about)}
          >
            {about ? "Change this text" : "Write something about the guild"}
          </button>
        )}
      </>
    );
  }
  return (
    <form class="stack" onSubmit={save}>
      <div class="field">
        <label for={id}>About the guild</label>
        <textarea
          id={id}
          rows={3}
          value={draft}
          maxLength={ABOUT_CHARS_MAX}
          data-testid="guild-about-text"
          onInput={(event) => setDraft(event.currentTarget.value)}
        />
      </div>
      <div class="actions">
        <button class="button" type="submit" disabled={busy} data-testid="guild-about-save">
          Save
        </button>
        <button class="button quiet" type="button" onClick={() => setDraft(undefined)}>
          Cancel
        </button>
      </div>
    </form>
  );
}

/** Leaving the guild, and for its leader ending it. */
function Leaving({ around, membership, attempt, busy }: GuildProps) {
  const [asked, setAsked] = useState<"leave" | "dissolve" | null>(null);
  const { name, members } = membership.guild!;
  const leads = members.some((it) => it.role === "leader" && it.userId === around.lobby.user.id);
  const alone = members.length === 1;
  const answer = (yes: boolean) => {
    setAsked(null);
    if (!yes) return;
    const { guilds } = around.lobby;
    void attempt(() => (asked === "dissolve" ? guilds.dissolve() : guilds.leave()));
  };
  return (
    <>
      <button
        class="button quiet"
        disabled={busy}
        data-testid="guild-leave"
        onClick={() => setAsked("leave")}
      >
        Leave
      </button>
      {leads && !alone && (
        <button
          class="button quiet"
          disabled={busy}
          data-testid="guild-dissolve"
          onClick={() => setAsked("dissolve")}
        >
          Dissolve
        </button>
      )}
      {asked && (
        <Confirm
          title={asked === "dissolve" ? `Dissolve ${name}?` : `Leave ${name}?`}
          confirm={asked === "dissolve" ? "Dissolve" : "Leave"}
          keep="Stay"
          testId={`guild-${asked}`}
          onAnswer={answer}
        >
          <p>{leavingText(asked === "dissolve", alone, leads)}</p>
        </Confirm>
      )}
    </>
  );
}

function leavingText(dissolve: boolean, alone: boolean, leads: boolean): string {
  if (dissolve)
    return "All members lose their guild, and what it has kept. Nobody can bring it back.";
  if (alone) return "You are its last member: the guild ends with this.";
  return leads ? "Somebody else will lead it." : "To come back you have to join it again.";
}

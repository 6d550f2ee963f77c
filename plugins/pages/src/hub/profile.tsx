// How others see this player.
import type { Profile } from "@scenehost/client";
import { useEffect, useId, useState } from "preact/hooks";
import { Problem, useAttempt } from "../ui/attempt.js";
import { CopyButton } from "../ui/copy.js";
import { Avatar } from "./avatar.js";
import { colorOf, colors } from "./colors.js";
import type { PanelProps } from "./hub.js";

const STATUS_CHARS_MAX = 64;
const ABOUT_CHARS_MAX = 500;

export function ProfilePanel({ around }: PanelProps) {
  const { lobby, faces } = around;
  const [profile, setProfile] = useState<Profile | null>(null);
  const { busy, problem, attempt } = useAttempt();
  const load = async () => setProfile((await lobby.profiles.show([lobby.user.id]))[0] ?? null);
  useEffect(() => void attempt(load), [lobby]);
  const save = (change: { status: string; about: string; avatar: string }) =>
    attempt(async () => {
      const saved = await lobby.profiles.change(change);
      faces.set(saved.userId, saved.avatar);
      setProfile(saved);
    });
  return (
    <div class="profile" aria-busy={busy}>
      {profile && <Form key={profile.userId} profile={profile} busy={busy} onSave={save} />}
      {!profile && busy && <p class="hub-empty">Loading your profile…</p>}
      <Problem text={problem} testId="profile-problem" />
      {!profile && !busy && (
        <button class="button" onClick={() => attempt(load)}>
          Try again
        </button>
      )}
    </div>
  );
}

interface FormProps {
  profile: Profile;
  busy: boolean;
  onSave: (change: { status: string; about: string; avatar: string }) => void;
}

function Form({ profile, busy, onSave }: FormProps) {
  const [status, setStatus] = useState(profile.status);
  const [about, setAbout] = useState(profile.about);
  const [color, setColor] = useState(colorOf(profile.avatar, profile.userId));
  const ids = useId();
  const saved = colorOf(profile.avatar, profile.userId);
  const same = status === profile.status && about === profile.about && color === saved;
  const since = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" }).format(profile.since);
  const submit = (event: Event) => {
    event.preventDefault();
    onSave({ status, about, avatar: color });
  };
  return (
    <>
      <div class="profile-card">
        <Avatar color={color} name={profile.name} />
        <b data-testid="profile-name">{profile.name}</b>
        <p class="profile-status">{status || "No status"}</p>
        <small>Here since {since}</small>
        <OwnId id={profile.userId} />
      </div>
      <form class="profile-form" onSubmit={submit}>
        <div class="field">
          <label for={`${ids}-status`}>Status</label>
          <input
            id={`${ids}-status`}
            value={status}
            maxLength={STATUS_CHARS_MAX}
            placeholder="What are you up to?"
            data-testid="profile-status"
            onInput={(event) => setStatus(event.currentTarget.value)}
          />
        </div>
        <div class="field">
          <label for={`${ids}-about`}>About you</label>
          <textarea
            id={`${ids}-about`}
            rows={3}
            value={about}
            maxLength={ABOUT_CHARS_MAX}
            data-testid="profile-about"
            onInput={(event) => setAbout(event.currentTarget.value)}
          />
        </div>
        <fieldset class="colors">
          <legend>Color</legend>
          {colors.map((it) => (
            <label key={it} class={`color avatar-${it}`} title={it}>
              <input
                type="radio"
                name={`${ids}-color`}
                checked={it === color}
                aria-label={it}
                data-testid={`profile-color-${it}`}
                onChange={() => setColor(it)}
              />
            </label>
          ))}
        </fieldset>
        <button
          class="button primary"
          type="submit"
          disabled={busy || same}
          data-testid="profile-save"
        >
          {same ? "Saved" : "Save"}
        </button>
      </form>
    </>
  );
}

/** What others need to add this player as a friend. */
function OwnId({ id }: { id: string }) {
  return (
    <span class="own-id">
      <code data-testid="own-id">{id}</code>
      <CopyButton text={id} label="Copy your id">
        Copy
      </CopyButton>
    </span>
  );
}

// The button that begins a search, for the player or the whole party.
import type { App } from "../app.js";
import type { Domain } from "../domains.js";
import { leaderOf } from "../hub/party-words.js";

interface PlayProps {
  app: App;
  domain: Domain;
  /** What is played. */
  title: string;
  /** Under which name. */
  name: string;
  disabled: boolean;
  /** It is not the first thing to choose. */
  quiet?: boolean;
}

export function PlayButton({ app, domain, title, name, disabled, quiet = false }: PlayProps) {
  const { party } = app;
  const together = party && party.members.length > 1;
  const led = party && party.leaderId !== app.lobby?.user.id;
  return (
    <button
      class={quiet ? "button" : "button primary"}
      data-testid={`play-${domain}`}
      disabled={disabled || led}
      onClick={() => app.play(domain, name)}
    >
      {led
        ? `${leaderOf(party)} starts for all of you`
        : `Play ${title}${together ? " together" : ""}`}
    </button>
  );
}

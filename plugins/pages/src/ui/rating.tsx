// The word that a game has changed the player's rating.
import type { App } from "../app.js";
import { gameTitle, ratingText } from "../hub/ranking-words.js";
import type { Domain } from "../domains.js";

/** Of this game only, if one is said. It may come some time after the game's end. */
export function RatingNote({ app, domain }: { app: App; domain?: Domain }) {
  const change = app.around?.rating.value;
  const shown = change && (!domain || change.domain === domain) ? change : undefined;
  // The frame is always there, or else screen readers would not tell what comes into it.
  return (
    <p class="rating-note" role="status" data-testid="rating-change">
      {shown && (
        <>
          {gameTitle(shown.domain)} rating <b>{ratingText(shown)}</b>
        </>
      )}
    </p>
  );
}

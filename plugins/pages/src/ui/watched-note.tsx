// What somebody who watches a game has to know, and the way out.
import type { Spectator } from "@scenehost/client";
import type { App } from "../app.js";
import { behindText } from "./running-words.js";

export function WatchedNote({ app, spectator }: { app: App; spectator: Spectator }) {
  return (
    <div class="watched" data-testid="watching" data-over={spectator.end !== undefined}>
      <p role="status">
        {spectator.end ? "The game is over." : `You watch. ${behindText(spectator.delayMs)}`}
      </p>
      <button class="button quiet" data-testid="watch-no-more" onClick={() => app.home()}>
        Back to the games
      </button>
    </div>
  );
}

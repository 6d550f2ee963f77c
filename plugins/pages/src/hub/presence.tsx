// What a user is doing, in words.
import type { Presence } from "@scenehost/client";
import { gameTitle } from "./ranking-words.js";

export function PresenceText({ presence: { state, domain } }: { presence: Presence }) {
  const texts: Record<Presence["state"], string> = {
    OFFLINE: "Offline",
    ONLINE: "Online",
    SEARCHING: "Looking for a game",
    IN_GAME: `Plays ${gameTitle(domain)}`,
    AWAY: "Lost the connection",
  };
  return (
    <span class="presence" data-state={state} data-testid="presence">
      {texts[state]}
    </span>
  );
}

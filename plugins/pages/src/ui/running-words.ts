// What is said of the games that are going on.
import type { FoundScene } from "@scenehost/client";
import { gameOf, isDomain } from "../domains.js";

/** What a game says of itself, in the words of these pages; nothing of it is to be trusted. */
export function describe({ domain, label, players, playersMax }: FoundScene): string {
  if (isDomain(domain) && gameOf[domain] === "gomoku") {
    const moves = numberOf(label?.["moves"]);
    const who = textOf(label?.["players"]) || "Two players";
    return moves === undefined ? who : `${who}, ${moves === 1 ? "1 move" : `${moves} moves`}`;
  }
  if (isDomain(domain) && gameOf[domain] === "hands") {
    const [who, score] = [textOf(label?.["players"]) || "Two players", textOf(label?.["score"])];
    return score ? `${who}, ${score}` : who;
  }
  const crew = `${players} of ${playersMax} players`;
  const [leader, kills] = [textOf(label?.["leader"]), numberOf(label?.["kills"])];
  return leader && kills ? `${crew}, ${leader} leads with ${kills}` : crew;
}

/** How many watch; empty if nobody does. */
export function watchersText(spectators: number): string {
  return spectators === 0 ? "" : spectators === 1 ? "1 watches" : `${spectators} watch`;
}

/** How far behind the players somebody is who watches. */
export function behindText(delayMs: number): string {
  if (delayMs === 0) return "You see what the players see.";
  const seconds = Math.round(delayMs / 100) / 10;
  return `You see the game ${seconds} s after the players do.`;
}

const TEXT_CHARS_MAX = 60;

function textOf(value: unknown): string {
  if (typeof value !== "string") return "";
  return value.length > TEXT_CHARS_MAX ? `${value.slice(0, TEXT_CHARS_MAX)}…` : value;
}

function numberOf(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}

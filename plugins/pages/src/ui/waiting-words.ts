// What is said of a search.
import type { FoundMatch, MatchState } from "@scenehost/client";

/** How a match stands that waits to be accepted. */
export function acceptedText({ players, accepted, youAccepted }: FoundMatch): string {
  const missing = players - accepted;
  if (!youAccepted) {
    const all =
      players === 2 ? "Both of you have to accept" : `All ${players} of you have to accept`;
    return accepted === 0 ? `${all}.` : `${all}. ${accepted} of ${players} have.`;
  }
  return missing === 1 ? "Waiting for 1 more player." : `Waiting for ${missing} more players.`;
}

/** How long it usually takes, as far as that is known. */
export function usualText({ usualWaitMs, waitedMs }: MatchState): string {
  if (usualWaitMs === undefined) return "";
  const usual = spanText(usualWaitMs);
  return waitedMs > usualWaitMs
    ? `This takes longer than usual: most wait no longer than ${usual}.`
    : `Most players of your rating wait no longer than ${usual}.`;
}

/** What the player has wished for and does without by now. */
export function relaxedText({ relaxed }: MatchState): string {
  const names = relaxed.map(propertyTitle);
  if (names.length === 0) return "";
  const list = new Intl.ListFormat("en").format(names);
  return `To find somebody sooner, ${list} ${names.length === 1 ? "does" : "do"} not matter any more.`;
}

export function spanText(ms: number): string {
  const seconds = Math.max(1, Math.ceil(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.ceil(seconds / 60);
  return `${minutes} min`;
}

const PROPERTIES: Readonly<Record<string, string>> = { language: "language", talk: "talking" };

/** A property within a sentence. */
export function propertyTitle(name: string): string {
  return PROPERTIES[name] ?? name;
}

/** At the beginning of a line. */
export function capital(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

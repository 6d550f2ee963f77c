// What is said about parties.
import type { Party, PartyEvent } from "@scenehost/client";
import { gameTitle } from "./ranking-words.js";

/**
 * What an event is worth telling, in a sentence; `before` is the party before it, `own` the player's id.
 * `undefined`: what was told last still stands.
 */
export function newsText(
  event: PartyEvent,
  before: Party | undefined,
  own: string,
): string | undefined {
  if (event.kind === "gone") {
    return event.change === "KICKED" ? "You were removed from the party." : "";
  }
  return event.kind === "changed" ? changeText(event, before, own) : undefined;
}

type Changed = Extract<PartyEvent, { kind: "changed" }>;

function changeText({ party, change, userId }: Changed, before: Party | undefined, own: string) {
  const name = nameOf(userId, party, before);
  const mine = userId === own;
  switch (change) {
    case "CREATED":
    case "CHECK":
      return "";
    case "JOINED":
      return mine ? "" : `${name} has come in.`;
    case "LEFT":
      return `${name} has left.${leaderText(party, before, own)}`;
    case "KICKED":
      return `${name} was removed.`;
    case "LEADER":
      return mine ? "You lead the party now." : `${name} leads the party now.`;
    case "UNINVITED":
      return `${name} is not invited any more.`;
    case "NOT_READY":
      return mine ? "" : `${name} is not ready.`;
    case "CHECK_OVER":
      return "Not everybody was ready in time.";
    case "ALL_READY":
      return "Everybody is ready.";
    default:
      return undefined;
  }
}

/** Who leads in the place of a leader who has left. */
function leaderText(party: Party, before: Party | undefined, own: string): string {
  if (!before || before.leaderId === party.leaderId) return "";
  return party.leaderId === own ? " You lead now." : ` ${leaderOf(party)} leads now.`;
}

function nameOf(userId: string, ...parties: (Party | undefined)[]): string {
  const known = parties.flatMap((it) => (it ? [...it.members, ...it.invited] : []));
  return known.find((it) => it.userId === userId && it.name)?.name ?? "Somebody";
}

export function leaderOf({ leaderId, members }: Party): string {
  return members.find(({ userId }) => userId === leaderId)?.name ?? "The leader";
}

export function checkTitle(domain: string | undefined): string {
  return domain ? `Ready for ${gameTitle(domain)}?` : "Ready?";
}

/** Who has not said yet that they are ready. */
export function waitedFor({ members }: Party): string {
  return namesText(members.filter(({ ready }) => !ready).map(({ name }) => name));
}

/** "Ada, Bob, and Cy" */
export function namesText(names: readonly string[]): string {
  return new Intl.ListFormat("en").format(names);
}

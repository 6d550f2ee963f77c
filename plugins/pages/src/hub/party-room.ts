// The party at one lobby, and invitations: it listens whatever is shown.
import type { Lobby, Party, PartyEvent, PartyInvite } from "@scenehost/client";
import { Store } from "../store.js";
import { newsText } from "./party-words.js";

export class PartyRoom {
  readonly #lobby: Lobby;
  /** The player's party, with the invitations to it that are open. */
  readonly party = new Store<Party | undefined>(undefined);
  /** Invitations that the player can accept. */
  readonly invites = new Store<readonly PartyInvite[]>([]);
  /** What has happened last, in a sentence; empty: nothing that is worth it. */
  readonly news = new Store("");
  #nextEnd: ReturnType<typeof setTimeout> | undefined;

  constructor(lobby: Lobby) {
    this.#lobby = lobby;
    lobby.on("party", (event) => this.#hear(event));
    lobby.on("resumed", ({ complete }) => !complete && this.#look());
  }

  /** Calls `listener` after every change. */
  subscribe(listener: () => void): void {
    for (const store of [this.party, this.invites, this.news]) store.subscribe(listener);
  }

  #hear(event: PartyEvent): void {
    const text = newsText(event, this.party.value, this.#lobby.user.id);
    if (text !== undefined) this.news.set(text);
    this.#look();
  }

  #look(): void {
    const { current, invites } = this.#lobby.party;
    const invited = current?.invited.filter(({ until }) => until.getTime() > Date.now()) ?? [];
    this.party.set(current && { ...current, invited });
    this.invites.set(invites);
    clearTimeout(this.#nextEnd);
    const ends = [...invites, ...invited].map(({ until }) => until.getTime());
    if (ends.length === 0) return;
    // Nobody tells that the time of an invitation is over.
    const leftMs = Math.min(...ends) - Date.now();
    this.#nextEnd = setTimeout(() => this.#look(), Math.max(1, leftMs));
  }
}

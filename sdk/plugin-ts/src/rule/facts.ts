// What a rule is asked about: views of the contract's values, which read of them only what is asked for, since
// each call has little fuel.
import type { RawPlayer, RawProposal, RawTicket } from "./contract.js";

/** A player. What the rule does not say it `knows` is empty or 0. */
export class Player {
  readonly #raw: RawPlayer;
  readonly #words: readonly string[];

  constructor(raw: RawPlayer, words: readonly string[]) {
    this.#raw = raw;
    this.#words = words;
  }

  /** The user's number, the same in every match of this deployment. */
  get user(): bigint {
    return this.#raw.user;
  }

  /** The rating in this domain; 1500 for a newcomer. */
  get rating(): number {
    return this.#raw.rating;
  }

  /** How many games of this domain the player has played. */
  get games(): number {
    return this.#raw.games;
  }

  /** The roles that the player would play, the dearest first. */
  get roles(): string[] {
    return Array.from(this.#raw.roles, (role) => this.#words[role]!);
  }

  /** Whether the player would play a role. */
  plays(role: string): boolean {
    return this.roles.includes(role);
  }

  /** The values of a property. */
  values(property: string): string[] {
    return this.#raw.properties
      .filter(({ name }) => this.#words[name] === property)
      .map(({ value }) => this.#words[value]!);
  }

  /** Whether a property has a value. */
  has(property: string, value: string): boolean {
    return this.values(property).includes(value);
  }
}

/** Who looks for a match together: one player, or a party. */
export class Ticket {
  /** Its players, one or more. */
  readonly players: readonly Player[];
  readonly #raw: RawTicket;
  readonly #words: readonly string[];

  constructor(raw: RawTicket, words: readonly string[]) {
    this.#raw = raw;
    this.#words = words;
    this.players = raw.players.map((player) => new Player(player, words));
  }

  get number(): bigint {
    return this.#raw.number;
  }

  /** How long it has waited, in milliseconds. */
  get waitedMs(): number {
    return Number(this.#raw.waitedMs);
  }

  /** The mean of its players' ratings, towards 0 to a whole number. */
  get meanRating(): number {
    const sum = this.players.reduce((sum, { rating }) => sum + rating, 0);
    return Math.trunc(sum / this.players.length);
  }

  /** The regions in which it can play, with the round trip to each, that of its slowest player. */
  get regions(): { readonly name: string; readonly rttMs: number }[] {
    return this.#raw.regions.map(({ name, rttMs }) => ({ name: this.#words[name]!, rttMs }));
  }

  /** The round trip to a region in milliseconds, if it can play there. */
  rttMs(region: string): number | undefined {
    return this.#raw.regions.find(({ name }) => this.#words[name] === region)?.rttMs;
  }
}

/** A match that could be made. */
export class Proposal {
  readonly tickets: readonly Ticket[];
  /** Where it would be played, if that matters. */
  readonly region: string | undefined;
  readonly #teams: ArrayLike<number>;

  constructor(raw: RawProposal, tickets: readonly Ticket[], words: readonly string[]) {
    this.tickets = Array.from(raw.tickets, (place) => tickets[place]!);
    this.region = raw.region === undefined ? undefined : words[raw.region];
    this.#teams = raw.teams;
  }

  /** All of its players. */
  get players(): Player[] {
    return this.tickets.flatMap(({ players }) => players);
  }

  /** Its teams, in their order. In a game without teams there is one, of everybody. */
  get teams(): Player[][] {
    const teams: Player[][] = [[]];
    this.players.forEach((player, place) => {
      const team = this.#teams[place] ?? 0;
      while (teams.length <= team) teams.push([]);
      teams[team]!.push(player);
    });
    return teams;
  }

  /** The longest round trip to its region in milliseconds, of those that are known. */
  get rttMs(): number | undefined {
    const { region } = this;
    if (region === undefined) return undefined;
    const known = this.tickets.flatMap((ticket) => ticket.rttMs(region) ?? []);
    return known.length === 0 ? undefined : Math.max(...known);
  }
}

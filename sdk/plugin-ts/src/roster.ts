// Who has a seat: kept by the runtime from the events, so that no game has to.
import type { Player, Seat } from "./contract.js";

/** Where the holder of a seat is. */
export type Presence = "expected" | "inside" | "dropped";

export interface Place {
  readonly player: Player;
  presence: Presence;
  /** Messages that could not be read, never reset. */
  unreadable: number;
}

/** Everybody who is inside, dropped or on the way, by seat. */
export class Roster {
  readonly #places: Map<Seat, Place>;

  constructor(places: Iterable<Place>) {
    this.#places = new Map([...places].map((place) => [place.player.seat, place]));
  }

  static expecting(players: readonly Player[]): Roster {
    return new Roster(players.map((player) => placeOf(player, "expected")));
  }

  /** By seat; plain values, for the snapshot. */
  get places(): Place[] {
    return [...this.#places.values()].sort((a, b) => a.player.seat - b.player.seat);
  }

  put(player: Player, presence: Presence): void {
    this.#places.set(player.seat, placeOf(player, presence));
  }

  mark(seat: Seat, presence: Presence): void {
    const place = this.#places.get(seat);
    if (place) place.presence = presence;
  }

  remove(seat: Seat): void {
    this.#places.delete(seat);
  }

  at(seat: Seat): Place | undefined {
    return this.#places.get(seat);
  }
}

function placeOf(player: Player, presence: Presence): Place {
  return { player: { ...player }, presence, unreadable: 0 };
}

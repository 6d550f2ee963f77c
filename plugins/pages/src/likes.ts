// How the player likes to play, as far as the host's domains let players choose that, and the domains themselves.
//
// Invariant: only what a domain has is said to the server, and it is said before a search that may need it:
// `said` waits for that. Each member of a party says their own, so it is said as soon as there is a lobby.
import type { Domain, Lobby, Wish } from "@scenehost/client";
import * as identity from "./identity.js";
import { Store } from "./store.js";
import { problemOf } from "./trouble.js";

/** By property, the value that the player has and wants of the others; any that is not there: any value. */
export type Choices = Readonly<Record<string, string>>;

export class Likes {
  /** As the host told them last; none yet. */
  readonly domains = new Store<readonly Domain[]>([]);
  readonly choices = new Store<Choices>(identity.likes());
  /** Why the host does not know what was chosen. */
  readonly problem = new Store("");
  readonly #lobby: Lobby;
  #said: Promise<void> | undefined;

  constructor(lobby: Lobby) {
    this.#lobby = lobby;
    this.#said = this.#begin();
    // Whoever begins anew there has said nothing.
    lobby.on("resumed", ({ complete }) => {
      if (!complete) this.#said = this.#begin();
    });
  }

  /** Until the host knows what was chosen, or cannot be told; `undefined`: there is nothing to wait for. */
  get said(): Promise<void> | undefined {
    return this.#said;
  }

  domain(name: string): Domain | undefined {
    return this.domains.value.find((domain) => domain.name === name);
  }

  /** Asks the host again which domains there are. What is known stays if it does not answer. */
  async look(): Promise<void> {
    await this.#lobby.domains().then(
      (domains) => this.domains.set(domains),
      () => {},
    );
  }

  /** Chooses a value of a property; empty: any. */
  choose(property: string, value: string): void {
    const { [property]: _, ...others } = this.choices.value;
    this.choices.set(value ? { ...others, [property]: value } : others);
    identity.keepLikes(this.choices.value);
    this.#said = (this.#said ?? Promise.resolve()).then(() => this.#say());
  }

  /** Who has chosen nothing has nothing to say, and no search waits for that. */
  #begin(): Promise<void> | undefined {
    const loaded = this.#load();
    return Object.keys(this.choices.value).length > 0 ? loaded : undefined;
  }

  async #load(): Promise<void> {
    try {
      this.domains.set(await this.#lobby.domains());
      this.problem.set("");
    } catch (error) {
      return this.problem.set(problemOf(error));
    }
    const wish = wishOf(this.domains.value, this.choices.value);
    if (Object.keys(wish.wants ?? {}).length > 0) await this.#say();
  }

  async #say(): Promise<void> {
    try {
      await this.#lobby.setWish(wishOf(this.domains.value, this.choices.value));
      this.problem.set("");
    } catch (error) {
      this.problem.set(problemOf(error));
    }
  }
}

/** What was chosen of that which the domains have. */
export function wishOf(domains: readonly Domain[], choices: Choices): Wish {
  const has: Record<string, string[]> = {};
  const wants: Record<string, string[]> = {};
  for (const { name, values, common } of domains.flatMap(({ properties }) => properties)) {
    const value = choices[name];
    if (value === undefined || !values.includes(value)) continue;
    wants[name] = [value];
    // Nobody has what is one for the whole match.
    if (!common) has[name] = [value];
  }
  return { has, wants };
}

// The games of these pages, and the domains on the host in which they are played.
export const DOMAINS = ["gomoku", "arena", "gomoku-ranked", "rock-paper-scissors"] as const;
export type Domain = (typeof DOMAINS)[number];

export const titles: Record<Domain, string> = {
  gomoku: "Gomoku",
  arena: "Arena",
  "gomoku-ranked": "Gomoku, ranked",
  "rock-paper-scissors": "Rock, paper, scissors",
};

/** What is played there. */
export type Game = "gomoku" | "arena" | "hands";

export const gameOf: Record<Domain, Game> = {
  gomoku: "gomoku",
  arena: "arena",
  "gomoku-ranked": "gomoku",
  "rock-paper-scissors": "hands",
};

export function isDomain(name: string): name is Domain {
  return (DOMAINS as readonly string[]).includes(name);
}

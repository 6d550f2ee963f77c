// The games of these pages, and the domains on the host in which they are played.
export const DOMAINS = ["gomoku", "arena", "gomoku-ranked"] as const;
export type Domain = (typeof DOMAINS)[number];

export const titles: Record<Domain, string> = {
  gomoku: "Gomoku",
  arena: "Arena",
  "gomoku-ranked": "Gomoku, ranked",
};

/** What is played there. */
export const gameOf: Record<Domain, "gomoku" | "arena"> = {
  gomoku: "gomoku",
  arena: "arena",
  "gomoku-ranked": "gomoku",
};

export function isDomain(name: string): name is Domain {
  return (DOMAINS as readonly string[]).includes(name);
}

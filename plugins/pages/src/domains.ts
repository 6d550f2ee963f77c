// The games of these pages, by the names of their domains on the host.
export const DOMAINS = ["gomoku", "arena"] as const;
export type Domain = (typeof DOMAINS)[number];

export const titles: Record<Domain, string> = { gomoku: "Gomoku", arena: "Arena" };

export function isDomain(name: string): name is Domain {
  return (DOMAINS as readonly string[]).includes(name);
}

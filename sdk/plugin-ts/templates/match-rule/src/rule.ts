// {{name}}: beginners meet beginners for a while, and nobody is matched across the sea. Change it into your rule.
//
// Each call is made in a fresh instance, so a rule remembers nothing: it has its configuration and what it is asked.
import {
  exportRule,
  integer,
  MatchRule,
  object,
  optional,
  type Description,
  type Proposal,
  type Read,
  type Ticket,
} from "@scenehost/plugin/rule";

/** What a domain can configure. */
const config = object({
  /** Whoever has played fewer games is a beginner. */
  beginner_games: optional(integer(0, 1_000), 5),
  /** For how long beginners wait for other beginners. */
  beginner_ms: optional(integer(0, 3_600_000), 30_000),
  /** The longest round trip that the game stands. */
  rtt_ms_max: optional(integer(1, 10_000), 120),
});

export class Rule extends MatchRule<Read<typeof config>> {
  static readonly configuration = config;

  override describe(): Description {
    return { knows: ["games", "regions"] };
  }

  override classify({ players }: Ticket) {
    const { beginner_games, beginner_ms } = this.config;
    if (players.some(({ games }) => games >= beginner_games)) return {};
    return { bracket: "beginners", forMs: beginner_ms };
  }

  override judge({ rttMs = 0 }: Proposal) {
    return rttMs > this.config.rtt_ms_max ? "veto" : -rttMs;
  }
}

exportRule(Rule);

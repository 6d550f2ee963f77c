// Who beats whom.

export const HANDS = ["rock", "paper", "scissors"] as const;
export type Hand = (typeof HANDS)[number];

const BEATS: Record<Hand, Hand> = { rock: "scissors", paper: "rock", scissors: "paper" };

/** Which of two hands wins, 0 or 1; null: neither. Who shows nothing loses to who does. */
export function winnerOf(one: Hand | null, other: Hand | null): 0 | 1 | null {
  if (one === other) return null;
  if (one === null) return 1;
  if (other === null) return 0;
  return BEATS[one] === other ? 0 : 1;
}

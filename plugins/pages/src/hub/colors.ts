// The colors that stand for users.

/** The names that a profile's `avatar` may have here. */
export const colors = ["teal", "plum", "amber", "coral", "sky", "moss", "slate", "rose"] as const;
export type Color = (typeof colors)[number];

/** The chosen color; without one always the same for the same player. */
export function colorOf(avatar: string, userId: string): Color {
  const chosen = colors.find((color) => color === avatar);
  return chosen ?? colors[Number.parseInt(userId.slice(-2), 16) % colors.length] ?? "slate";
}

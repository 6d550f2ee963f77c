// The picture of a player: a color that they have chosen, and the first letter of their name.

/** The names that a profile's `avatar` may have here. */
export const colors = ["teal", "plum", "amber", "coral", "sky", "moss", "slate", "rose"] as const;
export type Color = (typeof colors)[number];

/** The chosen color; without one always the same for the same player. */
export function colorOf(avatar: string, userId: string): Color {
  const chosen = colors.find((color) => color === avatar);
  return chosen ?? colors[Number.parseInt(userId.slice(-2), 16) % colors.length] ?? "slate";
}

export function Avatar({ color, name }: { color: Color; name: string }) {
  const letter = [...name.trim()][0]?.toUpperCase() ?? "?";
  return (
    <span class={`avatar avatar-${color}`} aria-hidden="true">
      {letter}
    </span>
  );
}

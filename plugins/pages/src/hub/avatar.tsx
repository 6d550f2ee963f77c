// The picture of a player: a color that they have chosen, and the first letter of their name.
import { useStore } from "../ui/use-store.js";
import type { Color } from "./colors.js";
import type { Faces } from "./faces.js";

export function Avatar({ color, name }: { color: Color; name: string }) {
  const letter = [...name.trim()][0]?.toUpperCase() ?? "?";
  return (
    <span class={`avatar avatar-${color}`} aria-hidden="true">
      {letter}
    </span>
  );
}

/** The picture of any user. */
export function Face({ faces, userId, name }: { faces: Faces; userId: string; name: string }) {
  useStore(faces.avatars);
  return <Avatar color={faces.of(userId)} name={name} />;
}

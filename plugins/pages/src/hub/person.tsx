// A line about a user: the picture, the name, what there is to say, and what can be done.
import type { ComponentChildren } from "preact";
import { Face } from "./avatar.js";
import type { Around } from "./around.js";

interface PersonProps {
  around: Around;
  userId: string;
  name: string;
  note?: ComponentChildren;
  testId: string;
  children?: ComponentChildren;
}

export function Person({ around, userId, name, note, testId, children }: PersonProps) {
  const own = userId === around.lobby.user.id;
  return (
    <li class="person" data-testid={testId} data-user={userId}>
      <Face faces={around.faces} userId={userId} name={name} />
      <span class="person-words">
        <b>
          {name}
          {own && <span class="person-own"> (you)</span>}
        </b>
        {note && <small>{note}</small>}
      </span>
      <span class="person-actions">{children}</span>
    </li>
  );
}

// What goes on around the games at one lobby. It listens whatever is shown, so that nothing that is
// told once is missed by a panel that is not there.
import type { Lobby, RatingChange } from "@scenehost/client";
import { Store } from "../store.js";
import { Faces } from "./faces.js";
import { OwnGuild } from "./own-guild.js";
import { Talk } from "./talk.js";

export class Around {
  /** The panel that is chosen. */
  readonly tab = new Store("chat");
  /** What the last game has changed, until the next one begins. */
  readonly rating = new Store<RatingChange | undefined>(undefined);
  readonly faces: Faces;
  readonly ownGuild: OwnGuild;
  readonly talk: Talk;

  constructor(readonly lobby: Lobby) {
    this.faces = new Faces(lobby);
    this.ownGuild = new OwnGuild(lobby);
    this.talk = new Talk(lobby, this.ownGuild);
    lobby.on("rating", (change) => this.rating.set(change));
  }

  /** Shows the conversation with a user. */
  talkWith(userId: string, name: string): void {
    this.talk.openDirect(userId, name);
    this.tab.set("chat");
  }
}

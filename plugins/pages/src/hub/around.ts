// What goes on around the games at one lobby. It listens whatever is shown, so that nothing that is
// told once is missed by a panel that is not there.
import type { Lobby } from "@scenehost/client";
import { Store } from "../store.js";
import { Faces } from "./faces.js";
import { OwnGuild } from "./own-guild.js";
import { Talk } from "./talk.js";

export class Around {
  /** The panel that is chosen. */
  readonly tab = new Store("chat");
  readonly faces: Faces;
  readonly ownGuild: OwnGuild;
  readonly talk: Talk;

  constructor(readonly lobby: Lobby) {
    this.faces = new Faces(lobby);
    this.ownGuild = new OwnGuild(lobby);
    this.talk = new Talk(lobby, this.ownGuild);
  }

  /** Shows the conversation with a user. */
  talkWith(userId: string, name: string): void {
    this.talk.openDirect(userId, name);
    this.tab.set("chat");
  }
}

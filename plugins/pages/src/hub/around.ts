// What goes on around the games at one lobby. It listens whatever is shown, so that nothing that is
// told once is missed by a panel that is not there.
import type { Lobby, RatingChange } from "@scenehost/client";
import { Likes } from "../likes.js";
import { Store } from "../store.js";
import {
  keepFriends,
  keepGuild,
  keepMail,
  type FriendBook,
  type Mail,
  type Membership,
} from "./book.js";
import { Counter } from "./counter.js";
import { Faces } from "./faces.js";
import type { Kept } from "./kept.js";
import { PartyRoom } from "./party-room.js";
import { Talk } from "./talk.js";

export class Around {
  /** The panel that is chosen. */
  readonly tab = new Store("chat");
  /** What the last game has changed, until the next one begins. */
  readonly rating = new Store<RatingChange | undefined>(undefined);
  readonly faces: Faces;
  readonly ownGuild: Kept<Membership>;
  readonly friends: Kept<FriendBook>;
  readonly mail: Kept<Mail>;
  readonly counter: Counter;
  readonly party: PartyRoom;
  readonly talk: Talk;
  /** How the player likes to play, and what there is. */
  readonly likes: Likes;

  constructor(readonly lobby: Lobby) {
    this.faces = new Faces(lobby);
    this.ownGuild = keepGuild(lobby);
    this.friends = keepFriends(lobby);
    this.mail = keepMail(lobby);
    this.counter = new Counter(lobby);
    this.party = new PartyRoom(lobby);
    this.talk = new Talk(lobby, this.ownGuild, this.party.party);
    this.likes = new Likes(lobby);
    lobby.on("rating", (change) => this.rating.set(change));
  }

  /** Shows the conversation with a user. */
  talkWith(userId: string, name: string): void {
    this.talk.openDirect(userId, name);
    this.tab.set("chat");
  }
}

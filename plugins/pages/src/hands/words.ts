// What the page says about a match of rock, paper, scissors.
import type { SceneEnd } from "@scenehost/client";
import { other, type Game, type Hand, type Refusal, type Seat } from "./game.js";

export interface Told {
  title: string;
  text: string;
}

/** How the match stands, for a player. */
export function statusText(game: Game, me: Seat): Told {
  const them = game.names[other(me)];
  if (game.phase === "waiting")
    return { title: `Waiting for ${them || "the other player"}`, text: "" };
  if (game.phase === "choosing") {
    if (game.yours === null) return { title: "Choose", text: refusedText(game.refused) };
    const text = game.chosen[other(me)] ? "" : `${them} has not chosen yet.`;
    return { title: `You take ${game.yours}`, text };
  }
  return roundText(game, me);
}

/** How the match stands, for somebody who watches it. */
export function watchedText(game: Game): Told {
  const [one, two] = game.names;
  if (game.phase === "waiting") return { title: `${one} against ${two}`, text: "Not begun yet." };
  if (game.phase === "choosing")
    return { title: "Both choose", text: `Who wins ${game.target} rounds wins the match.` };
  if (game.over) {
    const { winner, reason } = game.over;
    if (winner === null) return { title: "A draw", text: "" };
    return {
      title: `${game.names[winner]} wins`,
      text: reasonText(game.names[other(winner)], reason),
    };
  }
  return roundText(game, undefined);
}

/** How the last round went. */
export function roundText({ last, names }: Game, me: Seat | undefined): Told {
  if (!last) return { title: "One moment", text: "" };
  const { hands, winner } = last;
  if (winner === null) {
    return {
      title: "Nobody wins the round",
      text: hands[0] ? "Both took the same." : "Nobody chose.",
    };
  }
  const [best, worse] = [hands[winner], hands[other(winner)]];
  const who = winner === me ? "You win" : `${names[winner]} wins`;
  const text =
    best && worse ? beatsText(best, worse) : `${nameOf(names, other(winner), me)} chose nothing.`;
  return { title: `${who} the round`, text };
}

function nameOf(names: Game["names"], seat: Seat, me: Seat | undefined): string {
  return seat === me ? "You" : names[seat];
}

function beatsText(hand: Hand, other: Hand): string {
  const verbs: Record<Hand, string> = { rock: "blunts", paper: "wraps", scissors: "cut" };
  return `${hand[0]!.toUpperCase()}${hand.slice(1)} ${verbs[hand]} ${other}.`;
}

/** How the match ended, for `me`; `end` is the server's word, if the game's own did not arrive. */
export function resultText(game: Game, me: Seat, end?: SceneEnd): Told {
  const them = game.names[other(me)];
  const { over } = game;
  if (!over) {
    const places = new Map(end?.results.map(({ seat, place }) => [seat, place]));
    const [mine, theirs] = [places.get(me), places.get(other(me))];
    if (mine === undefined || theirs === undefined) {
      return { title: "The match ended", text: "It was not played to its end." };
    }
    const title = mine === theirs ? "A draw" : mine < theirs ? "You win" : `${them} wins`;
    return { title, text: "It ended while you were away." };
  }
  const { winner, reason } = over;
  if (winner === null) {
    const text = reason === "nobody_plays" ? "Nobody chose any more." : "All rounds are played.";
    return { title: reason === "nobody_plays" ? "The match ended" : "A draw", text };
  }
  const loser = winner === me ? them : "You";
  return { title: winner === me ? "You win" : `${them} wins`, text: reasonText(loser, reason) };
}

function reasonText(loser: string, reason: NonNullable<Game["over"]>["reason"]): string {
  if (reason === "resigned") return `${loser} resigned.`;
  if (reason === "left") return `${loser} left the match.`;
  return reason === "last_round" ? "All rounds are played." : "";
}

function refusedText(refused: Refusal | null): string {
  if (refused === null) return "";
  const texts: Record<Refusal, string> = {
    not_choosing: "That was too late: the round is over.",
    other_round: "That was too late: it is another round.",
    chosen_already: "You have chosen already.",
    unreadable: "The game could not read that; reload the page.",
  };
  return texts[refused];
}

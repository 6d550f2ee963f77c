// What the page says about a game of Gomoku.
import type { SceneEnd } from "@scenehost/client";
import { other, type Game, type Refusal, type Seat } from "./game.js";

/** How the game stands, in one line. */
export function statusText(game: Game, me: Seat): string {
  const them = game.names[other(me)];
  if (game.phase === "waiting") return `Waiting for ${them}`;
  if (game.phase === "over") return resultText(game, me).title;
  return game.turn === me ? "Your turn" : `${them} is thinking`;
}

/** How the game ended, for `me`; `end` is the server's word, if the game's own did not arrive. */
export function resultText(game: Game, me: Seat, end?: SceneEnd): { title: string; text: string } {
  const over = game.over;
  if (!over) return endText(game, me, end);
  const them = game.names[other(me)];
  const won = over.winner === me;
  const loser = won ? them : "You";
  const reasons: Record<typeof over.reason, string> = {
    five: won ? "Five in a row." : `${them} has five in a row.`,
    resign: `${loser} resigned.`,
    time: `${loser} ran out of time.`,
    left: `${loser} left the game.`,
    draw: "By agreement.",
    full: "The board is full.",
  };
  const title = over.winner === null ? "A draw" : won ? "You win" : `${them} wins`;
  return { title, text: reasons[over.reason] };
}

/** How the game stands, for somebody who watches it. */
export function watchedText(game: Game): { title: string; text: string } {
  const [one, two] = game.names;
  if (game.phase === "waiting") return { title: `${one} against ${two}`, text: "Not begun yet." };
  if (game.turn !== null) {
    return { title: `${game.names[game.turn]} is thinking`, text: `Game ${game.number}` };
  }
  const { over } = game;
  if (!over) return { title: "The game ended", text: "" };
  if (over.winner === null) return { title: "A draw", text: "" };
  const [winner, loser] = [game.names[over.winner], game.names[other(over.winner)]];
  const reasons: Record<typeof over.reason, string> = {
    five: "Five in a row.",
    resign: `${loser} resigned.`,
    time: `${loser} ran out of time.`,
    left: `${loser} left the game.`,
    draw: "",
    full: "",
  };
  return { title: `${winner} wins`, text: reasons[over.reason] };
}

function endText(game: Game, me: Seat, end?: SceneEnd): { title: string; text: string } {
  const places = new Map(end?.results.map(({ seat, place }) => [seat, place]));
  const [mine, theirs] = [places.get(me), places.get(other(me))];
  if (mine === undefined || theirs === undefined) {
    return { title: "The game ended", text: "It was not played to its end." };
  }
  const them = game.names[other(me)];
  const title = mine === theirs ? "A draw" : mine < theirs ? "You win" : `${them} wins`;
  return { title, text: "It ended while you were away." };
}

/** What to tell besides the status; empty for nothing. */
export function noteText(game: Game, me: Seat): string {
  const { note } = game;
  if (!note) return "";
  if ("refused" in note) return refusals[note.refused];
  return note.draw_declined === me
    ? "You declined the draw."
    : `${game.names[other(me)]} declined the draw.`;
}

const refusals: Record<Refusal, string> = {
  not_your_turn: "It is not your turn.",
  occupied: "That point is taken.",
  off_board: "That point is not on the board.",
  not_playing: "The game is not running.",
  no_offer: "There is no draw offer any more.",
  unreadable: "The game could not read that; reload the page.",
};

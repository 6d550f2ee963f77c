// A game of Gomoku at a moment, as somebody saw it.
import { useMemo } from "preact/hooks";
import { reduce, type Event, type Game } from "../gomoku/game.js";
import { Table } from "../gomoku/table.js";
import { noteText, statusText, resultText, watchedText } from "../gomoku/words.js";
import { tellings } from "./games.js";
import type { StageProps } from "./stage.js";
import { Follower, SPECTATORS } from "./viewpoint.js";

export function GomokuStage({ told, viewpoint, moment, missing }: StageProps) {
  const follower = useMemo(
    () =>
      new Follower<Game | null>(
        told.messages,
        tellings.gomoku,
        () => null,
        // What was checked when it was read is one of the game's messages.
        (game, { body, ms }) => reduce(game, body as unknown as Event, ms),
      ),
    [told],
  );
  const game = follower.at(moment);
  const me = viewpoint === SPECTATORS ? undefined : viewpoint === 0 ? 0 : 1;
  const { title, text } = !game
    ? { title: "Nothing to show", text: missing }
    : me === undefined
      ? watchedText(game)
      : {
          title: statusText(game, me),
          text: game.over ? resultText(game, me).text : noteText(game, me),
        };
  return (
    <Table game={game} me={me} testId="replay-gomoku" atMs={moment.ms}>
      <p class="status" data-testid="status">
        {title}
      </p>
      <p class="note">{text}</p>
    </Table>
  );
}

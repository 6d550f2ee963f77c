// The table of a game of Gomoku for somebody who watches it.
import type { Spectator } from "@scenehost/client";
import { useEffect, useState } from "preact/hooks";
import type { App } from "../app.js";
import { WatchedNote } from "../ui/watched-note.js";
import { Board } from "./board.js";
import { reduce, type Event, type Game } from "./game.js";
import { PlayerCard } from "./player.js";
import { watchedText } from "./words.js";

const ignore = () => {};

export function GomokuWatched({ app, spectator }: { app: App; spectator: Spectator }) {
  const [game, setGame] = useState<Game | null>(null);
  useEffect(
    () =>
      spectator.onJson<Event>((event) =>
        setGame((before) => reduce(before, event, performance.now())),
      ),
    [spectator],
  );
  const { title, text } = game
    ? watchedText(game)
    : { title: spectator.end ? "The game ended" : "One moment", text: "" };
  return (
    <div class="gomoku" data-testid="gomoku-watched" data-phase={game?.phase}>
      {game && <PlayerCard game={game} seat={1} me={undefined} />}
      <Board
        moves={game?.moves ?? []}
        line={game?.over?.line ?? []}
        hand={null}
        preview={null}
        onPreview={ignore}
        onPlace={ignore}
      />
      {game && <PlayerCard game={game} seat={0} me={undefined} />}
      <div class="panel">
        <p class="status" role="status" data-testid="status">
          {title}
        </p>
        <p class="note">{text}</p>
        <WatchedNote app={app} spectator={spectator} />
      </div>
    </div>
  );
}

// A match of rock, paper, scissors for somebody who watches it.
import type { Spectator } from "@scenehost/client";
import { useEffect, useState } from "preact/hooks";
import type { App } from "../app.js";
import { WatchedNote } from "../ui/watched-note.js";
import { reduce, type Event, type Game } from "./game.js";
import { Table } from "./table.js";
import { watchedText } from "./words.js";

export function HandsWatched({ app, spectator }: { app: App; spectator: Spectator }) {
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
    : { title: spectator.end ? "The match ended" : "One moment", text: "" };
  return (
    <Table game={game} me={undefined} testId="hands-watched">
      <div class="hands-status">
        <p class="status" role="status" data-testid="status">
          {title}
        </p>
        <p class="note">{text}</p>
      </div>
      <WatchedNote app={app} spectator={spectator} />
    </Table>
  );
}

// The games that are going on: some can be joined, some watched.
import type { FoundScene } from "@scenehost/client";
import { useEffect, useState } from "preact/hooks";
import type { App } from "../app.js";
import { gameOf, isDomain, titles } from "../domains.js";
import { problemOf } from "../trouble.js";
import { describe, watchersText } from "./running-words.js";

/** How often the list is asked for anew while it is shown. */
const REFRESH_MS = 3_000;
const SHOWN_MAX = 12;

interface RunningProps {
  app: App;
  /** Under which name the player joins. */
  name: string;
  /** No game can be entered now. */
  closed: boolean;
}

export function Running({ app, name, closed }: RunningProps) {
  const { lobby } = app;
  const [games, setGames] = useState<readonly FoundScene[] | undefined>();
  const [problem, setProblem] = useState("");
  useEffect(() => {
    if (!lobby || closed) return;
    let over = false;
    const refresh = async () => {
      if (lobby.dropped) return;
      try {
        const { scenes } = await lobby.findScenes({ limit: SHOWN_MAX });
        if (over) return;
        setGames(scenes);
        setProblem("");
      } catch (error) {
        if (!over) setProblem(problemOf(error));
      }
    };
    void refresh();
    const timer = setInterval(() => void refresh(), REFRESH_MS);
    return () => {
      over = true;
      clearInterval(timer);
    };
  }, [lobby, closed]);
  const together = (app.party?.members.length ?? 1) > 1;
  const known = games?.filter(({ domain }) => isDomain(domain)) ?? [];
  return (
    <section class="running" aria-labelledby="running-title" data-testid="running">
      <h2 id="running-title">Games going on</h2>
      {problem && (
        <p class="note" role="alert" data-testid="running-problem">
          {problem}
        </p>
      )}
      {known.length === 0 ? (
        <p class="note" data-testid="running-none">
          {games ? "Nobody plays right now. Start a game, and others can watch it." : "Looking…"}
        </p>
      ) : (
        <ul>
          {known.map((game) => (
            <Row
              key={game.sceneId}
              app={app}
              game={game}
              name={name}
              closed={closed}
              together={together}
            />
          ))}
        </ul>
      )}
    </section>
  );
}

interface RowProps extends RunningProps {
  game: FoundScene;
  /** Who is in a party with others does not join alone. */
  together: boolean;
}

function Row({ app, game, name, closed, together }: RowProps) {
  const { sceneId, domain, canJoin, canWatch, spectators } = game;
  if (!isDomain(domain)) return null;
  const watchers = watchersText(spectators);
  return (
    <li data-testid="running-game" data-scene={sceneId} data-domain={domain}>
      <span class={`running-mark running-${gameOf[domain]}`} aria-hidden="true" />
      <span class="running-words">
        <b>{titles[domain]}</b>
        <span>{describe(game)}</span>
      </span>
      <small>{watchers}</small>
      <span class="actions">
        {canJoin && (
          <button
            class="button primary"
            data-testid="join-game"
            disabled={closed || together}
            title={together ? "Your party starts games together" : undefined}
            onClick={() => app.join(sceneId, name)}
          >
            Join
          </button>
        )}
        {canWatch && (
          <button
            class="button"
            data-testid="watch-game"
            disabled={closed}
            onClick={() => app.watch(domain, sceneId)}
          >
            Watch
          </button>
        )}
      </span>
    </li>
  );
}

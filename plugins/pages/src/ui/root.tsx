// Shows the app's view, and moves the focus to it when it changes, so that nobody is left behind.
import { useEffect, useReducer, useRef } from "preact/hooks";
import type { App, View } from "../app.js";
import { PartyNotices } from "../hub/party-notices.js";
import { Arena } from "../arena/arena.js";
import { ArenaWatched } from "../arena/watched.js";
import { Hands } from "../hands/hands.js";
import { HandsWatched } from "../hands/watched.js";
import { Gomoku } from "../gomoku/gomoku.js";
import { GomokuWatched } from "../gomoku/watched.js";
import { gameOf } from "../domains.js";
import { Header } from "./header.js";
import { Reconnecting } from "./reconnecting.js";
import { Home } from "./home.js";
import { Connecting, Waiting } from "./waiting.js";
import { TroubleView } from "./trouble.js";

/** What shows each game to who plays it, and to who watches. */
const PLAYED = { gomoku: Gomoku, arena: Arena, hands: Hands };
const WATCHED = { gomoku: GomokuWatched, arena: ArenaWatched, hands: HandsWatched };

export function Root({ app }: { app: App }) {
  const [, redraw] = useReducer((count: number) => count + 1, 0);
  useEffect(() => app.subscribe(() => redraw(undefined)), [app]);
  const { view } = app;
  const main = useRef<HTMLElement>(null);
  const shown = useRef(view.at);
  useEffect(() => {
    if (shown.current !== view.at) main.current?.focus({ preventScroll: true });
    shown.current = view.at;
  }, [view.at]);
  return (
    <div class="page" data-view={view.at}>
      <Header app={app} />
      <Reconnecting dropped={app.dropped !== undefined} playing={view.at === "playing"} />
      <main ref={main} tabIndex={-1}>
        <Body app={app} view={view} />
      </main>
      <PartyNotices app={app} />
    </div>
  );
}

function Body({ app, view }: { app: App; view: View }) {
  switch (view.at) {
    case "connecting":
      return <Connecting text={view.text} />;
    case "home":
      return <Home app={app} />;
    case "waiting":
      return <Waiting app={app} view={view} />;
    case "trouble":
      return <TroubleView app={app} trouble={view.trouble} />;
    case "playing": {
      const Table = PLAYED[gameOf[view.domain]];
      return <Table key={view.scene.sceneId} app={app} scene={view.scene} />;
    }
    case "watching": {
      const Table = WATCHED[gameOf[view.domain]];
      return <Table key={view.spectator.sceneId} app={app} spectator={view.spectator} />;
    }
  }
}

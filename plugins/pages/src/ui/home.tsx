// Home: a name and a game.
import type { ServiceName } from "@scenehost/client";
import { useEffect, useState } from "preact/hooks";
import type { App } from "../app.js";
import { titles } from "../domains.js";
import type { Around } from "../hub/around.js";
import { Hub } from "../hub/hub.js";
import { PartyBar } from "../hub/party-bar.js";
import { chosenName } from "../identity.js";
import { AccountPanel } from "./account.js";
import { PlayButton } from "./play-button.js";
import { Ranked } from "./ranked.js";
import { RatingNote } from "./rating.js";
import { Running } from "./running.js";
import { useStore } from "./use-store.js";
import { ArenaArt, GomokuArt, HandsArt } from "./art.js";

/** Without these nobody gets into a game. */
const NEEDED: readonly ServiceName[] = ["LOBBY", "MATCH", "SCENE_MASTER", "SCENE_SERVICE", "DB"];
const NAME_CHARS_MAX = 32;

const games = [
  {
    domain: "gomoku",
    art: <GomokuArt />,
    text: "Five stones in a row on a board of fifteen by fifteen. Take turns, mind the clock.",
    facts: ["2 players", "Turns", "5 min each"],
    more: "gomoku-ranked",
  },
  {
    domain: "arena",
    art: <ArenaArt />,
    text: "Small ships, straight shots, and walls to hide behind. Most hits win the round.",
    facts: ["2 to 8 players", "Real time", "3 min rounds"],
    more: undefined,
  },
] as const;

/** Its component takes seconds to compile, so a host may come to have it while it runs, or have it never. */
const lateGame = {
  domain: "rock-paper-scissors",
  art: <HandsArt />,
  text: "Both choose at once, unseen. Who wins three rounds wins the match.",
  facts: ["2 players", "15 s a round", "In TypeScript"],
  more: undefined,
} as const;
/** How often it is looked for, and how many times. */
const LOOK_MS = 4_000;
const LOOKS_MAX = 60;

export function Home({ app }: { app: App }) {
  const [name, setName] = useState(chosenName() || app.lobby?.user.name || "");
  const closed = NEEDED.some((service) => app.lobby?.servicesDown.has(service));
  return (
    <div class="home">
      <section class="hero">
        <h1>Pick a game, meet someone, play.</h1>
        <p>
          Each game is a sandboxed component on this host. Alone? Open this page in a second window:
          every window is a player of its own.
        </p>
        {app.hasAccount || app.party ? (
          <div class="name">
            <span>You play as</span>
            <b data-testid="player-name">{app.lobby?.user.name}</b>
          </div>
        ) : (
          <NameInput
            name={name}
            onName={(name) => {
              setName(name);
              app.chooseName(name);
            }}
          />
        )}
        <RatingNote app={app} />
      </section>
      {closed && (
        <p class="banner" role="alert" data-testid="services-closed">
          New games cannot start right now. This page tells as soon as they can.
        </p>
      )}
      <PartyBar app={app} />
      <ul class="games">
        {games.map((game) => (
          <GameCard key={game.domain} app={app} game={game} name={name} closed={closed} />
        ))}
        {app.around && (
          <LateGame app={app} around={app.around} game={lateGame} name={name} closed={closed} />
        )}
      </ul>
      <Running app={app} name={name} closed={closed} />
      <Hub app={app} />
      <AccountPanel app={app} />
      <p class="home-foot">
        <a href="./replay/" data-testid="replay-link">
          Play back a match
        </a>
      </p>
    </div>
  );
}

interface GameProps {
  app: App;
  game: (typeof games)[number] | typeof lateGame;
  name: string;
  closed: boolean;
}

function GameCard({ app, game, name, closed }: GameProps) {
  const { domain, art, text, facts, more } = game;
  return (
    <li class={`game game-${domain}`}>
      <div class="game-art">{art}</div>
      <div class="game-body">
        <h2>{titles[domain]}</h2>
        <p>{text}</p>
        <ul class="facts">
          {facts.map((fact) => (
            <li key={fact}>{fact}</li>
          ))}
        </ul>
        <div class="game-ways">
          <PlayButton
            app={app}
            domain={domain}
            title={titles[domain]}
            name={name}
            disabled={closed}
          />
          {more && <Ranked app={app} domain={more} name={name} disabled={closed} />}
        </div>
      </div>
    </li>
  );
}

/** A game that is shown as soon as the host has it. */
function LateGame({ around, ...card }: GameProps & { around: Around }) {
  const { domain } = card.game;
  const isThere = useStore(around.likes.domains).some(({ name }) => name === domain);
  useEffect(() => {
    if (isThere) return;
    let looks = 0;
    const timer = setInterval(() => {
      looks += 1;
      if (looks === LOOKS_MAX) clearInterval(timer);
      void around.likes.look();
    }, LOOK_MS);
    return () => clearInterval(timer);
  }, [around, isThere]);
  return isThere ? <GameCard {...card} /> : null;
}

function NameInput({ name, onName }: { name: string; onName: (name: string) => void }) {
  return (
    <label class="name">
      <span>Your name</span>
      <input
        data-testid="name"
        type="text"
        value={name}
        maxLength={NAME_CHARS_MAX}
        autocomplete="nickname"
        spellcheck={false}
        placeholder="Anyone"
        onInput={(event) => onName(event.currentTarget.value)}
      />
    </label>
  );
}

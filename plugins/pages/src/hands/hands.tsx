// A match of rock, paper, scissors for who plays it.
import type { Scene, SceneEnd } from "@scenehost/client";
import { useEffect, useMemo, useState } from "preact/hooks";
import type { App } from "../app.js";
import { Confirm } from "../ui/dialog.js";
import { RatingNote } from "../ui/rating.js";
import {
  HANDS,
  other,
  picked,
  reduce,
  type Command,
  type Event,
  type Game,
  type Hand,
  type Seat,
} from "./game.js";
import { HandPicture } from "./pictures.js";
import { Table } from "./table.js";
import { resultText, statusText } from "./words.js";

export function Hands({ app, scene }: { app: App; scene: Scene }) {
  const channel = useMemo(() => scene.json<Event, Command>(), [scene]);
  const [game, setGame] = useState<Game | null>(null);
  useEffect(
    () => channel.on((event) => setGame((before) => reduce(before, event, performance.now()))),
    [channel],
  );
  if (!game) {
    const text = scene.end?.text ?? "";
    return scene.end ? <Aftermath app={app} title="The match ended" text={text} /> : null;
  }

  const me: Seat = scene.seat === 0 ? 0 : 1;
  const send = (command: Command) => {
    if (!scene.gone) channel.send(command);
  };
  const choose = (hand: Hand) => {
    setGame((before) => before && picked(before, hand));
    send({ type: "choose", round: game.round, hand });
  };
  const over = game.phase === "over" || scene.end;
  // During a drop nothing shows whether a hand is taken, so none can be chosen.
  const mayChoose = game.phase === "choosing" && game.yours === null && !scene.dropped;
  return (
    <Table game={game} me={me} testId="hands">
      {over ? (
        <Result app={app} game={game} me={me} end={scene.end} />
      ) : (
        <>
          <Status game={game} me={me} />
          <div class="hands-choices" role="group" aria-label="Your hand">
            {HANDS.map((hand) => (
              <button
                key={hand}
                class="hands-choice"
                data-testid={`choose-${hand}`}
                aria-pressed={game.phase === "choosing" && game.yours === hand}
                disabled={!mayChoose}
                onClick={() => choose(hand)}
              >
                <HandPicture hand={hand} />
                {hand[0]!.toUpperCase() + hand.slice(1)}
              </button>
            ))}
          </div>
          <Actions app={app} game={game} me={me} send={send} />
        </>
      )}
    </Table>
  );
}

function Status({ game, me }: { game: Game; me: Seat }) {
  const { title, text } = statusText(game, me);
  return (
    <div class="hands-status">
      <p class="status" role="status" data-testid="status">
        {title}
      </p>
      <p class="note" aria-live="polite" data-testid="note">
        {text}
      </p>
    </div>
  );
}

interface GameProps {
  app: App;
  game: Game;
  me: Seat;
}

function Actions({ app, game, me, send }: GameProps & { send: (command: Command) => void }) {
  const [asked, setAsked] = useState<"resign" | "leave" | null>(null);
  if (game.phase === "waiting") {
    return (
      <button class="button" data-testid="leave" onClick={() => app.leave()}>
        Leave
      </button>
    );
  }
  return (
    <>
      <div class="actions">
        <button class="button" data-testid="resign" onClick={() => setAsked("resign")}>
          Resign
        </button>
        <button class="button quiet" data-testid="leave" onClick={() => setAsked("leave")}>
          Leave
        </button>
      </div>
      {asked && (
        <Confirm
          title={asked === "resign" ? "Resign this match?" : "Leave the table?"}
          confirm={asked === "resign" ? "Resign" : "Leave"}
          testId={asked}
          onAnswer={(yes) => {
            setAsked(null);
            if (yes && asked === "resign") send({ type: "resign" });
            if (yes && asked === "leave") app.leave();
          }}
        >
          <p>{game.names[other(me)]} wins this match.</p>
        </Confirm>
      )}
    </>
  );
}

function Result({ app, game, me, end }: GameProps & { end: SceneEnd | undefined }) {
  const { title, text } = resultText(game, me, end);
  const [mine, theirs] = [game.score[me], game.score[other(me)]];
  const score = game.over ? `${mine} : ${theirs}` : "";
  const won = game.over?.winner === me;
  return (
    <Aftermath app={app} title={title} text={[score, text].filter(Boolean).join(". ")} won={won} />
  );
}

interface AftermathProps {
  app: App;
  title: string;
  text: string;
  won?: boolean;
}

function Aftermath({ app, title, text, won }: AftermathProps) {
  return (
    <section class="result" data-testid="result" data-won={won}>
      <h1 aria-live="polite" data-testid="result-title">
        {title}
      </h1>
      <p data-testid="result-text">{text}</p>
      <RatingNote app={app} domain="rock-paper-scissors" />
      <div class="actions">
        <button
          class="button primary"
          data-testid="new-match"
          onClick={() => app.play("rock-paper-scissors")}
        >
          New opponent
        </button>
        <button class="button quiet" data-testid="back" onClick={() => app.leave()}>
          Back to the games
        </button>
      </div>
    </section>
  );
}

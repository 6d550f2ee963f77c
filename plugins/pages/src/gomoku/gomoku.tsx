// The table of a game of Gomoku: the board, both players, and what can be done now.
import type { Scene, SceneEnd } from "@scenehost/client";
import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import type { App } from "../app.js";
import { Confirm } from "../ui/dialog.js";
import { RatingNote } from "../ui/rating.js";
import {
  other,
  pointName,
  reduce,
  stoneOf,
  type Command,
  type Event,
  type Game,
  type Point,
  type Seat,
} from "./game.js";
import { Table } from "./table.js";
import { noteText, resultText, statusText } from "./words.js";

export function Gomoku({ app, scene }: { app: App; scene: Scene }) {
  const channel = useMemo(() => scene.json<Event, Command>(), [scene]);
  const [game, setGame] = useState<Game | null>(null);
  const [preview, setPreview] = useState<Point | null>(null);
  useEffect(
    () =>
      channel.on((event) => {
        setGame((before) => reduce(before, event, performance.now()));
        if (event.type === "placed" || event.type === "state") setPreview(null);
      }),
    [channel],
  );
  if (!game) {
    return scene.end ? <Aftermath app={app} title="The game ended" text={scene.end.text} /> : null;
  }

  const me: Seat = scene.seat === 0 ? 0 : 1;
  const mine = game.phase === "playing" && game.turn === me;
  // During a drop nothing shows whether a stone is taken, so none can be placed.
  const mayPlace = mine && !scene.dropped;
  const send = (command: Command) => {
    if (!scene.gone) channel.send(command);
  };
  const place = ([x, y]: Point) => {
    setPreview(null);
    send({ type: "place", x, y });
  };
  return (
    <Table
      game={game}
      me={me}
      testId="gomoku"
      hand={mayPlace ? stoneOf(game, me) : null}
      preview={preview}
      onPreview={setPreview}
      onPlace={place}
    >
      {game.phase === "over" || scene.end ? (
        <Result app={app} game={game} me={me} end={scene.end} send={send} />
      ) : (
        <>
          <p class="status" role="status" data-testid="status" data-turn={mine ? "me" : "them"}>
            {statusText(game, me)}
          </p>
          <p class="note" aria-live="polite" data-testid="note">
            {noteText(game, me)}
          </p>
          {preview && mayPlace ? (
            <ConfirmMove point={preview} onPlace={place} onClear={() => setPreview(null)} />
          ) : (
            <Actions app={app} game={game} me={me} send={send} />
          )}
        </>
      )}
    </Table>
  );
}

interface ConfirmProps {
  point: Point;
  onPlace: (point: Point) => void;
  onClear: () => void;
}

function ConfirmMove({ point, onPlace, onClear }: ConfirmProps) {
  return (
    <div class="actions confirm">
      <button class="button primary" data-testid="confirm-move" onClick={() => onPlace(point)}>
        Place at {pointName(point)}
      </button>
      <button class="button quiet" data-testid="clear-move" onClick={onClear}>
        Cancel
      </button>
    </div>
  );
}

interface GameProps {
  app: App;
  game: Game;
  me: Seat;
  send: (command: Command) => void;
}

function Actions({ app, game, me, send }: GameProps) {
  const [asked, setAsked] = useState<"resign" | "leave" | null>(null);
  if (game.phase === "waiting") {
    return (
      <button class="button" data-testid="leave" onClick={() => app.leave()}>
        Leave
      </button>
    );
  }
  if (game.drawOffer === other(me)) return <DrawOffer game={game} me={me} send={send} />;
  return (
    <>
      <div class="actions">
        <button
          class="button"
          data-testid="offer-draw"
          disabled={game.drawOffer === me}
          onClick={() => send({ type: "offer_draw" })}
        >
          {game.drawOffer === me ? "Draw offered" : "Offer draw"}
        </button>
        <button class="button" data-testid="resign" onClick={() => setAsked("resign")}>
          Resign
        </button>
        <button class="button quiet" data-testid="leave" onClick={() => setAsked("leave")}>
          Leave
        </button>
      </div>
      {asked && (
        <Confirm
          title={asked === "resign" ? "Resign this game?" : "Leave the table?"}
          confirm={asked === "resign" ? "Resign" : "Leave"}
          testId={asked}
          onAnswer={(yes) => {
            setAsked(null);
            if (yes && asked === "resign") send({ type: "resign" });
            if (yes && asked === "leave") app.leave();
          }}
        >
          <p>{game.names[other(me)]} wins this game.</p>
        </Confirm>
      )}
    </>
  );
}

function DrawOffer({ game, me, send }: Omit<GameProps, "app">) {
  const answer = (accept: boolean) => send({ type: "answer_draw", accept });
  return (
    <div class="offer" role="alertdialog" aria-label="Draw offer" data-testid="draw-offer">
      <p>{game.names[other(me)]} offers a draw.</p>
      <div class="actions">
        <button class="button primary" data-testid="accept-draw" onClick={() => answer(true)}>
          Accept
        </button>
        <button class="button" data-testid="decline-draw" onClick={() => answer(false)}>
          Decline
        </button>
      </div>
    </div>
  );
}

function Result({ app, game, me, end, send }: GameProps & { end: SceneEnd | undefined }) {
  const them = game.names[other(me)];
  const { title, text } = resultText(game, me, end);
  const gone = end !== undefined || !game.present[other(me)];
  const note = gone
    ? game.over?.reason === "left"
      ? ""
      : `${them} has left the table.`
    : game.rematch[other(me)]
      ? `${them} wants to play again.`
      : "";
  return (
    <Aftermath
      app={app}
      title={title}
      text={text}
      won={game.over?.winner === me}
      note={note}
      onNext={end ? undefined : () => send({ type: "new_opponent" })}
    >
      {!gone && (
        <button
          class="button primary"
          data-testid="play-again"
          disabled={game.rematch[me]}
          onClick={() => send({ type: "rematch" })}
        >
          {game.rematch[me] ? `Waiting for ${them}` : "Play again"}
        </button>
      )}
    </Aftermath>
  );
}

interface AftermathProps {
  app: App;
  title: string;
  text: string;
  won?: boolean;
  note?: string;
  /** Has the game send the player on to the next match, while it goes on. */
  onNext?: (() => void) | undefined;
  children?: ComponentChildren;
}

function Aftermath({ app, title, text, won, note, onNext, children }: AftermathProps) {
  const { view } = app;
  const domain = view.at === "playing" ? view.domain : "gomoku";
  return (
    <section class="result" data-testid="result" data-won={won}>
      <h1 aria-live="polite" data-testid="result-title">
        {title}
      </h1>
      <p data-testid="result-text">{text}</p>
      <RatingNote app={app} domain={domain} />
      <p class="note" aria-live="polite" data-testid="result-note">
        {note}
      </p>
      <div class="actions">
        {children}
        <button class="button" data-testid="new-match" onClick={onNext ?? (() => app.play(domain))}>
          New opponent
        </button>
        <button class="button quiet" data-testid="back" onClick={() => app.leave()}>
          Back to the games
        </button>
      </div>
    </section>
  );
}

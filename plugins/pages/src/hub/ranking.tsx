// Leaderboards, the player's own ratings, and the last matches.
import type { Leaderboard, LeaderboardRow, PlayedMatch, UserRating } from "@scenehost/client";
import { useState } from "preact/hooks";
import { LoadState, useLoad } from "../ui/load.js";
import { useStore } from "../ui/use-store.js";
import type { Around } from "./around.js";
import { Face } from "./avatar.js";
import type { PanelProps } from "./hub.js";
import {
  boardTitle,
  changeText,
  gameTitle,
  joined,
  opponentsText,
  outcomeText,
} from "./ranking-words.js";

const TOP_ROWS = 10;
const NEIGHBOURS = 2;
const MATCHES = 8;

export function RankingPanel({ around }: PanelProps) {
  const { lobby } = around;
  // A game that was decided meanwhile has changed it all.
  const rating = useStore(around.rating);
  const boards = useLoad(() => lobby.standing.boards(), [lobby]);
  const own = useLoad(async () => {
    const [ratings, matches] = await Promise.all([
      lobby.standing.ratings([lobby.user.id]),
      lobby.standing.history(0, MATCHES),
    ]);
    return { ratings, matches };
  }, [lobby, rating]);
  return (
    <div class="columns ranking" data-testid="ranking">
      <section class="stack" aria-label="Leaderboards">
        <LoadState loaded={boards} waiting="Loading the leaderboards…" testId="ranking-problem" />
        {boards.value?.length === 0 && <p class="hub-empty">This host has no leaderboards.</p>}
        {boards.value && boards.value.length > 0 && (
          <Boards around={around} boards={boards.value} />
        )}
      </section>
      <section class="stack" aria-label="Your games">
        <LoadState loaded={own} waiting="Loading your games…" testId="ranking-own-problem" />
        {own.value && <Ratings ratings={own.value.ratings} />}
        {own.value && <Matches matches={own.value.matches} />}
      </section>
    </div>
  );
}

function Boards({ around, boards }: { around: Around; boards: readonly Leaderboard[] }) {
  const [chosen, setChosen] = useState(() => liveliest(boards).name);
  const board = boards.find(({ name }) => name === chosen) ?? boards[0]!;
  return (
    <>
      <fieldset class="account-ways">
        <legend class="hidden">Leaderboard</legend>
        {boards.map((it) => (
          <label key={it.name}>
            <input
              type="radio"
              name="board"
              checked={it === board}
              data-testid={`board-${it.name}`}
              onChange={() => setChosen(it.name)}
            />
            <span>{boardTitle(it)}</span>
          </label>
        ))}
      </fieldset>
      <Board key={board.name} around={around} board={board} />
    </>
  );
}

/** The one with the most players. */
function liveliest(boards: readonly Leaderboard[]): Leaderboard {
  const entries = ({ seasons }: Leaderboard) => seasons[0]?.entries ?? 0;
  return boards.reduce((best, it) => (entries(it) > entries(best) ? it : best));
}

function Board({ around, board }: { around: Around; board: Leaderboard }) {
  const { lobby } = around;
  const rating = useStore(around.rating);
  const page = useLoad(async () => {
    const [top, own] = await Promise.all([
      lobby.standing.top({ board: board.name, limit: TOP_ROWS }),
      lobby.standing.around({ board: board.name, neighbours: NEIGHBOURS }),
    ]);
    return { ...top, rows: joined(top, own) };
  }, [lobby, board.name, rating]);
  const { value } = page;
  return (
    <>
      <LoadState loaded={page} waiting="Loading…" testId="board-problem" />
      {value && (
        <>
          <p class="hub-empty">
            {value.entries === 1 ? "1 player" : `${value.entries} players`}
            {value.ends ? <>, until {dayText(value.ends)}</> : ""}
          </p>
          {value.rows.length > 0 ? (
            <Rows around={around} rows={value.rows} title={boardTitle(board)} />
          ) : (
            <p class="hub-empty">Nobody is on it yet. The first game that counts changes that.</p>
          )}
        </>
      )}
    </>
  );
}

interface RowsProps {
  around: Around;
  rows: readonly LeaderboardRow[];
  title: string;
}

function Rows({ around, rows, title }: RowsProps) {
  const { id } = around.lobby.user;
  return (
    <table class="board" data-testid="board">
      <caption class="hidden">{title}</caption>
      <thead class="hidden">
        <tr>
          <th scope="col">Rank</th>
          <th scope="col">Player</th>
          <th scope="col">Score</th>
        </tr>
      </thead>
      <tbody>
        {rows.map(({ rank, userId, name, score }, i) => (
          <tr
            key={userId}
            data-own={userId === id}
            data-gap={i > 0 && rank > rows[i - 1]!.rank + 1}
            data-testid="board-row"
          >
            <td>{rank}</td>
            <th scope="row">
              <Face faces={around.faces} userId={userId} name={name} />
              <span>{userId === id ? `${name} (you)` : name}</span>
            </th>
            <td>{String(score)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Ratings({ ratings }: { ratings: readonly UserRating[] }) {
  return (
    <>
      <h3>Your ratings</h3>
      {ratings.length === 0 && (
        <p class="hub-empty">None yet: you have one after the first game that counts.</p>
      )}
      <ul class="ratings">
        {ratings.map(({ domain, rating, deviation, wins, draws, losses }) => (
          <li key={domain} data-testid={`rating-${domain}`}>
            <span>{gameTitle(domain)}</span>
            <b>{rating}</b>
            <small>
              ± {2 * deviation}. {wins} won, {draws} drawn, {losses} lost.
            </small>
          </li>
        ))}
      </ul>
    </>
  );
}

function Matches({ matches }: { matches: readonly PlayedMatch[] }) {
  if (matches.length === 0) return null;
  return (
    <>
      <h3 id="last-matches">Last matches</h3>
      <ul aria-labelledby="last-matches">
        {matches.map((match) => (
          <li key={match.sceneId + match.ended.getTime()} class="match" data-testid="match">
            <span>
              <b>
                {gameTitle(match.domain)}: {outcomeText(match)}
              </b>
              <small>
                {opponentsText(match)} · {dayText(match.ended)}
              </small>
            </span>
            {match.own?.rating !== undefined && (
              <span class="match-change" data-up={match.own.change >= 0}>
                {changeText(match.own.change)}
              </span>
            )}
          </li>
        ))}
      </ul>
    </>
  );
}

function dayText(date: Date): string {
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  return format.format(date);
}

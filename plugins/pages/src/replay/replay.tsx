// The page: a file is chosen, read, and played back; or it says why not, and what to do.
import { useEffect, useRef, useState } from "preact/hooks";
import { Brand } from "../ui/brand.js";
import { Choose } from "./choose.js";
import { gameOf, GAMES, type GameName } from "./games.js";
import { BadFile, type Journal } from "./journal.js";
import { readFile, readUrl, type OnProgress } from "./load.js";
import { Player } from "./player.js";

type State =
  | { at: "choosing"; problem: string }
  | { at: "reading"; name: string; bytes: number; bytesAll: number }
  | { at: "playing"; name: string; journal: Journal; game: GameName };

type Read = (onProgress: OnProgress, signal: AbortSignal) => Promise<Journal>;

export function Replay() {
  const [state, setState] = useState<State>({ at: "choosing", problem: "" });
  const reading = useRef(new AbortController());
  const open = (name: string, read: Read) => {
    reading.current.abort();
    reading.current = new AbortController();
    const { signal } = reading.current;
    const show = (state: State) => !signal.aborted && setState(state);
    show({ at: "reading", name, bytes: 0, bytesAll: 0 });
    void stateOf(name, () =>
      read((bytes, bytesAll) => show({ at: "reading", name, bytes, bytesAll }), signal),
    ).then(show);
  };
  const openFile = (file: File) => open(file.name, (...rest) => readFile(file, ...rest));
  const close = () => {
    reading.current.abort();
    setState({ at: "choosing", problem: "" });
  };
  useEffect(() => {
    const address = new URLSearchParams(location.search).get("file");
    if (address) open(address, (...rest) => readUrl(address, ...rest));
  }, []);
  const dropping = useDrop(openFile);
  return (
    <div class="page" data-view="replay" data-dropping={dropping}>
      <header class="top">
        <Brand />
        <a class="replay-back" href="../">
          Back to the games
        </a>
      </header>
      <main>
        {state.at === "playing" ? (
          <Player
            key={state.journal.scene + state.name}
            journal={state.journal}
            game={state.game}
            fileName={state.name}
            onClose={close}
          />
        ) : (
          <Choose state={state} onFile={openFile} onCancel={close} />
        )}
      </main>
    </div>
  );
}

/** What is shown once that is read, or could not be. */
async function stateOf(name: string, read: () => Promise<Journal>): Promise<State> {
  try {
    const journal = await read();
    const game = gameOf(journal);
    if (game) return { at: "playing", name, journal, game };
    const problem = `This is a match of “${journal.plugin}”. This page plays back ${GAMES.join(" and ")}; scenehost replay SCENE --print shows any match as text.`;
    return { at: "choosing", problem };
  } catch (error) {
    if (error instanceof BadFile) return { at: "choosing", problem: error.message };
    const why = error instanceof Error ? error.message : String(error);
    return { at: "choosing", problem: `The file could not be opened: ${why}. Choose it again.` };
  }
}

/** Takes files that are dropped anywhere on the page; tells whether one hovers. */
function useDrop(onFile: (file: File) => void): boolean {
  const [hovers, setHovers] = useState(false);
  const take = useRef(onFile);
  take.current = onFile;
  useEffect(() => {
    const listening = new AbortController();
    const { signal } = listening;
    addEventListener(
      "dragover",
      (event) => {
        if (!event.dataTransfer?.types.includes("Files")) return;
        event.preventDefault();
        setHovers(true);
      },
      { signal },
    );
    addEventListener("dragleave", (event) => !event.relatedTarget && setHovers(false), { signal });
    addEventListener(
      "drop",
      (event) => {
        setHovers(false);
        const file = event.dataTransfer?.files[0];
        if (!file) return;
        event.preventDefault();
        take.current(file);
      },
      { signal },
    );
    return () => listening.abort();
  }, []);
  return hovers;
}

// Before a match is played back: which file, how one gets one, and what was wrong with the last.
import { useRef } from "preact/hooks";

interface ChooseProps {
  state:
    | { at: "choosing"; problem: string }
    | { at: "reading"; name: string; bytes: number; bytesAll: number };
  onFile: (file: File) => void;
  onCancel: () => void;
}

export function Choose({ state, onFile, onCancel }: ChooseProps) {
  const input = useRef<HTMLInputElement>(null);
  if (state.at === "reading") return <Reading {...state} onCancel={onCancel} />;
  return (
    <section class="card replay-choose">
      <h1>Play back a match</h1>
      {state.problem && (
        <p class="banner" role="alert" data-testid="replay-problem">
          {state.problem}
        </p>
      )}
      <p>
        Open the file of a match of Gomoku or Arena, and see it as its players did, step by step. It
        stays on this device.
      </p>
      <input
        ref={input}
        class="replay-file"
        data-testid="replay-file"
        type="file"
        aria-label="The file of a match"
        accept=".jsonl,.json,.ndjson,.txt"
        onChange={({ currentTarget }) => {
          const file = currentTarget.files?.[0];
          // So that the same file may be chosen again after it was mended.
          currentTarget.value = "";
          if (file) onFile(file);
        }}
      />
      <button
        class="button primary"
        data-testid="replay-choose"
        onClick={() => input.current?.click()}
      >
        Choose a file
      </button>
      <p class="replay-or">or drop it anywhere on this page.</p>
      <h2>How to get one</h2>
      <p>
        A host keeps the journals of fleets with <code>scene.journal.keep = "full"</code>. Where it
        runs, this lists them, and writes one to a file:
      </p>
      <pre class="replay-command">
        {
          "scenehost replay --config host.toml\nscenehost replay --config host.toml SCENE --export match.jsonl"
        }
      </pre>
    </section>
  );
}

interface ReadingProps {
  name: string;
  bytes: number;
  bytesAll: number;
  onCancel: () => void;
}

function Reading({ name, bytes, bytesAll, onCancel }: ReadingProps) {
  const mib = (bytes / 1024 / 1024).toFixed(1);
  return (
    <section class="card replay-choose" role="status" data-testid="replay-reading">
      <h1>Reading the match</h1>
      <p class="replay-name">
        {name}, {mib} MiB
      </p>
      <progress max={bytesAll || 1} value={bytesAll ? bytes : undefined} aria-label="Read so far" />
      <button class="button" data-testid="replay-cancel" onClick={onCancel}>
        Cancel
      </button>
    </section>
  );
}

// A match that was found: asks the player to accept it, before its time is over.
import type { FoundMatch } from "@scenehost/client";
import { useEffect, useRef } from "preact/hooks";
import type { App } from "../app.js";
import { Problem, useAttempt } from "./attempt.js";
import { useLeftS } from "./use-left.js";
import { acceptedText } from "./waiting-words.js";

interface FoundProps {
  app: App;
  title: string;
  found: FoundMatch;
  /** How long there is in all. */
  acceptMs: number;
}

export function Found({ app, title, found, acceptMs }: FoundProps) {
  const { busy, problem, attempt } = useAttempt();
  const dialog = useRef<HTMLDialogElement>(null);
  const leftS = useLeftS(found.until);
  useEffect(() => dialog.current?.showModal(), []);
  useCalledTitle();
  const answer = (accept: boolean) => () => attempt(() => app.acceptMatch(accept));
  return (
    <dialog
      ref={dialog}
      class="dialog found"
      role="alertdialog"
      aria-labelledby="found-title"
      aria-describedby="found-text"
      data-testid="found"
      data-accepted={found.youAccepted}
      // A key that was meant for something else declines nothing; some browsers close it all the same.
      onCancel={(event) => event.preventDefault()}
      onClose={() => dialog.current?.showModal()}
    >
      <p class="eyebrow">{title}</p>
      <h2 id="found-title">Match found</h2>
      <p id="found-text" aria-live="polite" data-testid="found-text">
        {acceptedText(found)}
      </p>
      <div class="found-left">
        <progress max={Math.ceil(acceptMs / 1000)} value={leftS} aria-label="Time to accept" />
        <span role="timer" aria-label="Time left" aria-live="off" data-testid="found-left">
          {leftS} s
        </span>
      </div>
      <Problem text={problem} testId="found-problem" />
      <div class="actions">
        <button
          class="button primary"
          data-testid="accept-match"
          autofocus
          disabled={busy || found.youAccepted}
          onClick={answer(true)}
        >
          {found.youAccepted ? "Accepted" : "Accept"}
        </button>
        <button class="button" data-testid="decline-match" disabled={busy} onClick={answer(false)}>
          Decline
        </button>
      </div>
    </dialog>
  );
}

/** Who looks at another tab sees that a match waits. */
function useCalledTitle(): void {
  useEffect(() => {
    const before = document.title;
    document.title = `Match found – ${before}`;
    return () => {
      document.title = before;
    };
  }, []);
}

// A question that must be answered before anything else goes on.
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

interface DialogProps {
  title: string;
  children?: ComponentChildren;
  confirm: string;
  /** What not to do it is called. */
  keep?: string;
  testId: string;
  onAnswer: (yes: boolean) => void;
}

export function Confirm({
  title,
  children,
  confirm,
  keep = "Keep playing",
  testId,
  onAnswer,
}: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog
      ref={dialog}
      class="dialog"
      aria-labelledby="dialog-title"
      onCancel={(event) => {
        event.preventDefault();
        onAnswer(false);
      }}
    >
      <h2 id="dialog-title">{title}</h2>
      {children}
      <div class="actions">
        <button class="button" data-testid={`${testId}-no`} onClick={() => onAnswer(false)}>
          {keep}
        </button>
        <button
          class="button danger"
          data-testid={`${testId}-confirm`}
          onClick={() => onAnswer(true)}
        >
          {confirm}
        </button>
      </div>
    </dialog>
  );
}

// A button that copies a text. Browsers let pages of safe origins copy only; elsewhere there is none,
// and the text can be marked and copied by hand.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";

interface CopyProps {
  text: string;
  label: string;
  testId?: string;
  children: ComponentChildren;
}

export function CopyButton({ text, label, testId, children }: CopyProps) {
  const [copied, setCopied] = useState("");
  const { clipboard } = navigator as { clipboard?: Clipboard };
  if (!clipboard) return null;
  const copy = () =>
    clipboard.writeText(text).then(
      () => setCopied(text),
      () => setCopied(""),
    );
  return (
    <button
      class="button small"
      type="button"
      aria-label={label}
      data-testid={testId}
      onClick={() => void copy()}
    >
      {copied === text ? "Copied" : children}
    </button>
  );
}

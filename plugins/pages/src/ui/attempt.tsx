// One thing at a time that may fail, and what to say when it did.
import { useState } from "preact/hooks";
import { problemOf } from "../trouble.js";

export interface Attempt {
  readonly busy: boolean;
  readonly problem: string;
  attempt(work: () => Promise<void>): Promise<void>;
}

export function useAttempt(): Attempt {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  const attempt = async (work: () => Promise<void>) => {
    setBusy(true);
    setProblem("");
    try {
      await work();
    } catch (error) {
      setProblem(problemOf(error));
    } finally {
      setBusy(false);
    }
  };
  return { busy, problem, attempt };
}

export function Problem({ text, testId }: { text: string; testId: string }) {
  return (
    <p class="problem" role="alert" data-testid={testId}>
      {text}
    </p>
  );
}

// What is loaded to be shown: not there yet, there, or why it is not.
import type { ComponentChildren } from "preact";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { problemOf } from "../trouble.js";
import { Problem } from "./attempt.js";

export interface Loaded<T> {
  /** The last one that came; it stays while another is loaded. */
  readonly value: T | undefined;
  readonly problem: string;
  again(): Promise<void>;
}

/** Loads at first and whenever one of `inputs` is another; only the last loading counts. */
export function useLoad<T>(load: () => Promise<T>, inputs: readonly unknown[]): Loaded<T> {
  const [value, setValue] = useState<T>();
  const [problem, setProblem] = useState("");
  const count = useRef(0);
  const again = useCallback(async () => {
    const own = ++count.current;
    try {
      const loaded = await load();
      if (own !== count.current) return;
      setValue(loaded);
      setProblem("");
    } catch (error) {
      if (own === count.current) setProblem(problemOf(error));
    }
  }, inputs);
  useEffect(() => {
    void again();
    return () => void ++count.current;
  }, [again]);
  return { value, problem, again };
}

interface LoadStateProps {
  loaded: Loaded<unknown>;
  waiting: string;
  testId: string;
}

/** What stands where it will be, and the way on if it could not be loaded. */
export function LoadState({ loaded, waiting, testId }: LoadStateProps): ComponentChildren {
  const { value, problem, again } = loaded;
  return (
    <>
      {value === undefined && !problem && (
        <p class="hub-empty" role="status">
          {waiting}
        </p>
      )}
      <Problem text={problem} testId={testId} />
      {problem && (
        <button class="button small" onClick={() => again()}>
          Try again
        </button>
      )}
    </>
  );
}

// The keys of the page; those of the time line itself are its own.
import { useEffect, useRef } from "preact/hooks";
import type { Actions } from "./player.js";

const KEYS: Record<string, (actions: Actions) => void> = {
  " ": (actions) => actions.toggle(),
  ",": (actions) => actions.step(-1),
  ".": (actions) => actions.step(1),
  "<": (actions) => actions.mark(-1),
  ">": (actions) => actions.mark(1),
};

export function useKeys(actions: Actions): void {
  const latest = useRef(actions);
  latest.current = actions;
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      const run = KEYS[event.key];
      if (!run || event.ctrlKey || event.metaKey || event.altKey) return;
      // Where a key has a meaning of its own it keeps that.
      const own = event.key === " " ? PRESSED : TYPED;
      if (event.target instanceof Element && event.target.closest(own)) return;
      event.preventDefault();
      run(latest.current);
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
}

/** What is typed into, and what the space bar presses. */
const TYPED = "input, select, textarea";
const PRESSED = `${TYPED}, button, a`;

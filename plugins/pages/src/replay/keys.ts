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
      if (event.target instanceof Element && event.target.closest(OWN_KEYS)) return;
      event.preventDefault();
      run(latest.current);
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
}

const OWN_KEYS = "input, select, textarea, button, a, summary";

// The value of a store, in a component that is drawn again with every change.
import { useEffect, useReducer } from "preact/hooks";
import type { Store } from "../store.js";

export function useStore<T>(store: Store<T>): T {
  const [, redraw] = useReducer((count: number) => count + 1, 0);
  const drawn = store.value;
  useEffect(() => {
    // It may have changed between the drawing and this.
    if (store.value !== drawn) redraw(undefined);
    return store.subscribe(() => redraw(undefined));
  }, [store]);
  return drawn;
}

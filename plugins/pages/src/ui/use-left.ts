// How many seconds are left until a moment, in a component that counts them down.
import { useEffect, useState } from "preact/hooks";

export function useLeftS(until: Date): number {
  const untilMs = until.getTime();
  const [, setNowMs] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNowMs(Date.now()), 250);
    return () => clearInterval(timer);
  }, []);
  return Math.max(0, Math.ceil((untilMs - Date.now()) / 1000));
}

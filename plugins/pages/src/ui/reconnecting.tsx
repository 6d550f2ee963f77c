// The word that the connection is lost, while the client tries to come back.
import { useEffect, useState } from "preact/hooks";

/** A drop that is over by then is not worth a word. */
const SHOWN_AFTER_MS = 400;

interface ReconnectingProps {
  dropped: boolean;
  playing: boolean;
}

export function Reconnecting({ dropped, playing }: ReconnectingProps) {
  const [shown, setShown] = useState(false);
  useEffect(() => {
    if (!dropped) return setShown(false);
    const timer = setTimeout(() => setShown(true), SHOWN_AFTER_MS);
    return () => clearTimeout(timer);
  }, [dropped]);
  // The frame is always there, or else screen readers would not tell what comes into it.
  return (
    <div class="reconnecting" role="status" data-shown={shown}>
      {shown && (
        <p data-testid="reconnecting">
          <span class="spinner" aria-hidden="true" />
          <span>
            Connection lost, reconnecting…{" "}
            {playing && <small>Your seat is kept for a while.</small>}
          </span>
        </p>
      )}
    </div>
  );
}

// A round in the arena at a moment, as somebody saw it.
import { useLayoutEffect, useMemo, useReducer, useRef } from "preact/hooks";
import { Health, Kills, Respawn, RoundClock, Scoreboard, Standings } from "../arena/hud.js";
import { NOBODY, Picture } from "../arena/picture.js";
import type { Event } from "../arena/world.js";
import { tellings } from "./games.js";
import type { StageProps } from "./stage.js";
import { Follower, SPECTATORS } from "./viewpoint.js";

/** With a ship of one's own, that is not smaller than this; without one nothing says where to look. */
const SCALE_MIN = 0.45;

export function ArenaStage({ told, viewpoint, moment, isPlaying, missing }: StageProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const me = viewpoint === SPECTATORS ? undefined : viewpoint;
  const follower = useMemo(() => {
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    return new Follower<Picture>(
      told.messages,
      tellings.arena,
      () => new Picture(me ?? NOBODY, calm),
      (picture, { body, ms }) => {
        // What was checked when it was read is one of the game's messages.
        picture.hear(body as unknown as Event, ms);
        return picture;
      },
    );
  }, [told, me]);
  const picture = follower.at(moment);
  const resized = useResized(canvas);
  const hud = picture.world && picture.hud;
  // While it stands still everything is shown exactly where this step told it to be.
  const drawing = {
    ...(isPlaying ? {} : { delayMs: 0 }),
    // Who looks back wants to see as much as there is room for.
    scaleMin: me === undefined ? 0 : SCALE_MIN,
  };
  useLayoutEffect(() => {
    if (canvas.current && !picture.draw(canvas.current, moment.ms, drawing)) wipe(canvas.current);
  }, [picture, moment.ms, moment.entry, isPlaying, resized]);
  return (
    <div class="arena" data-testid="replay-arena" data-tick={hud?.tick}>
      <canvas
        ref={canvas}
        class="arena-canvas"
        role="img"
        aria-label="The arena seen from above, as it was then."
      />
      {!hud && (
        <p class="arena-wait" data-testid="replay-missing">
          {missing}
        </p>
      )}
      {hud && !hud.over && (
        <>
          <RoundClock leftMs={hud.leftMs} />
          <Scoreboard rows={hud.rows} me={me} />
          <Kills hud={hud} />
          {me !== undefined && <Health hp={hud.hp} />}
          {me !== undefined && hud.hp <= 0 && <Respawn respawnMs={hud.respawnMs} />}
        </>
      )}
      {hud?.over && <Standings standings={hud.over} me={me} text="" />}
    </div>
  );
}

function wipe(canvas: HTMLCanvasElement): void {
  canvas.getContext("2d")?.clearRect(0, 0, canvas.width, canvas.height);
}

/** Changes whenever the element has another size. */
function useResized(element: { readonly current: HTMLElement | null }): number {
  const [count, add] = useReducer((count: number) => count + 1, 0);
  useLayoutEffect(() => {
    const observer = new ResizeObserver(() => add(undefined));
    if (element.current) observer.observe(element.current);
    return () => observer.disconnect();
  }, [element]);
  return count;
}

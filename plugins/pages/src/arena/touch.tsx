// Two thumbs: a stick on the left that is where the thumb goes down, a trigger on the right that
// aims when it is dragged.
import { useRef, useState } from "preact/hooks";
import type { Controls } from "./controls.js";
import type { Vec } from "./world.js";

const STICK_PX = 52;
/** Drags shorter than this do not aim, so that a tap just fires ahead. */
const AIM_PX_MIN = 14;

export function Touch({ controls }: { controls: Controls }) {
  return (
    <div class="touch">
      <Stick onMove={(move) => controls.stick(move)} />
      <Trigger onChange={(fire, aim) => controls.trigger(fire, aim)} />
    </div>
  );
}

function Stick({ onMove }: { onMove: (move: Vec) => void }) {
  const [knob, setKnob] = useState<{ from: Vec; by: Vec } | null>(null);
  const drag = useDrag((from, to) => {
    if (!to) {
      setKnob(null);
      return onMove({ x: 0, y: 0 });
    }
    const by = { x: to.x - from.x, y: to.y - from.y };
    const scale = STICK_PX / Math.max(STICK_PX, Math.hypot(by.x, by.y));
    const kept = { x: by.x * scale, y: by.y * scale };
    setKnob({ from, by: kept });
    onMove({ x: kept.x / STICK_PX, y: kept.y / STICK_PX });
  });
  const place = knob && { left: `${knob.from.x}px`, top: `${knob.from.y}px` };
  return (
    <div class="stick-zone" data-testid="stick" aria-label="Move" role="application" {...drag}>
      <span class="stick" data-active={knob !== null} style={place ?? {}}>
        <span
          class="knob"
          style={knob ? { transform: `translate(${knob.by.x}px, ${knob.by.y}px)` } : {}}
        />
      </span>
    </div>
  );
}

function Trigger({ onChange }: { onChange: (fire: boolean, aim?: number) => void }) {
  const [aim, setAim] = useState<number | null>(null);
  const [down, setDown] = useState(false);
  const drag = useDrag((from, to) => {
    setDown(to !== null);
    if (!to) {
      setAim(null);
      return onChange(false);
    }
    const by = { x: to.x - from.x, y: to.y - from.y };
    if (Math.hypot(by.x, by.y) < AIM_PX_MIN) return onChange(true, aim ?? undefined);
    const angle = Math.atan2(by.y, by.x);
    setAim(angle);
    onChange(true, angle);
  });
  return (
    <div class="trigger-zone" data-testid="fire" aria-label="Fire" role="application" {...drag}>
      <span class="trigger" data-active={down}>
        {aim !== null && <span class="trigger-aim" style={{ transform: `rotate(${aim}rad)` }} />}
        Fire
      </span>
    </div>
  );
}

/** Follows one finger from where it went down, in pixels of the element; null when it is lifted. */
function useDrag(onDrag: (from: Vec, to: Vec | null) => void) {
  const finger = useRef<{ id: number; from: Vec } | null>(null);
  const at = (event: PointerEvent): Vec => {
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const lift = (event: PointerEvent) => {
    if (finger.current?.id !== event.pointerId) return;
    onDrag(finger.current.from, null);
    finger.current = null;
  };
  return {
    onPointerDown(event: PointerEvent) {
      if (finger.current) return;
      (event.currentTarget as HTMLElement).setPointerCapture(event.pointerId);
      finger.current = { id: event.pointerId, from: at(event) };
      onDrag(finger.current.from, finger.current.from);
    },
    onPointerMove(event: PointerEvent) {
      if (finger.current?.id === event.pointerId) onDrag(finger.current.from, at(event));
    },
    onPointerUp: lift,
    onPointerCancel: lift,
  };
}

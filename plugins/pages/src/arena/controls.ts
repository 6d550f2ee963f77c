// What the player wants: by keyboard and mouse, or by two thumbs.
//
// Invariant: leaving the window lets everything go, so that no ship runs on without its player.
import type { Vec } from "./world.js";

export interface Intent {
  move: Vec;
  aim: number;
  fire: boolean;
}

const KEYS: Record<string, Vec | "fire"> = {
  KeyW: { x: 0, y: -1 },
  ArrowUp: { x: 0, y: -1 },
  KeyS: { x: 0, y: 1 },
  ArrowDown: { x: 0, y: 1 },
  KeyA: { x: -1, y: 0 },
  ArrowLeft: { x: -1, y: 0 },
  KeyD: { x: 1, y: 0 },
  ArrowRight: { x: 1, y: 0 },
  Space: "fire",
};

export class Controls {
  /** Where the pointer is, in pixels from the own ship; the page sets it by the camera. */
  #toPointer: (clientX: number, clientY: number) => Vec;
  #held = new Set<string>();
  #mouse: { x: number; y: number } | undefined;
  #mouseFire = false;
  #stick: Vec = { x: 0, y: 0 };
  #touchAim: number | undefined;
  #touchFire = false;
  #aim = 0;

  constructor(toPointer: (clientX: number, clientY: number) => Vec) {
    this.#toPointer = toPointer;
  }

  /** Listens to keys and to the mouse over `area`; the returned function ends that. */
  listen(area: HTMLElement): () => void {
    const listening = new AbortController();
    const { signal } = listening;
    addEventListener("keydown", (event) => this.#key(event, true), { signal });
    addEventListener("keyup", (event) => this.#key(event, false), { signal });
    addEventListener("blur", () => this.release(), { signal });
    document.addEventListener("visibilitychange", () => this.release(), { signal });
    area.addEventListener("pointermove", (event) => this.#point(event), { signal });
    area.addEventListener("pointerdown", (event) => this.#press(event), { signal });
    addEventListener("pointerup", (event) => this.#lift(event), { signal });
    return () => listening.abort();
  }

  /** The left thumb's stick, each axis from -1 to 1. */
  stick(move: Vec): void {
    this.#stick = move;
  }

  /** The right thumb: fires while it is down, and aims when it is dragged. */
  trigger(fire: boolean, aim?: number): void {
    this.#touchFire = fire;
    this.#touchAim = aim;
  }

  release(): void {
    this.#held.clear();
    this.#mouseFire = false;
    this.#stick = { x: 0, y: 0 };
    this.trigger(false);
  }

  intent(): Intent {
    const move = this.#move();
    this.#aim = this.#aimAt(move);
    const fire = this.#held.has("Space") || this.#mouseFire || this.#touchFire;
    return { move, aim: this.#aim, fire };
  }

  #move(): Vec {
    const move = { ...this.#stick };
    for (const key of this.#held) {
      const way = KEYS[key];
      if (typeof way !== "object") continue;
      move.x += way.x;
      move.y += way.y;
    }
    const length = Math.hypot(move.x, move.y);
    return length > 1 ? { x: move.x / length, y: move.y / length } : move;
  }

  /** By the right thumb, else by the mouse, else where the ship flies. */
  #aimAt(move: Vec): number {
    if (this.#touchAim !== undefined) return this.#touchAim;
    if (this.#mouse) {
      const to = this.#toPointer(this.#mouse.x, this.#mouse.y);
      return Math.atan2(to.y, to.x);
    }
    return move.x === 0 && move.y === 0 ? this.#aim : Math.atan2(move.y, move.x);
  }

  #key(event: KeyboardEvent, down: boolean): void {
    const onControl = event.target instanceof HTMLButtonElement;
    if (!KEYS[event.code] || event.ctrlKey || event.metaKey || event.altKey) return;
    if (onControl && event.code === "Space") return;
    event.preventDefault();
    if (down) this.#held.add(event.code);
    else this.#held.delete(event.code);
  }

  #point(event: PointerEvent): void {
    if (event.pointerType === "mouse") this.#mouse = { x: event.clientX, y: event.clientY };
  }

  #press(event: PointerEvent): void {
    this.#point(event);
    if (event.pointerType === "mouse" && event.button === 0) this.#mouseFire = true;
  }

  #lift(event: PointerEvent): void {
    if (event.pointerType === "mouse" && event.button === 0) this.#mouseFire = false;
  }
}

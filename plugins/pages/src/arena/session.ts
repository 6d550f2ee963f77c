// One visit to the arena: hears the game, sends the player's inputs, and draws every frame. Who watches
// sends none, and has no ship.
//
// Invariant: at most one input a tick is sent, and the last intent always gets through.
import { Overflow, Scene, type JsonScene, type Spectator } from "@scenehost/client";
import { Controls, type Intent } from "./controls.js";
import { toScreen, type Camera } from "./painter.js";
import { NOBODY, Picture, type Hud } from "./picture.js";
import { Prediction } from "./prediction.js";
import { inUnits, TICK_MS, type Command, type Event, type Vec } from "./world.js";

/** A smaller turn is not worth a message. */
const AIM_STEP = 0.01;

export class Session {
  readonly controls: Controls;
  #source: Scene | Spectator;
  /** Of a player. */
  #channel: JsonScene<Event, Command> | undefined;
  #onHud: (hud: Hud) => void;
  #picture: Picture;
  #prediction: Prediction | undefined;
  #inputLast = 0;
  #sent: { intent: Intent; atMs: number } | undefined;
  #canvas: HTMLCanvasElement;
  #camera: Camera | undefined;
  #size: Vec = { x: 0, y: 0 };

  constructor(source: Scene | Spectator, canvas: HTMLCanvasElement, onHud: (hud: Hud) => void) {
    this.#source = source;
    this.#canvas = canvas;
    this.#onHud = onHud;
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.#picture = new Picture(source instanceof Scene ? source.seat : NOBODY, calm);
    this.#channel = source instanceof Scene ? source.json<Event, Command>() : undefined;
    this.controls = new Controls((x, y) => this.#fromShip(x, y));
  }

  /** Starts all that runs; the returned function stops it. */
  run(): () => void {
    const hear = (event: Event) => this.#receive(event, performance.now());
    const source = this.#source;
    const off =
      source instanceof Scene ? source.json<Event>().on(hear) : source.onJson<Event>(hear);
    const deafen = this.#channel ? this.controls.listen(this.#canvas) : () => {};
    const frame = () => {
      request = requestAnimationFrame(frame);
      this.#frame(performance.now());
    };
    let request = requestAnimationFrame(frame);
    // Frames stop in a hidden window; the word that all keys are let go must still be sent.
    const timer = setInterval(() => this.#sendIntent(performance.now()), TICK_MS);
    return () => {
      cancelAnimationFrame(request);
      clearInterval(timer);
      deafen();
      off();
    };
  }

  #receive(event: Event, nowMs: number): void {
    const picture = this.#picture;
    const before = picture.hud;
    picture.hear(event, nowMs);
    if (event.type === "welcome" && picture.world) this.#prediction = new Prediction(picture.world);
    const mine = event.type === "snapshot" ? picture.ownRow(inUnits(event)) : undefined;
    if (mine) {
      const [, x, y, , , , , , n] = mine;
      this.#prediction?.receive({ x, y }, n, nowMs);
    }
    if (picture.hud && picture.hud !== before) this.#onHud(picture.hud);
  }

  #frame(nowMs: number): void {
    const { hud } = this.#picture;
    if (!hud) return;
    this.#sendIntent(nowMs);
    const at = this.#prediction?.position(nowMs);
    const own = at && { at, aim: this.controls.intent().aim };
    const seen = this.#picture.draw(this.#canvas, nowMs, { own });
    if (seen) ({ camera: this.#camera, size: this.#size } = seen);
  }

  #sendIntent(nowMs: number): void {
    if (!this.#channel) return;
    const intent = this.controls.intent();
    const { hud } = this.#picture;
    // A ship that is shot down does not move, whatever the player wants.
    const moves = (hud?.hp ?? 0) > 0;
    this.#prediction?.input(moves ? intent.move : { x: 0, y: 0 }, nowMs);
    const last = this.#sent;
    if (last && (nowMs - last.atMs < TICK_MS || !differs(intent, last.intent))) return;
    // What was meant during a drop is worth nothing after it; then the intent of that moment is sent.
    if (this.#source.gone || this.#source.dropped || hud?.over) return;
    const n = ++this.#inputLast;
    const { move, aim, fire } = intent;
    try {
      this.#channel.send({ type: "input", n, move: [move.x, move.y], aim, fire });
    } catch (error) {
      // The network is slower than the player: this intent is late anyway, a later one is sent.
      if (error instanceof Overflow) return;
      throw error;
    }
    this.#sent = { intent, atMs: nowMs };
    this.#prediction?.sent(n, nowMs);
  }

  /** From the own ship to a point of the window, in pixels. */
  #fromShip(clientX: number, clientY: number): Vec {
    const at = this.#prediction?.position(performance.now());
    if (!this.#camera || !at) return { x: 1, y: 0 };
    const box = this.#canvas.getBoundingClientRect();
    const ship = toScreen(this.#camera, this.#size, at);
    return { x: clientX - box.left - ship.x, y: clientY - box.top - ship.y };
  }
}

function differs(a: Intent, b: Intent): boolean {
  const moved = a.move.x !== b.move.x || a.move.y !== b.move.y;
  return moved || a.fire !== b.fire || Math.abs(a.aim - b.aim) > AIM_STEP;
}

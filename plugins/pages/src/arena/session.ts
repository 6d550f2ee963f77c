// One visit to the arena: hears the game, sends the player's inputs, and draws every frame. Who watches
// sends none, and has no ship.
//
// Invariant: at most one input a tick is sent, and the last intent always gets through.
import { Overflow, Scene, type JsonScene, type Spectator } from "@scenehost/client";
import { Controls, type Intent } from "./controls.js";
import { Effects } from "./effects.js";
import { cameraFor, colorOf, paint, toScreen, type Camera } from "./painter.js";
import { Prediction } from "./prediction.js";
import { Timeline } from "./timeline.js";
import {
  TICK_MS,
  type Command,
  type Event,
  type Player,
  type Snapshot,
  type Standing,
  type Vec,
  type World,
} from "./world.js";

export interface Row {
  seat: number;
  name: string;
  present: boolean;
  kills: number;
  deaths: number;
}

export interface Kill {
  id: number;
  shooter: number;
  target: number;
  atMs: number;
}

/** What is shown around the picture; a new one with every snapshot. */
export interface Hud {
  leftMs: number;
  hp: number;
  respawnMs: number;
  /** By kills, then by deaths. */
  rows: readonly Row[];
  kills: readonly Kill[];
  over: readonly Standing[] | null;
  /** For tests and for those who look under the bonnet. */
  tick: number;
  at: Vec;
  shotsSeen: number;
}

/** The seat of who has none. */
const NOBODY = -1;
const KILLS_SHOWN = 4;
const KILL_SHOWN_MS = 5_000;
/** A smaller turn is not worth a message. */
const AIM_STEP = 0.01;

export class Session {
  readonly controls: Controls;
  #source: Scene | Spectator;
  /** Of a player. */
  #channel: JsonScene<Event, Command> | undefined;
  #onHud: (hud: Hud) => void;
  #me: number;
  #world: World | undefined;
  #players: readonly Player[] = [];
  #timeline = new Timeline();
  #prediction: Prediction | undefined;
  #effects = new Effects(matchMedia("(prefers-reduced-motion: reduce)").matches);
  #kills: Kill[] = [];
  #killLast = 0;
  #hud: Hud | undefined;
  #shotLast = 0;
  #shotsSeen = 0;
  #inputLast = 0;
  #sent: { intent: Intent; atMs: number } | undefined;
  #canvas: HTMLCanvasElement;
  #camera: Camera | undefined;
  #size: Vec = { x: 0, y: 0 };

  constructor(source: Scene | Spectator, canvas: HTMLCanvasElement, onHud: (hud: Hud) => void) {
    this.#source = source;
    this.#canvas = canvas;
    this.#onHud = onHud;
    this.#me = source instanceof Scene ? source.seat : NOBODY;
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
    switch (event.type) {
      case "welcome": {
        const [width, height] = event.world;
        this.#me = event.seat;
        this.#world = { width, height, walls: event.walls };
        this.#prediction = new Prediction(this.#world);
        this.#players = event.players;
        return;
      }
      case "watching": {
        const [width, height] = event.world;
        this.#world = { width, height, walls: event.walls };
        this.#players = event.players;
        return this.#receiveSnapshot({ ...event.snapshot, type: "snapshot" }, nowMs);
      }
      case "players":
        this.#players = event.players;
        return;
      case "snapshot":
        return this.#receiveSnapshot(event, nowMs);
      case "over":
        if (this.#hud) this.#show({ ...this.#hud, leftMs: 0, over: event.standings });
    }
  }

  #receiveSnapshot(snapshot: Snapshot, nowMs: number): void {
    this.#timeline.push(snapshot, nowMs);
    for (const [shooter, target, x, y, killed] of snapshot.hits) {
      if (!killed) {
        this.#effects.hit(x, y, colorOf(shooter), nowMs);
        continue;
      }
      this.#effects.explode(x, y, colorOf(target), nowMs);
      this.#kills.push({ id: ++this.#killLast, shooter, target, atMs: nowMs });
    }
    this.#kills = this.#kills
      .filter((kill) => nowMs - kill.atMs < KILL_SHOWN_MS)
      .slice(-KILLS_SHOWN);
    for (const [id] of snapshot.shots) {
      if (id <= this.#shotLast) continue;
      this.#shotLast = id;
      this.#shotsSeen += 1;
    }
    const own = this.#ownShip(snapshot, nowMs);
    if (!own) return;
    this.#show({
      ...own,
      leftMs: snapshot.left_ms,
      rows: this.#rows(snapshot),
      kills: this.#kills,
      over: null,
      tick: snapshot.tick,
      shotsSeen: this.#shotsSeen,
    });
  }

  /** The own ship by the server's word. Who watches has none, and sees the world around its middle. */
  #ownShip(snapshot: Snapshot, nowMs: number): Pick<Hud, "hp" | "respawnMs" | "at"> | undefined {
    if (!this.#channel) {
      const { width, height } = this.#world ?? { width: 0, height: 0 };
      return { hp: 0, respawnMs: 0, at: { x: width / 2, y: height / 2 } };
    }
    const mine = snapshot.ships.find(([seat]) => seat === this.#me);
    if (!mine) return undefined;
    const [, x, y, , hp, respawnMs, , , n] = mine;
    this.#prediction?.receive({ x, y }, n, nowMs);
    return { hp, respawnMs, at: { x, y } };
  }

  #rows(snapshot: Snapshot): Row[] {
    const players = new Map(this.#players.map((player) => [player.seat, player]));
    return snapshot.ships
      .map(([seat, , , , , , kills, deaths]) => ({
        seat,
        name: players.get(seat)?.name ?? `Seat ${seat + 1}`,
        present: players.get(seat)?.present ?? true,
        kills,
        deaths,
      }))
      .sort((a, b) => b.kills - a.kills || a.deaths - b.deaths || a.seat - b.seat);
  }

  #show(hud: Hud): void {
    this.#hud = hud;
    this.#onHud(hud);
  }

  #frame(nowMs: number): void {
    if (!this.#world || !this.#hud) return;
    this.#sendIntent(nowMs);
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    const density = Math.min(devicePixelRatio, 2);
    this.#size = { x: width, y: height };
    const pixels = { x: Math.round(width * density), y: Math.round(height * density) };
    if (this.#canvas.width !== pixels.x) this.#canvas.width = pixels.x;
    if (this.#canvas.height !== pixels.y) this.#canvas.height = pixels.y;
    const canvas = this.#canvas.getContext("2d");
    if (!canvas) return;
    const at = this.#prediction?.position(nowMs) ?? this.#hud.at;
    this.#camera = cameraFor(this.#world, this.#size, at);
    const aim = this.controls.intent().aim;
    const ships = this.#timeline
      .ships(nowMs)
      .map((ship) => (ship.seat === this.#me ? { ...ship, ...at, aim, hp: this.#hud!.hp } : ship));
    const names = new Map(this.#players.map(({ seat, name }) => [seat, name]));
    const shots = this.#timeline.shots(nowMs);
    const frame = { world: this.#world, ships, shots, names, me: this.#me };
    const view = { camera: this.#camera, size: this.#size, density };
    paint(canvas, frame, this.#effects, view, nowMs);
  }

  #sendIntent(nowMs: number): void {
    if (!this.#channel) return;
    const intent = this.controls.intent();
    // A ship that is shot down does not move, whatever the player wants.
    const moves = (this.#hud?.hp ?? 0) > 0;
    this.#prediction?.input(moves ? intent.move : { x: 0, y: 0 }, nowMs);
    const last = this.#sent;
    if (last && (nowMs - last.atMs < TICK_MS || !differs(intent, last.intent))) return;
    // What was meant during a drop is worth nothing after it; then the intent of that moment is sent.
    if (this.#source.gone || this.#source.dropped || this.#hud?.over) return;
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

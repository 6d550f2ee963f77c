// What the arena's messages come to at a time: the picture, and what is shown around it. It is the same for who plays,
// who watches, and who looks at a match that is over.
//
// Invariant: the time is an argument; what was heard in order and is drawn at a time looks the same whenever that is.
import { Effects } from "./effects.js";
import { cameraFor, colorOf, paint, type Camera } from "./painter.js";
import { Timeline } from "./timeline.js";
import {
  inUnits,
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

/** The own ship as its player steers it, ahead of the server's word. */
export interface Own {
  at: Vec;
  aim: number;
}

interface Drawing {
  own?: Own | undefined;
  delayMs?: number;
  scaleMin?: number;
}

/** The seat of who has none. */
export const NOBODY = -1;
const KILLS_SHOWN = 4;
/** How long the word of a kill is shown; nothing that is told once is shown longer. */
export const KILL_SHOWN_MS = 5_000;
const DENSITY_MAX = 2;

export class Picture {
  #me: number;
  #world: World | undefined;
  #players: readonly Player[] = [];
  #timeline = new Timeline();
  #effects: Effects;
  #kills: Kill[] = [];
  #killLast = 0;
  #hud: Hud | undefined;
  #shotLast = 0;
  #shotsSeen = 0;

  /** `calm`: without movement that tells nothing. */
  constructor(me: number, calm: boolean) {
    this.#me = me;
    this.#effects = new Effects(calm);
  }

  /** Nothing before the first snapshot. */
  get hud(): Hud | undefined {
    return this.#hud;
  }

  get world(): World | undefined {
    return this.#world;
  }

  hear(event: Event, nowMs: number): void {
    switch (event.type) {
      case "welcome": {
        const [width, height] = event.world;
        this.#me = event.seat;
        this.#world = { width, height, walls: event.walls };
        this.#players = event.players;
        return;
      }
      case "watching": {
        const [width, height] = event.world;
        this.#world = { width, height, walls: event.walls };
        this.#players = event.players;
        return this.#hearSnapshot(inUnits({ ...event.snapshot, type: "snapshot" }), nowMs);
      }
      case "players":
        this.#players = event.players;
        return;
      case "snapshot":
        return this.#hearSnapshot(inUnits(event), nowMs);
      case "over":
        if (this.#hud) this.#hud = { ...this.#hud, leftMs: 0, over: event.standings };
    }
  }

  /** The own ship's row of a snapshot. */
  ownRow(snapshot: Snapshot): Snapshot["ships"][number] | undefined {
    return snapshot.ships.find(([seat]) => seat === this.#me);
  }

  /**
   * Draws it all, and tells what is seen. `own`: the own ship, where that is known better than by the snapshots;
   * `delayMs`: how far in the past ships are shown, 0 for as they were told last; `scaleMin`: with fewer pixels a unit
   * the world is not shown as a whole.
   */
  draw(
    element: HTMLCanvasElement,
    nowMs: number,
    { own, delayMs, scaleMin }: Drawing = {},
  ): { camera: Camera; size: Vec } | undefined {
    if (!this.#world || !this.#hud) return undefined;
    const { clientWidth: width, clientHeight: height } = element;
    const density = Math.min(devicePixelRatio, DENSITY_MAX);
    const size = { x: width, y: height };
    const pixels = { x: Math.round(width * density), y: Math.round(height * density) };
    if (element.width !== pixels.x) element.width = pixels.x;
    if (element.height !== pixels.y) element.height = pixels.y;
    const canvas = element.getContext("2d");
    if (!canvas) return undefined;
    const { hp } = this.#hud;
    const ships = this.#timeline
      .ships(nowMs, delayMs)
      .map((ship) =>
        ship.seat === this.#me ? { ...ship, ...own?.at, aim: own?.aim ?? ship.aim, hp } : ship,
      );
    const focus = ships.find(({ seat }) => seat === this.#me) ?? this.#hud.at;
    const camera = cameraFor(this.#world, size, own?.at ?? focus, scaleMin);
    const names = new Map(this.#players.map(({ seat, name }) => [seat, name]));
    const shots = this.#timeline.shots(nowMs);
    const frame = { world: this.#world, ships, shots, names, me: this.#me };
    paint(canvas, frame, this.#effects, { camera, size, density }, nowMs);
    return { camera, size };
  }

  #hearSnapshot(snapshot: Snapshot, nowMs: number): void {
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
    const own = this.#ownShip(snapshot);
    if (!own) return;
    this.#hud = {
      ...own,
      leftMs: snapshot.left_ms,
      rows: this.#rows(snapshot),
      kills: this.#kills,
      over: null,
      tick: snapshot.tick,
      shotsSeen: this.#shotsSeen,
    };
  }

  /** The own ship by the server's word. Who watches has none, and sees the world around its middle. */
  #ownShip(snapshot: Snapshot): Pick<Hud, "hp" | "respawnMs" | "at"> | undefined {
    if (this.#me === NOBODY) {
      const { width, height } = this.#world ?? { width: 0, height: 0 };
      return { hp: 0, respawnMs: 0, at: { x: width / 2, y: height / 2 } };
    }
    const mine = this.ownRow(snapshot);
    if (!mine) return undefined;
    const [, x, y, , hp, respawnMs] = mine;
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
}

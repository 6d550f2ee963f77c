// What the arena's messages say, and the few rules of motion that the page must know to predict.

/** x, y, width, height. */
export type Wall = readonly [x: number, y: number, width: number, height: number];

export interface Player {
  seat: number;
  name: string;
  present: boolean;
}

export interface Standing {
  seat: number;
  name: string;
  place: number;
  kills: number;
  deaths: number;
}

/**
 * As the scene tells it, positions and speeds are whole tenths of a unit and angles whole thousandths of a radian;
 * `inUnits` gives the same in units and radians.
 */
export interface Snapshot {
  type: "snapshot";
  tick: number;
  left_ms: number;
  ships: readonly (readonly [
    seat: number,
    x: number,
    y: number,
    aim: number,
    hp: number,
    respawn_ms: number,
    kills: number,
    deaths: number,
    n: number,
  ])[];
  shots: readonly (readonly [
    id: number,
    seat: number,
    x: number,
    y: number,
    vx: number,
    vy: number,
  ])[];
  hits: readonly (readonly [
    shooter: number,
    target: number,
    x: number,
    y: number,
    killed: boolean,
  ])[];
}

const UNIT = 10;
const RADIAN = 1_000;

/** What a scene has told, in units and radians. */
export function inUnits(told: Snapshot): Snapshot {
  return {
    ...told,
    ships: told.ships.map(([seat, x, y, aim, ...rest]) => [
      seat,
      x / UNIT,
      y / UNIT,
      aim / RADIAN,
      ...rest,
    ]),
    shots: told.shots.map(([id, seat, x, y, vx, vy]) => [
      id,
      seat,
      x / UNIT,
      y / UNIT,
      vx / UNIT,
      vy / UNIT,
    ]),
    hits: told.hits.map(([shooter, target, x, y, killed]) => [
      shooter,
      target,
      x / UNIT,
      y / UNIT,
      killed,
    ]),
  };
}

export type Event =
  | {
      type: "welcome";
      seat: number;
      world: readonly [width: number, height: number];
      round_s: number;
      walls: readonly Wall[];
      players: readonly Player[];
    }
  | {
      type: "watching";
      world: readonly [width: number, height: number];
      round_s: number;
      walls: readonly Wall[];
      players: readonly Player[];
      snapshot: Omit<Snapshot, "type">;
    }
  | { type: "players"; players: readonly Player[] }
  | Snapshot
  | { type: "over"; standings: readonly Standing[] };

export interface Command {
  type: "input";
  /** Counts the inputs of this connection; snapshots tell the last one that had its effect. */
  n: number;
  move: readonly [dx: number, dy: number];
  /** Radians; 0 is to the right, and it grows clockwise. */
  aim: number;
  fire: boolean;
}

export interface World {
  width: number;
  height: number;
  walls: readonly Wall[];
}

export interface Vec {
  x: number;
  y: number;
}

export const TICK_MS = 50;
export const HP_MAX = 100;
export const SHIP_RADIUS = 18;
const SHIP_SPEED = 260;
/** Ships move in pieces of at most this length, so that none gets through a wall. */
const PIECE_UNITS = SHIP_RADIUS / 2;

/** Where a ship is after `ms` of moving to one side; along walls and edges it slides. */
export function moveShip(world: World, from: Vec, move: Vec, ms: number): Vec {
  const length = Math.hypot(move.x, move.y);
  const way = ((SHIP_SPEED * ms) / 1000) * (length > 1 ? 1 / length : 1);
  const pieces = Math.ceil((length * way) / PIECE_UNITS);
  let at = from;
  for (let i = 0; i < pieces; i++) {
    at = { x: at.x + (move.x * way) / pieces, y: at.y + (move.y * way) / pieces };
    for (const wall of world.walls) at = pushOut(wall, at);
    at = { x: inside(at.x, world.width), y: inside(at.y, world.height) };
  }
  return at;
}

function inside(value: number, length: number): number {
  return Math.min(length - SHIP_RADIUS, Math.max(SHIP_RADIUS, value));
}

function pushOut([left, top, width, height]: Wall, at: Vec): Vec {
  const nearest = {
    x: Math.min(left + width, Math.max(left, at.x)),
    y: Math.min(top + height, Math.max(top, at.y)),
  };
  const distance = Math.hypot(at.x - nearest.x, at.y - nearest.y);
  if (distance === 0 || distance >= SHIP_RADIUS) return at;
  const stretch = SHIP_RADIUS / distance;
  return {
    x: nearest.x + (at.x - nearest.x) * stretch,
    y: nearest.y + (at.y - nearest.y) * stretch,
  };
}

// Draws one frame of the arena.
import type { Effects } from "./effects.js";
import type { Ship, Shot } from "./timeline.js";
import { HP_MAX, SHIP_RADIUS, type Vec, type World } from "./world.js";

/** One color a seat: apart from each other in hue and in lightness, all light on the dark floor. */
export const COLORS = [
  "#5ad1ff",
  "#ff8a66",
  "#ffd24a",
  "#8fe36b",
  "#c79bff",
  "#ff7fbd",
  "#4fe0c0",
  "#f2f5f8",
] as const;

export function colorOf(seat: number): string {
  return COLORS[seat % COLORS.length]!;
}

/** Below this scale a ship is too small to play with, so that the camera follows instead. */
const SCALE_MIN = 0.62;
/** How much is seen beyond the world's edge, so that a ship there is not at the edge of the view. */
const EDGE_UNITS = 36;
/** Longer names would cover other ships. */
const LABEL_CHARS_MAX = 14;
const GRID_UNITS = 50;

/** What part of the world is seen: the world's point in the middle, and pixels a unit. */
export interface Camera {
  center: Vec;
  scale: number;
}

export interface Frame {
  world: World;
  ships: readonly Ship[];
  shots: readonly Shot[];
  names: ReadonlyMap<number, string>;
  me: number;
}

/** The whole world where it fits at `scaleMin` or more, else a part of it around `focus`. */
export function cameraFor(world: World, size: Vec, focus: Vec, scaleMin = SCALE_MIN): Camera {
  const fit = Math.min(
    size.x / (world.width + 2 * EDGE_UNITS),
    size.y / (world.height + 2 * EDGE_UNITS),
  );
  const scale = Math.max(fit, scaleMin);
  const axis = (view: number, length: number, at: number) => {
    const inner = view / scale / 2 - EDGE_UNITS;
    return inner * 2 >= length ? length / 2 : Math.min(length - inner, Math.max(inner, at));
  };
  return {
    center: { x: axis(size.x, world.width, focus.x), y: axis(size.y, world.height, focus.y) },
    scale,
  };
}

export function toScreen(camera: Camera, size: Vec, at: Vec): Vec {
  return {
    x: size.x / 2 + (at.x - camera.center.x) * camera.scale,
    y: size.y / 2 + (at.y - camera.center.y) * camera.scale,
  };
}

/** Draws a frame; `size` is in CSS pixels, `density` how many pixels of the canvas one is. */
export function paint(
  canvas: CanvasRenderingContext2D,
  frame: Frame,
  effects: Effects,
  view: { camera: Camera; size: Vec; density: number },
  nowMs: number,
): void {
  const { camera, size, density } = view;
  canvas.setTransform(density, 0, 0, density, 0, 0);
  canvas.fillStyle = "#070c14";
  canvas.fillRect(0, 0, size.x, size.y);
  const origin = toScreen(camera, size, { x: 0, y: 0 });
  const scale = density * camera.scale;
  canvas.setTransform(scale, 0, 0, scale, origin.x * density, origin.y * density);
  paintFloor(canvas, frame.world);
  // Shots are shown a little ahead of what is known, so that walls and edges must hide them.
  for (const shot of frame.shots) {
    if (isInside(frame.world, shot)) paintShot(canvas, shot);
  }
  paintWalls(canvas, frame.world);
  for (const ship of frame.ships) {
    if (ship.hp > 0) paintShip(canvas, ship, ship.seat === frame.me);
  }
  effects.draw(canvas, nowMs);
  for (const ship of frame.ships) {
    if (ship.hp > 0) paintLabel(canvas, ship, frame.names.get(ship.seat) ?? "", camera.scale);
  }
}

function isInside({ width, height }: World, { x, y }: Vec): boolean {
  return x >= 0 && y >= 0 && x <= width && y <= height;
}

function paintFloor(canvas: CanvasRenderingContext2D, { width, height }: World): void {
  canvas.fillStyle = "#0d1624";
  canvas.fillRect(0, 0, width, height);
  canvas.strokeStyle = "#1a2a40";
  canvas.lineWidth = 1;
  canvas.beginPath();
  for (let x = GRID_UNITS; x < width; x += GRID_UNITS) {
    canvas.moveTo(x, 0);
    canvas.lineTo(x, height);
  }
  for (let y = GRID_UNITS; y < height; y += GRID_UNITS) {
    canvas.moveTo(0, y);
    canvas.lineTo(width, y);
  }
  canvas.stroke();
}

function paintWalls(canvas: CanvasRenderingContext2D, { width, height, walls }: World): void {
  canvas.lineWidth = 2;
  canvas.strokeStyle = "#45648a";
  for (const [x, y, w, h] of walls) {
    const fill = canvas.createLinearGradient(0, y, 0, y + h);
    fill.addColorStop(0, "#2c4260");
    fill.addColorStop(1, "#1f3049");
    canvas.fillStyle = fill;
    canvas.beginPath();
    canvas.roundRect(x, y, w, h, 5);
    canvas.fill();
    canvas.stroke();
  }
  canvas.lineWidth = 3;
  canvas.strokeStyle = "#34506f";
  canvas.strokeRect(0, 0, width, height);
}

function paintShot(canvas: CanvasRenderingContext2D, shot: Shot): void {
  const speed = Math.hypot(shot.vx, shot.vy) || 1;
  const [dx, dy] = [shot.vx / speed, shot.vy / speed];
  const tail = canvas.createLinearGradient(shot.x, shot.y, shot.x - dx * 34, shot.y - dy * 34);
  tail.addColorStop(0, colorOf(shot.seat));
  tail.addColorStop(1, "transparent");
  canvas.strokeStyle = tail;
  canvas.lineWidth = 5.5;
  canvas.lineCap = "round";
  canvas.beginPath();
  canvas.moveTo(shot.x, shot.y);
  canvas.lineTo(shot.x - dx * 34, shot.y - dy * 34);
  canvas.stroke();
  canvas.fillStyle = "#ffffff";
  canvas.beginPath();
  canvas.arc(shot.x, shot.y, 3.2, 0, Math.PI * 2);
  canvas.fill();
}

function paintShip(canvas: CanvasRenderingContext2D, ship: Ship, mine: boolean): void {
  const color = colorOf(ship.seat);
  canvas.save();
  canvas.translate(ship.x, ship.y);
  if (mine) {
    canvas.strokeStyle = `${color}66`;
    canvas.lineWidth = 2;
    canvas.beginPath();
    canvas.arc(0, 0, SHIP_RADIUS + 9, 0, Math.PI * 2);
    canvas.stroke();
  }
  canvas.rotate(ship.aim);
  canvas.beginPath();
  canvas.moveTo(SHIP_RADIUS + 3, 0);
  canvas.lineTo(-SHIP_RADIUS * 0.72, SHIP_RADIUS * 0.78);
  canvas.lineTo(-SHIP_RADIUS * 0.34, 0);
  canvas.lineTo(-SHIP_RADIUS * 0.72, -SHIP_RADIUS * 0.78);
  canvas.closePath();
  canvas.fillStyle = color;
  canvas.lineJoin = "round";
  canvas.lineWidth = 4;
  canvas.strokeStyle = color;
  canvas.stroke();
  canvas.fill();
  canvas.fillStyle = "#0d1624";
  canvas.beginPath();
  canvas.arc(2, 0, 3.6, 0, Math.PI * 2);
  canvas.fill();
  canvas.restore();
}

/** Name and health above a ship, in the size of text whatever the scale is. */
function paintLabel(
  canvas: CanvasRenderingContext2D,
  ship: Ship,
  name: string,
  scale: number,
): void {
  const unit = 1 / Math.max(scale, 0.75);
  const width = 44 * unit;
  const height = 5 * unit;
  const top = ship.y - SHIP_RADIUS - 20 * unit;
  canvas.fillStyle = "#000000aa";
  canvas.beginPath();
  canvas.roundRect(ship.x - width / 2 - unit, top - unit, width + 2 * unit, height + 2 * unit, 4);
  canvas.fill();
  const share = ship.hp / HP_MAX;
  canvas.fillStyle = share > 0.5 ? "#5fe08a" : share > 0.25 ? "#ffc94a" : "#ff6b5e";
  canvas.beginPath();
  canvas.roundRect(ship.x - width / 2, top, width * share, height, 3);
  canvas.fill();
  const label = name.length > LABEL_CHARS_MAX ? `${name.slice(0, LABEL_CHARS_MAX)}…` : name;
  canvas.font = `600 ${13 * unit}px "Geist Variable", system-ui, sans-serif`;
  canvas.textAlign = "center";
  canvas.lineWidth = 3 * unit;
  canvas.lineJoin = "round";
  canvas.strokeStyle = "#070c14cc";
  canvas.strokeText(label, ship.x, top - 6 * unit);
  canvas.fillStyle = "#e9eff6";
  canvas.fillText(label, ship.x, top - 6 * unit);
}

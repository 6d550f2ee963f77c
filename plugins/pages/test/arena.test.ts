// Behaviour of what the arena shows between the server's words.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Prediction } from "../src/arena/prediction.js";
import { Timeline } from "../src/arena/timeline.js";
import { inUnits, moveShip, type Snapshot, type World } from "../src/arena/world.js";

const world: World = { width: 1600, height: 900, walls: [[400, 0, 100, 400]] };

function snapshot(tick: number, x: number, shots: Snapshot["shots"] = []): Snapshot {
  const ships = [[0, x, 200, 0, 100, 0, 0, 0, 0]] as const;
  return { type: "snapshot", tick, left_ms: 1_000, ships, shots, hits: [] };
}

function near(actual: number | undefined, expected: number, within = 0.01): void {
  assert.ok(
    actual !== undefined && Math.abs(actual - expected) <= within,
    `${actual}, ${expected}`,
  );
}

test("a ship moves at its speed, and a diagonal is no faster", () => {
  near(moveShip(world, { x: 100, y: 100 }, { x: 1, y: 0 }, 100).x, 126);
  near(moveShip(world, { x: 100, y: 100 }, { x: 1, y: 1 }, 100).x, 100 + 26 / Math.SQRT2);
});

test("walls and edges stop a ship, and it slides along them", () => {
  const stopped = moveShip(world, { x: 380, y: 200 }, { x: 1, y: 1 }, 100);
  near(stopped.x, 382);
  assert.ok(stopped.y > 200);
  near(moveShip(world, { x: 20, y: 20 }, { x: -1, y: 0 }, 1_000).x, 18);
});

test("a ship is shown between two snapshots, two ticks in the past", () => {
  const timeline = new Timeline();
  for (const tick of [0, 1, 2, 3]) timeline.push(snapshot(tick, tick * 10), 1_000 + tick * 50);
  near(timeline.ships(1_150)[0]?.x, 10);
  near(timeline.ships(1_175)[0]?.x, 15);
  near(timeline.ships(9_000)[0]?.x, 30);
});

test("what a scene tells in whole tenths and thousandths is units and radians here", () => {
  const told: Snapshot = {
    type: "snapshot",
    tick: 1,
    left_ms: 1_000,
    ships: [[2, 865, 800, 1_500, 100, 0, 3, 1, 7]],
    shots: [[4, 2, 890, 1_149, 495, -6_982]],
    hits: [[2, 0, 15, 9_000, true]],
  };
  const { ships, shots, hits } = inUnits(told);
  assert.deepEqual(ships, [[2, 86.5, 80, 1.5, 100, 0, 3, 1, 7]]);
  assert.deepEqual(shots, [[4, 2, 89, 114.9, 49.5, -698.2]]);
  assert.deepEqual(hits, [[2, 0, 1.5, 900, true]]);
});

test("a ship that was put elsewhere does not fly there", () => {
  const timeline = new Timeline();
  timeline.push(snapshot(0, 0), 0);
  timeline.push(snapshot(1, 800), 50);
  near(timeline.ships(125)[0]?.x, 800);
});

test("shots are shown where they are now, and snapshots out of order change nothing", () => {
  const timeline = new Timeline();
  timeline.push(snapshot(2, 0, [[1, 0, 100, 100, 700, 0]]), 100);
  timeline.push(snapshot(1, 0), 110);
  near(timeline.shots(150)[0]?.x, 135);
});

test("the own ship answers at once and agrees with the server later", () => {
  const prediction = new Prediction(world);
  assert.equal(prediction.position(0), undefined);
  prediction.receive({ x: 100, y: 500 }, 0, 0);
  near(prediction.position(50)?.x, 100);
  prediction.input({ x: 1, y: 0 }, 1_000);
  prediction.sent(1, 1_000);
  const soon = prediction.position(1_050)!;
  near(soon.x, 113, 2);
  prediction.receive({ x: 102, y: 500 }, 1, 1_060);
  near(prediction.position(1_060)?.x, soon.x + 2.6, 3);
});

test("a respawn is not a flight across the arena", () => {
  const prediction = new Prediction(world);
  prediction.receive({ x: 100, y: 500 }, 0, 0);
  prediction.receive({ x: 1_400, y: 100 }, 0, 50);
  near(prediction.position(51)?.x, 1_400);
});

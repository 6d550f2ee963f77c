// Whole games against a running host while every connection is cut again and again. The tests of the
// host run it: `node build/test/cuts.js HOST:PORT`. It ends with 0 only if nothing was lost or doubled.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { argv, exit, getActiveResourcesInfo } from "node:process";
import { WebSocket } from "ws";
import { Lobby, type ConnectOptions, type Match, type Resumed, type Scene } from "../src/index.js";
import { until } from "./host.js";
import { Proxy } from "./proxy.js";

const CUTS = 50;
const DEADLINE_MS = 120_000;

const options: ConnectOptions = {
  WebSocket: WebSocket as unknown as NonNullable<ConnectOptions["WebSocket"]>,
  reconnect: { backOffMs: 2, backOffMsMax: 10 },
};

interface Player {
  lobby: Lobby;
  scene: Scene;
  resumed: Resumed[];
}

/** Two players at one table, each over the proxy. */
async function pair(proxy: Proxy, domain: string): Promise<[Player, Player]> {
  const sitDown = async (name: string): Promise<[Lobby, Promise<Match>]> => {
    const guest = { deviceId: randomBytes(16).toString("hex"), name };
    const lobby = await Lobby.connect(proxy.url("/v1/lobby"), { guest }, options);
    const searching = new Promise((resolve) => lobby.on("matchState", resolve));
    const match = lobby.findMatch(domain);
    await searching;
    return [lobby, match];
  };
  const enter = async ([lobby, match]: [Lobby, Promise<Match>]): Promise<Player> => {
    // During the search the connections are cut, too.
    proxy.cut();
    const reconnect = { ...options.reconnect, first: true };
    const scene = await lobby.join(await match, { reconnect });
    const player: Player = { lobby, scene, resumed: [] };
    scene.on("resumed", (resumed) => player.resumed.push(resumed));
    return player;
  };
  const first = await sitDown("Ada");
  proxy.cut();
  const second = await sitDown("Bob");
  return Promise.all([enter(first), enter(second)]);
}

type GomokuEvent =
  | { type: "state"; turn: number | null; moves: [number, number][] }
  | { type: "placed"; seat: number; x: number; y: number; turn: number | null }
  | { type: "over" | "presence" | "refused" };

/** Stones of both colors in turn that never make five in a row. */
function quietMoves(count: number): [number, number][] {
  const cells = Array.from({ length: 225 }, (_, i): [number, number] => [
    i % 15,
    Math.floor(i / 15),
  ]);
  const color = ([x, y]: [number, number]) => ((x >> 1) + y) & 1;
  const black = cells.filter((cell) => color(cell) === 0);
  const white = cells.filter((cell) => color(cell) === 1);
  return Array.from({ length: count }, (_, i) => (i % 2 === 0 ? black : white)[i >> 1]!);
}

async function gomoku(proxy: Proxy): Promise<void> {
  const players = await pair(proxy, "gomoku");
  const moves = quietMoves(80);
  const seen: [number, number][][] = [[], []];
  const turns: (number | null)[] = [null, null];
  let refused = 0;
  for (const [i, { scene }] of players.entries()) {
    scene.json<GomokuEvent>().on((event) => {
      if (event.type === "refused") refused += 1;
      if (event.type === "state") seen[i] = [...event.moves];
      if (event.type === "placed") seen[i]!.push([event.x, event.y]);
      if (event.type === "state" || event.type === "placed") turns[i] = event.turn;
    });
  }
  await until("both know whose turn it is", () => turns.every((turn) => turn !== null), 20_000);
  let cuts = 0;
  for (const [n, [x, y]] of moves.entries()) {
    const mover = players.find(({ scene }) => scene.seat === turns[0])!;
    // Before the move, on its way, or on the way of its effect.
    if (cuts < CUTS && n % 3 === 0) (proxy.cut(), cuts++);
    mover.scene.send({ type: "place", x, y });
    if (cuts < CUTS && n % 3 !== 0) (setTimeout(() => proxy.cut(), n % 4).unref(), cuts++);
    await until(`both see move ${n}`, () => seen.every((seen) => seen.length > n), 20_000);
    await until("the turn has passed", () => turns[0] === turns[1], 20_000);
  }
  assert.equal(cuts, CUTS);
  assert.deepEqual(seen, [moves, moves]);
  assert.equal(refused, 0, "no move came twice");
  for (const { scene, resumed } of players) {
    assert.ok(resumed.length > CUTS / 2, `${resumed.length} returns`);
    assert.ok(resumed.every(({ complete }) => complete));
    assert.equal(scene.gone, undefined);
  }
  await finish(players);
}

type ArenaEvent = { type: "snapshot"; tick: number; ships: number[][] } | { type: "welcome" };
/** Where a ship's row in a snapshot names the last input in effect. */
const SHIP_INPUT = 8;

async function arena(proxy: Proxy): Promise<void> {
  const players = await pair(proxy, "arena");
  const ticks: number[][] = [[], []];
  const inputs = [0, 0];
  for (const [i, { scene }] of players.entries()) {
    scene.json<ArenaEvent>().on((event) => {
      if (event.type !== "snapshot") return;
      ticks[i]!.push(event.tick);
      inputs[i] = event.ships.find(([seat]) => seat === scene.seat)?.[SHIP_INPUT] ?? inputs[i]!;
    });
  }
  let sent = 0;
  for (let cut = 0; cut < CUTS; cut++) {
    proxy.cut();
    for (const { scene } of players) {
      const aim = (sent % 60) / 10;
      scene.send({ type: "input", n: sent + 1, move: [1, 0], aim, fire: false });
    }
    sent += 1;
    await new Promise((resolve) => setTimeout(resolve, 40));
  }
  await until("the last inputs have their effect", () => inputs.every((n) => n === sent), 20_000);
  for (const [i, { resumed }] of players.entries()) {
    assert.ok(resumed.length > 0 && resumed.every(({ complete }) => complete));
    const gaps = ticks[i]!.filter((tick, at, all) => at > 0 && tick !== all[at - 1]! + 1);
    assert.deepEqual(gaps, [], `of ${ticks[i]!.length} snapshots none is lost or doubled`);
    assert.ok(ticks[i]!.length > 30);
  }
  await finish(players);
}

async function finish(players: Player[]): Promise<void> {
  for (const { scene, lobby } of players) {
    await scene.leave();
    lobby.close();
  }
}

const deadline = setTimeout(() => {
  console.error(`not done within ${DEADLINE_MS / 1000} s: ${getActiveResourcesInfo().join(", ")}`);
  exit(1);
}, DEADLINE_MS);
const [address] = argv.slice(2);
const { hostname, port } = new URL(`http://${address}`);
const proxy = await Proxy.start(hostname, Number(port));
for (const game of [gomoku, arena]) {
  const sinceMs = performance.now();
  await game(proxy);
  console.log(`${game.name}: passed in ${Math.round(performance.now() - sinceMs)} ms`);
}
console.log(`${proxy.cutCount} connections were cut`);
proxy.stop();
// What is left open then would keep the process until the deadline.
deadline.unref();

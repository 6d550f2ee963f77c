// The page: signs in as a guest, finds a match, draws the field and sends where the player wants to run.
import { Lobby, type JsonScene, type Scene } from "@scenehost/client";
import type { Point, Reply, Request } from "../src/scene.js";

const NAMES = ["Ada", "Bo", "Cleo", "Dario", "Emi", "Finn"];
const COLOURS = ["#d9480f", "#1971c2", "#2f9e44", "#9c36b5"];
const KEYS: Record<string, Point> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
  a: [-1, 0],
  d: [1, 0],
  w: [0, -1],
  s: [0, 1],
};

const field = document.querySelector<HTMLCanvasElement>("#field")!;
const again = document.querySelector<HTMLButtonElement>("#again")!;
const status = document.querySelector("#status")!;
const draw = field.getContext("2d")!;

let game: JsonScene<Reply, Request> | undefined;
let towards: Point = [0, 0];

function say(text: string): void {
  status.textContent = text;
}

/** Each tab is a player of its own, and a reload is the same one. */
function deviceId(): string {
  const kept = sessionStorage.getItem("device") ?? crypto.randomUUID();
  sessionStorage.setItem("device", kept);
  return kept;
}

/** Sends a direction when it has changed. */
function steer([x, y]: Point): void {
  const [wantedX, wantedY] = [Math.sign(x), Math.sign(y)];
  if (wantedX === towards[0] && wantedY === towards[1]) return;
  towards = [wantedX, wantedY];
  game?.send({ type: "run", x: wantedX, y: wantedY });
}

function steerByKeys(): void {
  const held = new Set<string>();
  const turn = () =>
    steer([...held].reduce<Point>(([x, y], key) => [x + KEYS[key]![0], y + KEYS[key]![1]], [0, 0]));
  addEventListener("keydown", (event) => {
    if (!KEYS[event.key]) return;
    event.preventDefault();
    held.add(event.key);
    turn();
  });
  addEventListener("keyup", ({ key }) => held.delete(key) && turn());
  addEventListener("blur", () => {
    held.clear();
    turn();
  });
}

/** A finger: towards where it is, seen from the middle. */
function steerByTouch(): void {
  const turn = ({ offsetX, offsetY }: PointerEvent) => {
    const from = (at: number, length: number) => {
      const middle = at / length - 0.5;
      return Math.abs(middle) > 0.15 ? middle : 0;
    };
    steer([from(offsetX, field.clientWidth), from(offsetY, field.clientHeight)]);
  };
  field.onpointerdown = turn;
  field.onpointermove = (event) => event.buttons && turn(event);
  field.onpointerup = field.onpointercancel = () => steer([0, 0]);
}

function circle([x, y]: Point, radius: number, colour: string): void {
  draw.fillStyle = colour;
  draw.beginPath();
  draw.arc(x * 10, y * 10, radius, 0, 7);
  draw.fill();
}

function show({ left_s, runners, coins }: Reply, seat: number): void {
  draw.clearRect(0, 0, field.width, field.height);
  for (const coin of coins) circle(coin, 14, "#f2b600");
  draw.font = "bold 30px system-ui";
  draw.textAlign = "center";
  for (const runner of runners) {
    circle(runner.at, 30, COLOURS[runner.seat % COLOURS.length]!);
    draw.fillStyle = "#fff";
    draw.fillText(String(runner.score), runner.at[0] * 10, runner.at[1] * 10 + 11);
  }
  const own = runners.find((runner) => runner.seat === seat)?.score ?? 0;
  say(`${left_s} s left. Arrow keys or a finger. You have ${own}.`);
}

/** Plays one round. */
async function play(lobby: Lobby): Promise<void> {
  again.hidden = true;
  say("Looking for other players … open this page in a second window.");
  const match = lobby.heldSceneId ? await lobby.rejoin() : await lobby.findMatch("{{name}}");
  const scene = await lobby.join(match);
  enter(scene);
}

function enter(scene: Scene): void {
  const channel = scene.json<Reply, Request>();
  game = channel;
  towards = [0, 0];
  channel.on((reply) => show(reply, scene.seat));
  scene.on("dropped", () => say("The connection is lost, trying again …"));
  scene.on("ended", ({ text, results }) => {
    const own = results.find((result) => result.seat === scene.seat);
    say(own ? `Place ${own.place} with ${own.score} coins.` : text || "The round is over.");
    game = undefined;
    again.hidden = false;
  });
}

function trouble(error: unknown): void {
  say(error instanceof Error ? error.message : String(error));
}

async function start(): Promise<void> {
  const name = NAMES[Math.floor(Math.random() * NAMES.length)]!;
  const lobby = await Lobby.connect("/v1/lobby", { guest: { deviceId: deviceId(), name } });
  lobby.on("gone", (why) => say(`The lobby is gone: ${why.message}. Reload the page.`));
  const round = () =>
    play(lobby).catch((error: unknown) => {
      trouble(error);
      again.hidden = false;
    });
  again.onclick = round;
  await round();
}

steerByKeys();
steerByTouch();
start().catch(trouble);

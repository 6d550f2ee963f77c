// The page: signs in as a guest, finds a match, shows the game and sends what the player does.
import { Lobby, type JsonScene, type Scene } from "@scenehost/client";
import type { Reply, Request } from "../src/scene.js";

const NAMES = ["Ada", "Bo", "Cleo", "Dario", "Emi", "Finn"];

const sticks = document.querySelector("#sticks")!;
const word = document.querySelector("#word")!;
const moves = document.querySelectorAll<HTMLButtonElement>("#moves button");
const again = document.querySelector<HTMLButtonElement>("#again")!;

let game: JsonScene<Reply, Request> | undefined;

function say(text: string): void {
  word.textContent = text;
}

/** Each tab is a player of its own, and a reload is the same one. */
function deviceId(): string {
  const kept = sessionStorage.getItem("device") ?? crypto.randomUUID();
  sessionStorage.setItem("device", kept);
  return kept;
}

/** So many sticks, of which the player may take up to three, if it is their turn. */
function show(count: number, mine: boolean): void {
  sticks.replaceChildren(...Array.from({ length: count }, () => document.createElement("i")));
  sticks.ariaLabel = `${count} sticks`;
  for (const button of moves) button.disabled = !mine || Number(button.dataset["count"]) > count;
}

function hear(reply: Reply, seat: number): void {
  if (reply.type === "state") {
    const mine = reply.begun && reply.turn === seat;
    show(reply.sticks, mine);
    const them = reply.names[1 - seat] || "the other one";
    if (!reply.begun) say(`Waiting for ${them} …`);
    else say(mine ? `Your turn, ${reply.names[seat]}.` : `${them} is thinking …`);
  }
  if (reply.type === "refused") say(`Not possible: ${reply.reason}.`);
}

/** Plays one game. */
async function play(lobby: Lobby): Promise<void> {
  again.hidden = true;
  say("Looking for another player … open this page in a second window.");
  const match = lobby.heldSceneId ? await lobby.rejoin() : await lobby.findMatch("{{name}}");
  enter(await lobby.join(match));
}

function enter(scene: Scene): void {
  const channel = scene.json<Reply, Request>();
  game = channel;
  channel.on((reply) => hear(reply, scene.seat));
  scene.on("dropped", () => say("The connection is lost, trying again …"));
  scene.on("ended", ({ text, results }) => {
    const own = results.find((result) => result.seat === scene.seat);
    say(own ? (own.place === 1 ? "You win!" : "You lose.") : text || "The game is over.");
    game = undefined;
    show(0, false);
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

show(0, false);
for (const button of moves) {
  button.onclick = () => game?.send({ type: "take", count: Number(button.dataset["count"]) });
}
start().catch(trouble);

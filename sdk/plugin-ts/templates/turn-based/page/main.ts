// The page: signs in as a guest, finds a match, shows the game and sends what the player does.
import { Lobby, ScenehostError } from "@scenehost/client";
import type { Reply } from "../src/scene.js";

type Request = { type: "take"; count: number };

const sticks = document.querySelector("#sticks")!;
const word = document.querySelector("#word")!;
const buttons = document.querySelectorAll("button");

/** Each tab is a player of its own, and a reload is the same one. */
function deviceId(): string {
  const kept = sessionStorage.getItem("device") ?? crypto.randomUUID();
  sessionStorage.setItem("device", kept);
  return kept;
}

function enable(on: boolean): void {
  for (const button of buttons) button.disabled = !on;
}

async function play(): Promise<void> {
  const guest = { deviceId: deviceId(), name: `Player ${deviceId().slice(0, 4)}` };
  const lobby = await Lobby.connect("/v1/lobby", { guest });
  const match = lobby.heldSceneId ? await lobby.rejoin() : await lobby.findMatch("{{name}}");
  const scene = await lobby.join(match);
  const game = scene.json<Reply, Request>();
  game.on((reply) => {
    if (reply.type === "state") {
      const mine = reply.begun && reply.turn === scene.seat;
      sticks.textContent = "|".repeat(reply.sticks);
      word.textContent = mine
        ? "Your turn"
        : `${reply.names[reply.turn] || "The other one"} thinks …`;
      enable(mine);
    }
    if (reply.type === "refused") word.textContent = reply.reason;
    if (reply.type === "over") {
      word.textContent = reply.winner === scene.seat ? "You have won" : "You have lost";
      enable(false);
    }
  });
  scene.on("dropped", () => (word.textContent = "The connection is lost, trying again …"));
  for (const button of buttons) {
    button.onclick = () => game.send({ type: "take", count: Number(button.dataset["count"]) });
  }
}

enable(false);
play().catch((error: unknown) => {
  word.textContent = error instanceof ScenehostError ? error.message : String(error);
});

// Two people enter an arena, fly, shoot, and see each other: one at a desktop, one on a phone.
import assert from "node:assert/strict";
import { DESKTOP, PHONE, run } from "./browser.mjs";

/** How far a ship must have flown to have moved, in units of the world. */
const MOVED_UNITS = 40;
/** Snapshots that must come in two seconds of twenty a second each. */
const SNAPSHOTS_MIN = 30;

await run("arena", async (table) => {
  table.begin("two people sign in and enter an arena");
  const ada = await table.enter("Ada", DESKTOP);
  const bob = await table.enter("Bob", PHONE);
  await ada.play("arena");
  await ada.at("waiting").waitFor();
  await bob.play("arena");
  for (const player of [ada, bob]) await player.at("round-clock").waitFor();

  table.begin("snapshots come steadily");
  const before = await ada.number("arena", "data-tick");
  await ada.page.waitForTimeout(2_000);
  const ticks = (await ada.number("arena", "data-tick")) - before;
  assert.ok(ticks >= SNAPSHOTS_MIN, `${ticks} ticks in two seconds`);

  table.begin("both are on both score boards");
  for (const player of [ada, bob]) {
    await player.until(() => {
      const text =
        document.querySelector('[data-testid="scoreboard"]')?.textContent ?? "";
      return text.includes("Ada") && text.includes("Bob");
    });
  }

  table.begin("keys and mouse move the ship and shoot");
  const from = await place(ada);
  // Up or down: beside two of the places where ships appear is a wall, and shots end there at once.
  const key = from.y < 450 ? "KeyS" : "KeyW";
  await ada.page.mouse.move(500, 400);
  await ada.page.keyboard.down(key);
  await ada.page.mouse.down();
  await moved(ada, from);
  await shot(ada);
  await table.picture(ada, "flying");
  await ada.page.mouse.up();
  await ada.page.keyboard.up(key);

  table.begin("thumbs move the ship and shoot");
  const start = await place(bob);
  const touch = await bob.page.context().newCDPSession(bob.page);
  const thumbs = (type, ...points) =>
    touch.send("Input.dispatchTouchEvent", {
      type,
      touchPoints: points.map(([x, y], id) => ({ x, y, id })),
    });
  const away = start.y < 450 ? 40 : -40;
  await thumbs("touchStart", [100, 730], [300, 740]);
  await thumbs("touchMove", [100, 730 + away], [300, 740 + away]);
  await moved(bob, start);
  await shot(bob);
  await table.picture(bob, "flying");
  await thumbs("touchEnd");

  table.begin("a reload leads back to the ship");
  await ada.page.reload();
  await ada.at("round-clock").waitFor();
  await ada.until(
    () =>
      Number(document.querySelector('[data-testid="arena"]')?.dataset.tick) > 0,
  );

  table.begin("both leave");
  for (const player of [ada, bob]) {
    await player.press("leave");
    await player.press("leave-confirm");
    await player.at("name").waitFor();
  }
});

async function place(player) {
  return {
    x: await player.number("arena", "data-x"),
    y: await player.number("arena", "data-y"),
  };
}

function moved(player, from) {
  return player.until(
    ([from, far]) => {
      const { x, y } = document.querySelector('[data-testid="arena"]').dataset;
      return Math.hypot(x - from.x, y - from.y) > far;
    },
    [from, MOVED_UNITS],
  );
}

function shot(player) {
  return player.until(
    () =>
      Number(document.querySelector('[data-testid="arena"]').dataset.shots) > 0,
  );
}

// Two people play, a third finds their games in the list, watches one, joins one, and watches the other.
import assert from "node:assert/strict";
import { DESKTOP, PHONE, run } from "./browser.mjs";

await run("games-going-on", async (table) => {
  table.begin("nobody plays at first");
  const eve = await table.enter("Eve", DESKTOP);
  await eve.at("name").fill("Eve");
  await eve.at("running-none").waitFor();

  table.begin("two people enter an arena");
  const ada = await table.enter("Ada", DESKTOP);
  const bob = await table.enter("Bob", PHONE);
  for (const player of [ada, bob]) await player.play("arena");
  for (const player of [ada, bob]) await player.at("round-clock").waitFor();

  table.begin("the game is in the list, with who plays");
  await eve.until(() => {
    const game = document.querySelector('[data-testid="running-game"]');
    return game?.textContent.includes("2 of 8 players");
  });
  await table.picture(eve, "list");

  table.begin("she watches it, a little later than it is played");
  await eve.press("watch-game");
  await eve.until(
    () =>
      Number(
        document.querySelector('[data-testid="arena-watched"]')?.dataset.tick,
      ) > 0,
  );
  const [played, seen] = await Promise.all([
    ada.number("arena", "data-tick"),
    eve.number("arena-watched", "data-tick"),
  ]);
  assert.ok(seen < played, `step ${seen} is shown while step ${played} is played`);
  assert.ok(played - seen > 20, `${played - seen} steps are more than a second`);
  await eve.until(() => {
    const text =
      document.querySelector('[data-testid="scoreboard"]')?.textContent ?? "";
    return text.includes("Ada") && text.includes("Bob");
  });
  await table.picture(eve, "watching");
  await eve.press("watch-no-more");

  table.begin("she joins it while it goes on");
  await eve.at("join-game").waitFor();
  await eve.press("join-game");
  await eve.at("round-clock").waitFor();
  await ada.until(() =>
    document
      .querySelector('[data-testid="scoreboard"]')
      ?.textContent.includes("Eve"),
  );
  await table.picture(eve, "joined");
  await eve.press("leave");
  await eve.press("leave-confirm");
  await eve.at("name").waitFor();
  for (const player of [ada, bob]) {
    await player.press("leave");
    await player.press("leave-confirm");
    await player.at("name").waitFor();
  }

  table.begin("a game of gomoku is watched to its end");
  for (const player of [ada, bob]) await player.play("gomoku");
  for (const player of [ada, bob]) await player.at("board").waitFor();
  await eve.until(() =>
    document
      .querySelector('[data-domain="gomoku"]')
      ?.textContent.includes("Ada"),
  );
  await eve.page.locator('[data-domain="gomoku"] [data-testid="watch-game"]').click();
  await eve.at("clock-seat-0").waitFor();
  const black = (await ada.page.locator('[data-turn="me"]').count()) > 0 ? ada : bob;
  await black.press("cell-7-7");
  if (black.touch) await black.press("confirm-move");
  await eve.until(
    () =>
      document.querySelector('[data-testid="cell-7-7"]')?.dataset.stone ===
      "black",
  );
  await table.picture(eve, "table");
  await black.press("resign");
  await black.press("resign-confirm");
  await eve.until(() =>
    document
      .querySelector('[data-testid="status"]')
      ?.textContent.includes("wins"),
  );
  for (const player of [ada, bob]) await player.press("back");
  await eve.until(
    () =>
      document.querySelector('[data-testid="watching"]')?.dataset.over ===
      "true",
  );
  await eve.press("watch-no-more");
  await eve.at("name").waitFor();
});

// Two people play the page of a new turn-based project, to a row of three.
import assert from "node:assert/strict";
import { DESKTOP, PHONE, run } from "./browser.mjs";

await run("template-turn-based", async (table) => {
  table.begin("two people open the page and are matched");
  const one = await table.open("One", DESKTOP);
  const other = await table.open("Other", PHONE);
  const turn = () => document.getElementById("status").textContent.startsWith("Your turn");
  const first = await Promise.race([one, other].map((player) => player.until(turn).then(() => player)));
  const second = first === one ? other : one;
  await table.pictureAll("begun");

  table.begin("they take turns");
  const place = async (player, cell) => {
    await player.until(turn);
    await player.page.locator("#board button").nth(cell).click();
  };
  for (const [player, cell] of [[first, 0], [second, 3], [first, 1], [second, 4], [first, 2]])
    await place(player, cell);

  table.begin("both are told who has won");
  const told = (player, text) =>
    player.until((text) => document.getElementById("status").textContent === text, text);
  await Promise.all([told(first, "You win!"), told(second, "You lose.")]);
  await table.pictureAll("won");
  assert.equal(await first.page.locator("#again").isVisible(), true);

  table.begin("they play again");
  for (const player of [first, second]) await player.page.locator("#again").click();
  await Promise.race([one, other].map((player) => player.until(turn)));
});

// Two people play the page of a new real-time project: the field moves, and keys steer.
import { DESKTOP, run } from "./browser.mjs";

await run("template-real-time", async (table) => {
  table.begin("two people open the page and are matched");
  const players = [await table.open("One", DESKTOP), await table.open("Other", DESKTOP)];
  const runs = () => /^\d+ s left/.test(document.getElementById("status").textContent);
  await Promise.all(players.map((player) => player.until(runs)));
  await table.pictureAll("begun");

  table.begin("a player who runs about finds a coin");
  const has = () => /You have [1-9]/.test(document.getElementById("status").textContent);
  const found = players[0].until(has).then(() => true);
  const sweep = async () => {
    const hold = async (key, ms) => {
      await players[0].page.keyboard.down(key);
      await players[0].page.waitForTimeout(ms);
      await players[0].page.keyboard.up(key);
    };
    // To a corner, then line by line, each nearer to the one before than twice the reach.
    await hold("ArrowUp", 3_500);
    for (;;) {
      await hold("ArrowRight", 3_500);
      await hold("ArrowDown", 230);
      await hold("ArrowLeft", 3_500);
      await hold("ArrowDown", 230);
    }
  };
  await Promise.race([found, sweep()]);
  await table.pictureAll("coin");
});

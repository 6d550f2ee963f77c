// Two people play Gomoku by clicks: a whole game to the announced winner, and a rematch.
//
// One sits at a desktop and one holds a phone, so that both ways to place a stone are played.
import assert from "node:assert/strict";
import { DESKTOP, PHONE, run } from "./browser.mjs";

// Black makes a diagonal; white stays out of its way.
const BLACK = ["5-5", "6-6", "7-7", "8-8", "9-9"];
const WHITE = ["5-7", "6-8", "7-9", "8-10"];

await run("gomoku", async (table) => {
  table.begin("two people sign in");
  const ada = await table.enter("Ada", DESKTOP);
  const bob = await table.enter("Bob", PHONE);
  const both = [ada, bob];

  table.begin("the first one waits, takes it back, and waits again");
  await ada.play("gomoku");
  await ada.at("waiting").waitFor();
  await ada.press("cancel");
  await ada.at("name").waitFor();
  await ada.play("gomoku");
  await ada.at("waiting").waitFor();
  await table.picture(ada, "waiting");

  table.begin("the second one comes, and both are at the table");
  await bob.play("gomoku");
  for (const player of both) await player.at("board").waitFor();

  table.begin("the game is played to five in a row");
  const [black, white] = await byColor(both);
  for (const [i, cell] of BLACK.entries()) {
    await place(black, cell, both, "black");
    if (i < WHITE.length) await place(white, WHITE[i], both, "white");
    if (i === 2) await table.pictureAll("playing");
  }

  table.begin("the winner is announced on both pages");
  for (const player of both) await player.at("result").waitFor();
  assert.equal(await black.text("result-title"), "You win");
  assert.equal(await white.text("result-title"), `${black.name} wins`);
  for (const player of both) {
    const winning = player.page.locator("[data-winning]");
    assert.equal(await winning.count(), 5, "the winning stones are marked");
  }
  assert.equal(await black.text("score-me"), "1");
  assert.equal(await white.text("score-me"), "0");
  await table.pictureAll("result");

  table.begin("both play again, with the colors swapped");
  await white.press("play-again");
  await black.until(() =>
    document.body.innerText.includes("wants to play again"),
  );
  await black.press("play-again");
  for (const player of both) {
    await player.until(() =>
      document.querySelector('[data-testid="gomoku"][data-game="2"]'),
    );
  }
  const [blackNow, whiteNow] = await byColor(both);
  assert.equal(blackNow.name, white.name);
  await place(blackNow, "7-7", both, "black");
  await place(whiteNow, "8-7", both, "white");

  table.begin("a reload leads back to the seat");
  await ada.page.reload();
  await ada.at("board").waitFor();
  await ada.until(() =>
    document.querySelector('[data-testid="cell-8-7"][data-stone="white"]'),
  );
  await place(blackNow, "6-6", both, "black");
  await table.pictureAll("rematch");

  table.begin("one resigns, and both leave for the games");
  await ada.press("resign");
  await ada.press("resign-confirm");
  await bob.at("result").waitFor();
  assert.equal(await bob.text("result-title"), "You win");
  for (const player of both) {
    await player.press("back");
    await player.at("name").waitFor();
  }
});

/** The players by color: whose turn it is at the start has black. */
async function byColor(players) {
  for (const player of players) await player.at("status").waitFor();
  const turns = await Promise.all(
    players.map((player) => player.at("status").getAttribute("data-turn")),
  );
  assert.deepEqual(
    [...turns].sort(),
    ["me", "them"],
    "exactly one of them begins",
  );
  return turns[0] === "me" ? players : [...players].reverse();
}

/** Places a stone as a person does, and waits until both pages show it. */
async function place(player, cell, players, color) {
  await player.until(() =>
    document.querySelector('[data-testid="status"][data-turn="me"]'),
  );
  await player.press(`cell-${cell}`);
  if (player.touch) await player.press("confirm-move");
  for (const each of players) {
    await each.until(
      ([cell, color]) =>
        document.querySelector(
          `[data-testid="cell-${cell}"][data-stone="${color}"]`,
        ),
      [cell, color],
    );
  }
}

// Two people play rock, paper, scissors to the end of the match, and a third watches them.
import assert from "node:assert/strict";
import { DESKTOP, PHONE, run } from "./browser.mjs";

await run("hands", async (table) => {
  table.begin("two people sign in and meet");
  const ada = await table.enter("Ada", DESKTOP);
  const bob = await table.enter("Bob", PHONE);
  await ada.at("play-rock-paper-scissors").waitFor();
  await table.pictureAll("home");
  for (const player of [ada, bob]) await player.play("rock-paper-scissors");
  for (const player of [ada, bob]) await round(player, 1);

  table.begin("what one has chosen the other does not see");
  await ada.press("choose-rock");
  await hand(bob, "them", "hidden");
  await hand(ada, "me", "rock");
  assert.equal(await ada.at("choose-paper").isDisabled(), true);
  await table.pictureAll("choosing");

  table.begin("both see both hands, and who has won");
  await bob.press("choose-paper");
  await hand(ada, "them", "paper");
  await hand(bob, "them", "rock");
  await status(bob, "You win the round");
  await status(ada, "Bob wins the round");
  await table.pictureAll("revealed");

  table.begin("somebody watches");
  const eve = await table.enter("Eve", DESKTOP);
  await eve.at("watch-game").waitFor();
  await eve.press("watch-game");
  await eve.at("hands-watched").waitFor();

  table.begin("the same hands are nobody's round");
  for (const player of [ada, bob]) await round(player, 2);
  await ada.press("choose-rock");
  await hand(eve, "seat-0", "hidden", "seat-1");
  await table.picture(eve, "watching");
  await bob.press("choose-rock");
  await status(ada, "Nobody wins the round");

  table.begin("a reload leads back to the seat, with what was chosen there");
  for (const player of [ada, bob]) await round(player, 3);
  await bob.press("choose-scissors");
  await bob.page.reload();
  await hand(bob, "me", "scissors");
  await ada.press("choose-paper");
  await status(bob, "You win the round");

  table.begin("who wins three rounds wins the match");
  for (const player of [ada, bob]) await round(player, 4);
  await ada.press("choose-scissors");
  await bob.press("choose-rock");
  for (const player of [ada, bob]) await player.at("result").waitFor();
  assert.equal(await bob.text("result-title"), "You win");
  assert.equal(await ada.text("result-title"), "Bob wins");
  assert.match(await bob.text("result-text"), /^3 : 0/);
  await status(eve, "Bob wins");
  await table.pictureAll("result");

  table.begin("one resigns the next match");
  for (const player of [ada, bob]) await player.press("new-match");
  for (const player of [ada, bob]) await round(player, 1);
  await ada.press("resign");
  await ada.press("resign-confirm");
  await bob.at("result").waitFor();
  assert.equal(await bob.text("result-title"), "You win");
  assert.match(await ada.text("result-text"), /You resigned\.$/);
  await bob.press("back");
  await bob.at("name").waitFor();
});

/** Waits until a player can choose in a round. */
async function round(player, number) {
  await player.until((number) => {
    const hands = document.querySelector('[data-testid="hands"]')?.dataset;
    return hands?.phase === "choosing" && Number(hands.round) === number;
  }, number);
}

/** Waits until somebody's hand is shown so; which seat somebody has may be chance. */
async function hand(player, whose, shown, or = whose) {
  await player.until(
    ([seats, shown]) =>
      seats.some(
        (seat) =>
          document.querySelector(`[data-testid="hand-${seat}"]`)?.dataset
            .hand === shown,
      ),
    [[whose, or], shown],
  );
}

async function status(player, text) {
  await player.until(
    (text) =>
      document.querySelector('[data-testid="status"]')?.textContent === text,
    text,
  );
}

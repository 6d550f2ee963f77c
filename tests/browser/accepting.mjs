// Two people say how they like to play, are matched, and accept; then one declines, and has to wait.
import assert from "node:assert/strict";
import { DESKTOP, PHONE, run } from "./browser.mjs";

await run("accepting", async (table) => {
  table.begin("two people sign in and open the other way to play");
  const ada = await table.enter("Ada", DESKTOP);
  const bob = await table.enter("Bob", PHONE);
  const both = [ada, bob];
  for (const player of both) {
    await player.at("name").fill(player.name);
    await openMore(player);
  }
  await table.pictureAll("choices");

  table.begin("who likes it otherwise is not matched");
  await ada.at("like-language").selectOption("deutsch");
  await bob.at("like-language").selectOption("english");
  for (const player of both) await player.press("play-gomoku-ranked");
  for (const player of both) await player.at("waiting").waitFor();
  await ada.until(() =>
    document.querySelector('[data-testid="waiting"][data-state="SEARCHING"]'),
  );
  await bob.page.waitForTimeout(1_500);
  assert.equal(await ada.at("found").count(), 0);
  await table.pictureAll("searching");

  table.begin("one of them changes that, and both are asked");
  await bob.press("cancel");
  await openMore(bob);
  await bob.at("like-language").selectOption("deutsch");
  await bob.press("play-gomoku-ranked");
  for (const player of both) await player.at("found").waitFor();
  await ada.page.waitForTimeout(500); // The countdown is to be seen.
  await table.pictureAll("found");
  assert.match(await ada.page.title(), /^Match found/);

  table.begin("Escape declines nothing, and Enter accepts");
  await ada.page.keyboard.press("Escape");
  await ada.page.keyboard.press("Escape");
  await ada.at("found").waitFor();
  const focused = await ada.page.evaluate(
    () => document.activeElement?.dataset.testid,
  );
  if (focused !== "accept-match") await ada.at("accept-match").focus();
  await ada.page.keyboard.press("Enter");
  await ada.until(() =>
    document.querySelector('[data-testid="found"][data-accepted="true"]'),
  );
  assert.equal(await ada.text("found-text"), "Waiting for 1 more player.");
  await bob.until(() => document.body.innerText.includes("1 of 2 have"));
  await table.picture(ada, "accepted");

  table.begin("the other one accepts, and both are at the table");
  await bob.press("accept-match");
  for (const player of both) await player.at("board").waitFor();
  assert.doesNotMatch(await ada.page.title(), /^Match found/);

  table.begin(
    "one resigns, and the game sends who wants it on to the next match",
  );
  await ada.press("resign");
  await ada.press("resign-confirm");
  for (const player of both) await player.at("play-again").waitFor();
  await ada.press("new-match");
  await ada.until(() =>
    document.querySelector('[data-testid="waiting"][data-state="SEARCHING"]'),
  );

  table.begin("the series is over for the other one, who looks for the next");
  await bob.until(() => !document.querySelector('[data-testid="play-again"]'));
  await bob.at("result").waitFor();
  await table.pictureAll("next");
  await bob.press("new-match");
  for (const player of both) await player.at("found").waitFor();

  table.begin("one declines and has to wait, the other goes on");
  await ada.press("accept-match");
  await bob.press("decline-match");
  await bob.at("trouble").waitFor();
  assert.equal(await bob.text("trouble-title"), "The search is over");
  await table.picture(bob, "declined");
  await ada.until(() =>
    document.querySelector('[data-testid="waiting"][data-state="SEARCHING"]'),
  );
  assert.equal(await ada.at("found").count(), 0);
  await bob.press("back");
  await openMore(bob);
  await bob.press("play-gomoku-ranked");
  await bob.at("trouble").waitFor();
  assert.match(await bob.text("trouble-text"), /try again in \d+ s/i);
  await table.picture(bob, "cool-down");
  await ada.press("cancel");
  await ada.at("name").waitFor();
});

/** Opens the fold-out, unless it is open. */
async function openMore(player) {
  const more = player.at("more-gomoku-ranked");
  await more.waitFor();
  if ((await more.getAttribute("open")) === null) {
    const summary = more.locator("summary");
    await (player.touch ? summary.tap() : summary.click());
  }
  await player.at("play-gomoku-ranked").waitFor();
}

// Two people around the games: they talk, become friends, save a profile, meet in a guild, and shop.
import assert from "node:assert/strict";
import { DESKTOP, PHONE, run } from "./browser.mjs";

await run("around", async (table) => {
  table.begin("two people come, and the chat is shown to both");
  const ada = await table.enter("Ada", DESKTOP);
  const bob = await table.enter("Bob", PHONE);
  for (const player of [ada, bob]) await ready(player);

  table.begin("what one says to everybody, the other reads");
  await say(ada, "a game, anybody?");
  await shown(bob, "a game, anybody?");
  await say(bob, "in a minute");
  await shown(ada, "in a minute");
  await table.pictureAll("chat");

  table.begin(
    "one opens a conversation of two; the other is told while elsewhere",
  );
  await ada.press("hub-tab-profile");
  await bob.at("message-name").last().tap();
  await ready(bob);
  await say(bob, "just for you");
  await ada.at("hub-news-chat").waitFor();

  table.begin("they become friends, and each sees what the other does");
  await bob.press("chat-friend");
  await ada.page.locator('[data-testid="bell"][data-unread="1"]').waitFor();
  await ada.press("bell");
  await ada.press("notification-accept");
  await bob.until(
    () =>
      document.querySelector('[data-testid="chat-standing"]')?.textContent ===
      "Your friend",
  );
  await ada.page.keyboard.press("Escape");
  await ada.press("hub-tab-friends");
  await ada.page
    .locator('[data-testid="presence"][data-state="ONLINE"]')
    .waitFor();
  await table.picture(ada, "friends");
  await ada.press("hub-tab-profile");

  table.begin("a profile is saved");
  await ada.at("profile-status").fill("Looking for a rematch");
  await ada.press("profile-color-coral");
  await ada.press("profile-save");
  await ada.until(
    () =>
      document.querySelector('[data-testid="profile-save"]')?.textContent ===
      "Saved",
  );
  await table.picture(ada, "profile");

  table.begin("the message of before is read, and the dot is gone");
  await ada.press("hub-tab-chat");
  await ada.page
    .locator('[data-testid="conversation"][data-kind="direct"]')
    .click();
  await shown(ada, "just for you");
  await ada.press("hub-tab-profile");
  await ada.at("profile-status").waitFor();
  assert.equal(
    await ada.at("profile-status").inputValue(),
    "Looking for a rematch",
  );
  assert.equal(await ada.at("hub-news-chat").count(), 0);

  table.begin("one founds a guild, the other asks to be let in and is");
  const guild = `Night Owls ${Date.now()}`;
  await ada.press("hub-tab-guild");
  await ada.at("guild-new-name").fill(guild);
  await ada.at("guild-new-tag").fill("OWL");
  await ada.at("guild-new-by-request").check();
  await ada.press("guild-found");
  await ada.at("guild-name").waitFor();
  await bob.press("hub-tab-guild");
  await bob.at("guild-find-name").fill(guild.toLowerCase());
  await bob.press("guild-find");
  await bob.press("guild-join");
  await bob.at("guild-asked").waitFor();
  await ada.press("guild-accept");
  await bob.at("guild-name").waitFor();
  for (const player of [ada, bob]) {
    await player.until(
      () =>
        document.querySelectorAll('[data-testid="guild-member"]').length === 2,
    );
  }
  await ada.press("guild-about-edit");
  await ada.at("guild-about-text").fill("We play at night.");
  await ada.press("guild-about-save");
  await ada.at("guild-about").waitFor();
  await ada.press("guild-by-request");
  await bob.until(() => document.body.innerText.includes("Everybody may join"));
  await table.pictureAll("guild");

  table.begin("they talk in the guild");
  await bob.press("guild-talk");
  await ready(bob);
  await say(bob, "hello, owls");
  await ada.press("guild-talk");
  await shown(ada, "hello, owls");

  table.begin("a reload shows what was said before");
  await ada.page.reload();
  await shown(ada, "in a minute");

  table.begin("the coin of the day buys a potion");
  await ada.press("hub-tab-shop");
  await ada.press("buy-daily-coin");
  await ada.at("balance-coin").waitFor();
  await ada.press("buy-potion");
  await ada.at("balance-potion").waitFor();
  assert.equal(await ada.at("balance-coin").count(), 0, "it is spent");
  assert.equal(await ada.at("ledger-entry").count(), 2);
  await table.picture(ada, "shop");

  table.begin("the leaderboards are there");
  await ada.press("hub-tab-ranking");
  await ada.at("ranking").waitFor();
  await ada.at("board-gomoku").waitFor();
  await table.picture(ada, "ranking");
});

/** Until the conversation that is chosen is loaded. */
function ready(player) {
  return player.until(() =>
    document.querySelector('[data-testid="chat-messages"][data-state="ready"]'),
  );
}

async function say(player, text) {
  await player.at("chat-text").fill(text);
  await player.press("chat-send");
  await shown(player, text);
}

function shown(player, text) {
  return player.page
    .getByTestId("message-text")
    .filter({ hasText: text })
    .last()
    .waitFor();
}

// Three people form a party, by its code and by an invitation, and go into a game together.
import assert from "node:assert/strict";
import { DESKTOP, PHONE, run } from "./browser.mjs";

const DARK = { ...DESKTOP, colorScheme: "dark" };

await run("party", async (table) => {
  table.begin("one begins a party under the name that was typed");
  const ada = await table.enter("Ada", DESKTOP);
  await table.picture(ada, "none");
  await ada.at("name").fill("Ada");
  await ada.press("party-create");
  await ada.at("party-code").waitFor();
  const code = await ada.text("party-code");
  assert.match(code, /^[2-9A-Z]{6}$/);
  await members(ada, ["Ada"]);

  table.begin(
    "the second one follows the link, and the third one is invited by id",
  );
  const bob = await table.enter("Bob", PHONE);
  await bob.page.goto(`${table.baseUrl}?party=${code}`);
  await bob.at("name").fill("Bob");
  await table.picture(bob, "link");
  await bob.press("party-join");
  await bob.at("party-code").waitFor();
  assert.ok(!bob.page.url().includes("party="), "a reload does not ask again");
  const cy = await table.enter("Cy", DARK);
  await cy.at("name").fill("Cy");
  await cy.press("hub-tab-profile");
  await ada.at("party-invite-id").fill(await cy.text("own-id"));
  await ada.press("party-invite");
  await cy.at("party-invitation").waitFor();
  await ada.at("party-invited").waitFor();
  await table.pictureAll("invited");
  await cy.press("party-accept");
  const all = [ada, bob, cy];
  for (const player of all) await members(player, ["Ada", "Bob", "Cy"]);
  assert.equal(
    await bob.at("play-arena").isDisabled(),
    true,
    "the leader starts",
  );

  table.begin("they talk in the party");
  await bob.press("party-talk");
  await bob.at("chat-text").fill("the arena?");
  await bob.press("chat-send");
  await ada.at("hub-tab-chat").click();
  await ada.page
    .locator('[data-testid="conversation"][data-kind="party"]')
    .click();
  await ada.page
    .getByTestId("message-text")
    .filter({ hasText: "the arena?" })
    .waitFor();
  await table.pictureAll("talk");

  table.begin("one is not ready, and all are told who");
  await ada.at("party-check-game").selectOption("arena");
  await ada.press("party-check");
  await bob.press("party-not-ready");
  for (const player of [ada, cy]) await news(player, "Bob is not ready.");

  table.begin("all are ready, and are in one game");
  await ada.press("party-check");
  await cy.press("party-is-ready");
  await ada.until(
    () => document.querySelectorAll('[data-ready="true"]').length === 2,
  );
  await table.pictureAll("question");
  await bob.press("party-is-ready");
  await Promise.all(all.map((player) => player.at("waiting").waitFor()));
  await table.pictureAll("waiting");
  for (const player of all) await player.at("arena").waitFor();
  await ada.until(() =>
    ["Ada", "Bob", "Cy"].every((it) => document.body.innerText.includes(it)),
  );

  table.begin("they come back, and are still the party");
  for (const player of all) {
    await player.press("leave");
    await player.press("leave-confirm");
    await members(player, ["Ada", "Bob", "Cy"]);
  }

  table.begin("a game that takes fewer is refused with the reason");
  await ada.until(
    () => document.querySelectorAll('[data-state="ONLINE"]').length >= 3,
  );
  await ada.press("play-gomoku");
  await news(ada, "your party is too large: this game takes 2 players");

  table.begin("the leader removes one, who is told");
  const third = ada.page.locator('[data-testid="party-member"]').nth(2);
  await third.getByTestId("party-kick").click();
  await ada.press("party-kick-confirm");
  await news(cy, "You were removed from the party.");
  await news(ada, "Cy was removed.");

  table.begin("a member stops the search, and the leader is told who");
  await ada.press("play-arena");
  await bob.at("waiting").waitFor();
  await bob.press("cancel");
  await news(ada, "Bob has stopped the search");
  await bob.at("party-code").waitFor();
  await table.pictureAll("stopped");

  table.begin(
    "a member whose page is loaded again is still in the party, also during a search",
  );
  await ada.press("play-arena");
  await bob.at("waiting").waitFor();
  await bob.page.reload();
  await members(bob, ["Ada", "Bob"]);
  await news(ada, "Bob has stopped the search");

  table.begin("they play the game for two");
  await ada.until(
    () => document.querySelectorAll('[data-state="ONLINE"]').length >= 2,
  );
  await ada.press("play-gomoku");
  for (const player of [ada, bob]) await player.at("board").waitFor();
  await bob.press("resign");
  await bob.press("resign-confirm");
  for (const player of [ada, bob]) {
    await player.press("back");
    await members(player, ["Ada", "Bob"]);
  }

  table.begin(
    "a party that begins with a friend: one of them invites the other, who declines",
  );
  await ada.press("party-leave");
  await bob.press("party-leave");
  await bob.at("party-create").waitFor();
  await ada.press("hub-tab-profile");
  const id = await ada.text("own-id");
  await ada.press("hub-tab-friends");
  await bob.press("hub-tab-friends");
  await bob.at("friend-id").fill(id);
  await bob.press("friend-request");
  await ada.press("friend-accept");
  await bob.press("friend-invite");
  await members(bob, ["Bob"]);
  await ada.at("party-invitation").waitFor();
  await table.pictureAll("friends");
  await ada.press("party-decline");
  await ada.at("party-invitation").waitFor({ state: "detached" });
  await bob.at("party-invited").waitFor({ state: "detached" });

  table.begin(
    "a code that leads nowhere is told, and one with spaces is understood",
  );
  await ada.at("party-join-code").fill("222222");
  await ada.press("party-join");
  await ada.page
    .getByTestId("party-problem")
    .filter({ hasText: "no party with this code" })
    .waitFor();
  const typed = (await bob.text("party-code")).toLowerCase();
  await ada
    .at("party-join-code")
    .fill(`${typed.slice(0, 3)} ${typed.slice(3)}`);
  await ada.press("party-join");
  await members(bob, ["Bob", "Ada"]);
  await bob.press("party-hand-over");
  await bob.press("party-hand-over-confirm");
  await news(ada, "You lead the party now.");

  table.begin("another one leads when the leader leaves");
  await ada.press("party-leave");
  await ada.at("party-create").waitFor();
  await news(bob, "Ada has left. You lead now.");
  await members(bob, ["Bob"]);
});

/** Until the party has these members, in the order in which they came in. */
function members(player, names) {
  return player.until((names) => {
    const shown = [
      ...document.querySelectorAll('[data-testid="party-member"] b'),
    ];
    const now = shown.map((it) => it.textContent.replace(" (you)", ""));
    return JSON.stringify(now) === JSON.stringify(names);
  }, names);
}

/** Until the player is told this of the party. */
function news(player, text) {
  return player.page
    .getByTestId("party-news")
    .filter({ hasText: text })
    .waitFor();
}

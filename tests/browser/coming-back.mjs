// Lost connections, reloads and accounts, as a player sees them.
import assert from "node:assert/strict";
import { DESKTOP, PHONE, run } from "./browser.mjs";
import { Proxy } from "./proxy.mjs";

const PASSWORD = "correct horse battery";

await run("coming-back", async (table) => {
  const proxy = await Proxy.start(table.baseUrl);
  table.baseUrl = proxy.url;

  table.begin("a guest signs in and loses the connection on the home view");
  const ada = await table.enter("Ada", DESKTOP);
  await lose(table, proxy, [ada], "home");

  table.begin("a page that is loaded again while it searches searches on");
  await ada.play("gomoku");
  await ada.until(() =>
    document.querySelector('[data-testid="waiting"][data-state="SEARCHING"]'),
  );
  await ada.page.reload();
  await ada.until(() =>
    document.querySelector('[data-testid="waiting"][data-state="SEARCHING"]'),
  );

  table.begin("a page that is closed while it searches is matched with nobody");
  const gone = await table.enter("Gone", DESKTOP);
  await gone.play("arena");
  await gone.until(() =>
    document.querySelector('[data-testid="waiting"][data-state="SEARCHING"]'),
  );
  await gone.page.close({ runBeforeUnload: true });
  table.players.pop();
  const bob = await table.enter("Bob", PHONE);
  await bob.play("arena");
  await bob.until(() =>
    document.querySelector('[data-testid="waiting"][data-state="SEARCHING"]'),
  );
  assert.equal(await bob.text("waiting-others"), "0");
  await bob.press("cancel");
  await bob.at("name").waitFor();

  table.begin(
    "a search that is taken back while the connection is lost is never begun",
  );
  proxy.away();
  await bob.at("reconnecting").waitFor();
  await bob.play("gomoku");
  await bob.at("waiting").waitFor();
  await bob.press("cancel");
  await bob.at("name").waitFor();
  proxy.back();
  await bob.at("reconnecting").waitFor({ state: "detached" });
  await ada.at("reconnecting").waitFor({ state: "detached" });
  await ada.until(() =>
    document.querySelector('[data-testid="waiting"][data-state="SEARCHING"]'),
  );

  table.begin("a search goes on over a lost connection, and leads to a game");
  await lose(table, proxy, [ada], "waiting");
  await bob.play("gomoku");
  for (const player of [ada, bob]) await player.at("board").waitFor();

  table.begin("a game goes on over a lost connection, with every stone once");
  const both = [ada, bob];
  for (const cell of ["7-7", "8-8"]) {
    await place(await whoseTurn(both), cell, both);
    await lose(table, proxy, both, `game-${cell}`);
  }
  await place(await whoseTurn(both), "6-6", both);
  for (const player of both) {
    const stones = player.page.locator(
      '[data-stone="black"], [data-stone="white"]',
    );
    assert.equal(await stones.count(), 3);
  }
  await ada.press("resign");
  await ada.press("resign-confirm");
  for (const player of both) {
    await player.at("result").waitFor();
    await player.press("back");
    await player.at("account").waitFor();
  }

  table.begin(
    "a guest makes an account of a name and a password, and keeps it over a reload",
  );
  const name = `ada-${Date.now().toString(36)}`;
  await ada.press("account-way-create");
  await ada.at("account-name").fill(name);
  await ada.at("account-password").fill(PASSWORD);
  await ada.press("account-submit");
  await ada.until(
    (name) => document.body.innerText.includes(`Signed in as ${name}`),
    name,
  );
  await ada.until(
    () => document.activeElement?.getAttribute("data-testid") === "account",
  );
  await ada.page.reload();
  await ada.until(
    (name) => document.body.innerText.includes(`Signed in as ${name}`),
    name,
  );
  assert.equal(await ada.at("session").count(), 1);
  await table.picture(ada, "account");

  table.begin(
    "another device signs in, after a wrong password, and is ended from the first",
  );
  await bob.at("account-name").fill(name);
  await bob.at("account-password").fill("wrong password");
  await bob.press("account-submit");
  await bob.until(
    () =>
      document.querySelector('[data-testid="account-problem"]')?.textContent,
  );
  await table.picture(bob, "wrong-password");
  await bob.at("account-password").fill(PASSWORD);
  await bob.press("account-submit");
  await bob.at("sign-out").waitFor();
  // A user has one lobby connection: the first device gives way, and takes it back.
  await ada.at("trouble").waitFor();
  await ada.press("retry");
  await ada.until(
    () => document.querySelectorAll('[data-testid="session"]').length === 2,
  );
  await table.picture(ada, "sessions");
  await ada.press("end-session");
  await ada.until(
    () => document.querySelectorAll('[data-testid="session"]').length === 1,
  );
  // That one had given way by then. It is told that its session is over, and a guest only then.
  await bob.at("trouble").waitFor();
  await bob.press("retry");
  await bob.until(() => document.body.innerText.includes("You are signed out"));
  await bob.press("retry");

  table.begin("who is signed out is a guest");
  await bob.at("name").waitFor();
  proxy.away();
  await ada.at("reconnecting").waitFor();
  await ada.press("sign-out");
  await ada.until(
    () =>
      document.querySelector('[data-testid="account-problem"]')?.textContent,
  );
  await table.picture(ada, "sign-out-dropped");
  proxy.back();
  await ada.at("reconnecting").waitFor({ state: "detached" });
  await ada.press("sign-out");
  await ada.at("name").waitFor();
  await ada.page.reload();
  await ada.at("name").waitFor();
});

/** Loses the connection, sees that the pages tell it, and that they are back when it is. */
async function lose(table, proxy, players, title) {
  proxy.away();
  for (const player of players) await player.at("reconnecting").waitFor();
  for (const player of players) await table.picture(player, `${title}-dropped`);
  proxy.back();
  for (const player of players)
    await player.at("reconnecting").waitFor({ state: "detached" });
}

async function whoseTurn(players) {
  let turns = [];
  // The pages hear of a move, and that the other is there, one after the other.
  for (let looks = 0; looks < 100; looks += 1) {
    turns = await Promise.all(
      players.map((player) => player.at("status").getAttribute("data-turn")),
    );
    if (turns.toSorted().join() === "me,them") break;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.deepEqual(
    turns.toSorted(),
    ["me", "them"],
    "it is the turn of exactly one",
  );
  return players[turns.indexOf("me")];
}

async function place(player, cell, players) {
  await player.press(`cell-${cell}`);
  if (player.touch) await player.press("confirm-move");
  for (const each of players) {
    await each.until(
      (cell) =>
        !document.querySelector(
          `[data-testid="cell-${cell}"][data-stone="none"]`,
        ),
      cell,
    );
  }
}

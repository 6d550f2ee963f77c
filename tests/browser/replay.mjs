// Two people play gomoku and arena; then both matches are exported from their journals and played back.
//
// Besides what the other scripts take: the binary `scenehost`, and the data folder of the host that runs.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { argv } from "node:process";
import { DESKTOP, PHONE, run, STEP_DEADLINE_MS } from "./browser.mjs";

const [binary, data] = argv.slice(4);
const STONES = [
  [7, 7],
  [8, 7],
  [7, 8],
  [8, 8],
];
/** How long making the picture anew may take, far longer than it does. */
const SEEK_MS_MAX = 1_000;

const folder = mkdtempSync(path.join(tmpdir(), "scenehost-replay-"));
try {
  await run("replay", playAndPlayBack);
} finally {
  rmSync(folder, { recursive: true });
}

async function playAndPlayBack(table) {
  const ada = await table.enter("Ada", DESKTOP);
  const bob = await table.enter("Bob", DESKTOP);
  await playGomoku(table, ada, bob);
  await playArena(table, ada, bob);

  table.begin("the journals of both are exported");
  const exports = await exported();

  table.begin("a small link leads to the page that plays back");
  await ada.press("replay-link");
  await ada.at("replay-choose").waitFor();
  await table.picture(ada, "choose");
  await lookAtGomoku(table, ada, exports.gomoku);
  await lookAtArena(table, ada, exports.arena);
  await lookOnPhone(table, exports.arena);
  await refuse(table, ada, exports.gomoku);
}

async function playGomoku(table, ada, bob) {
  table.begin("two people play gomoku; one of them reloads, and resigns");
  for (const player of [ada, bob]) await player.play("gomoku");
  for (const player of [ada, bob]) await player.at("board").waitFor();
  const black =
    (await ada.at("status").getAttribute("data-turn")) === "me" ? ada : bob;
  const white = black === ada ? bob : ada;
  for (const [index, [x, y]] of STONES.entries()) {
    await (index % 2 === 0 ? black : white).press(`cell-${x}-${y}`);
    for (const player of [ada, bob]) await stone(player, x, y);
  }
  await ada.page.reload();
  await stone(ada, 8, 8);
  await bob.press("resign");
  await bob.press("resign-confirm");
  for (const player of [ada, bob]) {
    await player.press("back");
    await player.at("name").waitFor();
  }
}

async function playArena(table, ada, bob) {
  table.begin("they fly and shoot in the arena, and leave");
  for (const player of [ada, bob]) await player.play("arena");
  for (const player of [ada, bob]) await player.at("round-clock").waitFor();
  await ada.page.mouse.move(500, 400);
  await ada.page.mouse.down();
  await ada.page.keyboard.down("KeyS");
  await ada.until(
    () =>
      Number(document.querySelector('[data-testid="arena"]').dataset.shots) > 3,
  );
  await ada.page.waitForTimeout(1_500);
  await ada.page.keyboard.up("KeyS");
  await ada.page.mouse.up();
  for (const player of [ada, bob]) {
    await player.press("leave");
    await player.press("leave-confirm");
    await player.at("name").waitFor();
  }
}

/** The file of each game's match, once their journals are complete. */
async function exported() {
  const files = {};
  for (let tries = 0; tries < 40 && Object.keys(files).length < 2; tries++) {
    const { scenes } = listed();
    for (const scene of scenes) {
      const file = path.join(folder, `${scene}.jsonl`);
      replay(scene, "--export", file);
      const text = readFileSync(file, "utf8");
      const { began } = JSON.parse(text.slice(0, text.indexOf("\n")));
      if (text.includes('"how":"ended"')) files[began.plugin] = file;
    }
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  assert.deepEqual(Object.keys(files).sort(), ["arena", "gomoku"]);
  return files;
}

function listed() {
  const scenes = replay().match(/\b[0-9a-f]{16}\b/g) ?? [];
  return { scenes: new Set(scenes) };
}

function replay(...rest) {
  const done = spawnSync(binary, ["replay", "--data-dir", data, ...rest], {
    encoding: "utf8",
  });
  assert.equal(done.status, 0, `${done.stdout}${done.stderr}${done.error}`);
  return done.stdout;
}

async function lookAtGomoku(table, ada, file) {
  table.begin("gomoku is stepped through, forth and back");
  await open(ada, file);
  await ada.press("replay-line");
  await ada.page.keyboard.press("Home");
  assert.equal(await stones(ada), 0);
  for (let events = 0; (await stones(ada)) < STONES.length; events++) {
    assert.ok(events < 50, "the stones come");
    await ada.press("step-on");
  }
  assert.match(await ada.text("replay-step"), /message from (Ada|Bob)/);
  assert.match(await ada.text("replay-step"), /"type": "place"/);
  await table.picture(ada, "gomoku");
  for (let events = 0; (await stones(ada)) > 1; events++) {
    assert.ok(events < 50, "the stones go");
    await ada.press("step-back");
  }
  await stone(ada, 7, 7);

  table.begin("what stands out is marked, and leads there");
  const marks = await ada.at("replay-mark").allTextContents();
  for (const text of [
    /Ada came in/,
    /Bob came in/,
    /Ada lost the connection/,
    /Ada is back/,
    /The game ended/,
  ]) {
    assert.ok(
      marks.some((mark) => text.test(mark)),
      `${text} in ${marks}`,
    );
  }
  await ada.page.locator('[data-testid="replay-mark"][data-kind="back"]').click();
  assert.equal(await stones(ada), STONES.length);

  table.begin("it is seen by the others, too");
  await ada.page.locator("body").press("End");
  await ada.at("replay-line").press("End");
  const ends = new Set();
  for (const option of ["0", "1", "-1"]) {
    await ada.at("replay-viewpoint").selectOption(option);
    ends.add(await ada.text("status"));
  }
  assert.deepEqual([...ends].sort(), ["Ada wins", "You win"], [...ends].join());

  table.begin("it plays, quicker too, and pauses");
  await ada.at("replay-line").press("Home");
  await ada.at("replay-speed").selectOption("8");
  await ada.press("play");
  await ada.until(
    () =>
      document.querySelector('[data-testid="replay-step"]').dataset.tick !== "0",
  );
  await ada.press("play");
  const paused = await ada.text("replay-time");
  await ada.page.waitForTimeout(300);
  assert.equal(await ada.text("replay-time"), paused);
  await ada.press("replay-close");
}

async function lookAtArena(table, ada, file) {
  table.begin("the arena is played back");
  await open(ada, file);
  await ada.press("play");
  await ada.until(
    () =>
      Number(
        document.querySelector('[data-testid="replay-arena"]')?.dataset.tick,
      ) > 20,
  );
  await ada.press("play");
  await table.picture(ada, "arena");

  table.begin("dragging and keys lead to any time of it");
  const line = await ada.at("replay-line").boundingBox();
  const y = line.y + line.height / 2;
  const seen = [];
  await ada.page.mouse.move(line.x + line.width * 0.9, y);
  await ada.page.mouse.down();
  seen.push(await arenaTick(ada));
  await ada.page.mouse.move(line.x + line.width * 0.5, y, { steps: 8 });
  seen.push(await arenaTick(ada));
  await ada.page.mouse.up();
  await ada.at("replay-line").press("ArrowLeft");
  seen.push(await arenaTick(ada));
  await ada.page.locator("body").press(",");
  seen.push(await arenaTick(ada));
  assert.ok(
    seen[0] > seen[1] && seen[1] - seen[2] === 20 && seen[2] - seen[3] === 1,
    `${seen}`,
  );

  table.begin("going back is quick");
  const ms = await ada.page.evaluate(async () => {
    const line = document.querySelector('[data-testid="replay-line"]');
    const begun = performance.now();
    for (const key of ["End", "Home", "End", "Home"]) {
      line.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
      await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
    }
    return (performance.now() - begun) / 4;
  });
  console.log(`replay: from one end to the other in ${ms.toFixed(1)} ms`);
  assert.ok(ms < SEEK_MS_MAX, `${ms} ms`);
  await ada.at("replay-line").press("End");
  await table.picture(ada, "arena-end");
  await ada.press("replay-close");
}

async function lookOnPhone(table, file) {
  table.begin("it fits a phone, and an address of this site opens a match");
  const context = await table.browser.newContext({
    ...PHONE,
    colorScheme: "dark",
  });
  const page = await context.newPage();
  page.on("pageerror", (error) => table.errors.push(error.message));
  const answer = { body: readFileSync(file), contentType: "text/plain" };
  page.setDefaultTimeout(STEP_DEADLINE_MS);
  await page.route(
    (url) => url.pathname === "/match.jsonl",
    (route) => route.fulfill(answer),
  );
  await page.goto(new URL("replay/?file=/match.jsonl", table.baseUrl).href);
  await page.getByTestId("replay-line").tap();
  await page.getByTestId("replay-arena").waitFor();
  const wide = await page.evaluate(
    () => document.documentElement.scrollWidth > innerWidth,
  );
  assert.ok(!wide, "nothing is wider than the screen");
  await page.screenshot({
    path: path.join(table.pictures, "replay-phone.png"),
    fullPage: true,
  });
  await context.close();
}

async function refuse(table, ada, file) {
  table.begin("what cannot be played back is told, with what to do");
  const good = readFileSync(file, "utf8");
  const lines = good.trimEnd().split("\n");
  const bad = {
    "hello\n": /not a match that was exported/,
    "": /not a match that was exported/,
    [good.replace('"plugin":"gomoku"', '"plugin":"chess"')]:
      /a match of “chess”/,
    [`${lines[0]}\n`]: /ends before the first step/,
    [[lines[0], "{", ...lines.slice(1)].join("\n")]: /line 2 is not JSON/,
  };
  for (const [text, problem] of Object.entries(bad)) {
    await choose(ada, text);
    await ada.at("replay-problem").waitFor();
    await ada.until(
      ([problem]) =>
        new RegExp(problem).test(
          document.querySelector('[data-testid="replay-problem"]').textContent,
        ),
      [problem.source],
    );
  }
  await table.picture(ada, "refused");

  table.begin("a file that was cut off is played back as far as it goes");
  await choose(ada, good.slice(0, good.length - 400));
  await ada.at("replay-cut").waitFor();
  await ada.press("replay-close");

  table.begin("a file can be dropped on the page");
  await ada.page.evaluate((text) => {
    const files = new DataTransfer();
    files.items.add(new File([text], "dropped.jsonl"));
    const drop = { dataTransfer: files, bubbles: true, cancelable: true };
    document.body.dispatchEvent(new DragEvent("drop", drop));
  }, good);
  await ada.at("replay").waitFor();

  table.begin("an address leads to no file, or to another site's");
  for (const [address, problem] of [
    ["/no-such-file", /There is no file at .no-such-file/],
    ["https://example.org/match.jsonl", /Only a file of this site/],
  ]) {
    await ada.page.goto(
      new URL(`replay/?file=${encodeURIComponent(address)}`, table.baseUrl).href,
    );
    await ada.at("replay-problem").waitFor();
    assert.match(await ada.text("replay-problem"), problem);
  }
}

async function open(player, file) {
  await player.at("replay-file").setInputFiles(file);
  await player.at("replay").waitFor();
}

function choose(player, text) {
  const file = path.join(folder, "bad.jsonl");
  writeFileSync(file, text);
  return player.at("replay-file").setInputFiles(file);
}

function stone(player, x, y) {
  return player.page
    .locator(`[data-testid="cell-${x}-${y}"]:not([data-stone="none"])`)
    .waitFor();
}

function stones(player) {
  return player.page.locator(".cell:not([data-stone='none'])").count();
}

function arenaTick(player) {
  return player.number("replay-arena", "data-tick");
}

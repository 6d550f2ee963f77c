// What the scripts share: a browser, players in it, steps with names, and a defined end.
//
// Invariant: the process ends by itself, with 0 only if every step passed, and with the browser.
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import path from "node:path";
import { argv, env, exit } from "node:process";
import { chromium } from "playwright-core";

export const STEP_DEADLINE_MS = 15_000;
const RUN_DEADLINE_MS = 180_000;

const CHROMIUM_FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export const DESKTOP = { viewport: { width: 1280, height: 800 } };
export const PHONE = {
  viewport: { width: 390, height: 844 },
  deviceScaleFactor: 2,
  isMobile: true,
  hasTouch: true,
};

/** Runs `play(table)` against the host at the first argument, pictures into the second. */
export async function run(name, play) {
  const [baseUrl, pictures] = argv.slice(2);
  if (!baseUrl || !pictures) {
    console.error(
      `usage: node ${path.basename(argv[1])} BASE_URL SCREENSHOT_FOLDER`,
    );
    console.error(
      "The browser is $CHROMIUM, or the first chromium or chrome in the PATH.",
    );
    exit(2);
  }
  mkdirSync(pictures, { recursive: true });
  const deadline = setTimeout(() => {
    console.error(
      `${name}: FAILED, not done within ${RUN_DEADLINE_MS / 1000} s`,
    );
    exit(1);
  }, RUN_DEADLINE_MS);
  const browser = await chromium.launch({
    executablePath: findChromium(),
    args: CHROMIUM_FLAGS,
  });
  const table = new Table(name, browser, baseUrl, pictures);
  let failed = false;
  try {
    await play(table);
    if (table.errors.length > 0)
      throw new Error(`errors in the pages: ${table.errors.join("; ")}`);
    console.log(`${name}: passed, ${table.steps} steps`);
  } catch (error) {
    failed = true;
    console.error(`${name}: FAILED at "${table.step}": ${error.message}`);
    await table.pictureAll("failed").catch(() => {});
  } finally {
    clearTimeout(deadline);
    await browser.close();
  }
  exit(failed ? 1 : 0);
}

class Table {
  constructor(name, browser, baseUrl, pictures) {
    this.name = name;
    this.step = "start";
    this.steps = 0;
    this.errors = [];
    this.players = [];
    Object.assign(this, { browser, baseUrl, pictures });
  }

  /** Names what comes now; a failure names it, too. */
  begin(step) {
    this.step = step;
    this.steps += 1;
    console.log(`${this.name}: ${step}`);
  }

  /** A player in a browser context of their own, on the home view. */
  async enter(name, device) {
    const player = await this.open(name, device);
    await player.at("name").waitFor();
    return player;
  }

  /** The same on whatever page there is. */
  async open(name, device) {
    const context = await this.browser.newContext(device);
    const page = await context.newPage();
    page.setDefaultTimeout(STEP_DEADLINE_MS);
    page.on("pageerror", (error) =>
      this.errors.push(`${name}: ${error.message}`),
    );
    const player = new Player(name, page, device.hasTouch === true);
    this.players.push(player);
    await page.goto(this.baseUrl);
    return player;
  }

  picture(player, title) {
    const file = path.join(
      this.pictures,
      `${this.name}-${title}-${player.name.toLowerCase()}.png`,
    );
    return player.page.screenshot({ path: file });
  }

  async pictureAll(title) {
    for (const player of this.players) await this.picture(player, title);
  }
}

class Player {
  constructor(name, page, touch) {
    Object.assign(this, { name, page, touch });
  }

  at(testId) {
    return this.page.getByTestId(testId);
  }

  press(testId) {
    return this.touch ? this.at(testId).tap() : this.at(testId).click();
  }

  async play(game) {
    await this.at("name").fill(this.name);
    await this.press(`play-${game}`);
  }

  async text(testId) {
    return (await this.at(testId).textContent())?.trim() ?? "";
  }

  number(testId, attribute) {
    return this.at(testId)
      .getAttribute(attribute)
      .then((value) => Number(value ?? Number.NaN));
  }

  /** Waits until `check` of this page's document holds. */
  until(check, argument) {
    return this.page.waitForFunction(check, argument, {
      timeout: STEP_DEADLINE_MS,
    });
  }
}

function findChromium() {
  if (env.CHROMIUM) return env.CHROMIUM;
  for (const name of ["chromium", "chromium-browser", "google-chrome"]) {
    const found = spawnSync("sh", ["-c", `command -v ${name}`], {
      encoding: "utf8",
    });
    if (found.status === 0) return found.stdout.trim();
  }
  throw new Error(
    "no chromium in the PATH; install it, or set $CHROMIUM to its path",
  );
}

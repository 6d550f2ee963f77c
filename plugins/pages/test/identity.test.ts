// Behaviour of who a tab is: over reloads, beside other tabs, and after signing in and out.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { deviceName } from "../src/device.js";
import * as identity from "../src/identity.js";

const tokens = (of: string) => ({
  sessionToken: `${of}-session`,
  refreshToken: `${of}-refresh`,
  sessionExpires: new Date(0),
});

/** A browser's storage and its one lock; each tab has storage of its own, too. */
class Browser {
  local = new Map<string, string>();
  lockHeld = false;

  /** Opens a tab: a page begins in it. */
  async tab(kept = new Map<string, string>()): Promise<Map<string, string>> {
    const request = (_: string, __: unknown, hold: (lock: object | null) => unknown) => {
      hold(this.lockHeld ? null : {});
      this.lockHeld = true;
      return Promise.resolve();
    };
    define("sessionStorage", storage(kept));
    define("localStorage", storage(this.local));
    define("navigator", { locks: { request } });
    await identity.claim();
    return kept;
  }

  /** Loads the page of a tab again; its lock is free by then, unless another tab has it. */
  reload(tab: Map<string, string>, lockHeld = false): Promise<Map<string, string>> {
    this.lockHeld = lockHeld;
    return this.tab(tab);
  }
}

function storage(map: Map<string, string>) {
  return {
    getItem: (key: string) => map.get(key) ?? null,
    setItem: (key: string, value: string) => map.set(key, value),
    removeItem: (key: string) => map.delete(key),
  };
}

function define(name: string, value: unknown): void {
  Object.defineProperty(globalThis, name, { value, configurable: true });
}

let browser: Browser;
beforeEach(() => (browser = new Browser()));

test("a guest is the same after a reload, and somebody else in another tab", async () => {
  const tab = await browser.tab();
  identity.chooseName("Ada");
  const first = identity.guestCredential();
  assert.equal(identity.hasAccount(), false);
  identity.keepTokens(tokens("guest"));
  await browser.reload(tab);
  assert.deepEqual(identity.guestCredential(), first);
  assert.deepEqual(identity.sessionCredential(), {
    sessionToken: "guest-session",
    refreshToken: "guest-refresh",
  });
  await browser.tab();
  assert.equal(identity.sessionCredential(), undefined);
  assert.notDeepEqual(identity.guestCredential(), first);
});

test("an account outlives its tab, and one tab at a time has it", async () => {
  const first = await browser.tab();
  identity.becomeAccount(tokens("ada"));
  const account = { sessionToken: "ada-session", refreshToken: "ada-refresh" };
  assert.ok(identity.hasAccount());
  const second = await browser.tab();
  assert.equal(identity.hasAccount(), false, "beside it a tab is a guest");
  await browser.reload(first);
  assert.deepEqual(identity.sessionCredential(), account);
  await browser.reload(second, true);
  assert.equal(identity.hasAccount(), false, "a tab stays what it was");
  browser.lockHeld = false;
  await browser.tab();
  assert.deepEqual(identity.sessionCredential(), account, "the next first tab is the account's");
});

test("signing in beside the tab of the account leaves that one alone", async () => {
  const first = await browser.tab();
  identity.becomeAccount(tokens("ada"));
  const second = await browser.tab();
  identity.becomeAccount(tokens("bob"));
  await browser.reload(first);
  assert.equal(sessionToken(), "ada-session");
  await browser.reload(second, true);
  assert.equal(sessionToken(), "bob-session");
});

test("signing out leads back to the tab's guest, unless that became the account", async () => {
  await browser.tab();
  const guest = identity.guestCredential();
  identity.becomeAccount(tokens("ada"));
  identity.forgetSession();
  assert.deepEqual([identity.hasAccount(), identity.sessionCredential()], [false, undefined]);
  assert.deepEqual(identity.guestCredential(), guest);
  identity.becomeAccount(tokens("ada"));
  identity.forgetGuest();
  identity.forgetSession();
  assert.notDeepEqual(identity.guestCredential(), guest);
});

test("a search is taken up by the next page of the tab, once, and not much later", async (context) => {
  context.mock.timers.enable({ apis: ["Date"] });
  const tab = await browser.tab();
  identity.noteSearch("gomoku");
  await browser.reload(tab);
  assert.equal(identity.takeSearch(), "gomoku");
  assert.equal(identity.takeSearch(), undefined);
  identity.noteSearch("gomoku");
  context.mock.timers.tick(60_000);
  assert.equal(identity.takeSearch(), undefined);
});

test("a browser that forbids storage has a guest until the page is loaded again", async () => {
  await browser.tab();
  const forbidden = new Proxy({}, { get: () => assert.fail("forbidden") });
  define("sessionStorage", forbidden);
  define("localStorage", forbidden);
  const guest = identity.guestCredential();
  assert.deepEqual(identity.guestCredential(), guest);
});

test("devices are called by browser and system", () => {
  const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
  const phone =
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile/15E148 Safari/604.1";
  assert.equal(deviceName(firefox), "Firefox on Linux");
  assert.equal(deviceName(phone), "Safari on iOS");
  assert.equal(deviceName("curl/8"), "A browser on a device");
});

function sessionToken(): string | undefined {
  const credential = identity.sessionCredential();
  return credential && "sessionToken" in credential ? credential.sessionToken : undefined;
}

// What the player reads of this device in the list of sessions.

const BROWSERS: readonly [RegExp, string][] = [
  [/Edg\//, "Edge"],
  [/OPR\//, "Opera"],
  [/Firefox\/|FxiOS\//, "Firefox"],
  [/Chrome\/|CriOS\//, "Chrome"],
  [/Safari\//, "Safari"],
];
const SYSTEMS: readonly [RegExp, string][] = [
  [/Android/, "Android"],
  [/iPhone|iPad/, "iOS"],
  [/Windows/, "Windows"],
  [/Mac OS X/, "macOS"],
  [/Linux|X11/, "Linux"],
];

/** For example "Firefox on Linux", from what a browser says of itself. */
export function deviceName(userAgent = navigator.userAgent): string {
  const find = (names: readonly [RegExp, string][], unknown: string) =>
    names.find(([pattern]) => pattern.test(userAgent))?.[1] ?? unknown;
  return `${find(BROWSERS, "A browser")} on ${find(SYSTEMS, "a device")}`;
}

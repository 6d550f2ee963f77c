// The engine's figures; that they bound a scene's memory is in build.test.ts.
import assert from "node:assert/strict";
import { test } from "node:test";
import { tuned } from "../src/engine.js";

const bytes = (hex: string) => Buffer.from(hex.replaceAll(" ", ""), "hex");
const NURSERY = "42 80809080 80808080 04"; // 256 KiB and 64 MiB, as signed LEB128
const OBJECTS = "42 8080c08d 808080a0 06"; // 27 MiB and 100 MiB
const BUFFERS = "42 80808093 808080 08"; // 38 MiB and 1 MiB

test("an engine without the figures, or with one of them twice, is refused", () => {
  const known = [NURSERY, OBJECTS, BUFFERS].join("00");
  // 256 KiB and 1 MiB, 1 MiB and 100 MiB, 1 MiB and 1 MiB, each as long as before.
  const changed = ["42808090808080808800", "428080c080808080a006", "428080c08080808008"];
  assert.equal(tuned(bytes(known)).toString("hex"), changed.join("00"));
  for (const other of ["", known.replace(OBJECTS, ""), `${known} ${NURSERY}`]) {
    assert.throws(() => tuned(bytes(other)), /is not the one that this SDK knows/);
  }
});

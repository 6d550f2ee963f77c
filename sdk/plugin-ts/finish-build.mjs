// After the compiler: the contracts beside the code that builds components against them, and a command
// that can be run.
import { chmodSync, copyFileSync } from "node:fs";

const from = (path) => new URL(path, import.meta.url);
for (const name of ["scene.wit", "match-rule.wit"]) {
  copyFileSync(from(`../../wit/${name}`), from(`dist/${name}`));
}
chmodSync(from("dist/cli.js"), 0o755);

// After the compiler: the contract beside the code that builds components against it, and a command
// that can be run.
import { chmodSync, copyFileSync } from "node:fs";

const from = (path) => new URL(path, import.meta.url);
copyFileSync(from("../../wit/scene.wit"), from("dist/scene.wit"));
chmodSync(from("dist/cli.js"), 0o755);

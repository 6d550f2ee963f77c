// Puts the contract beside the code that builds components against it.
import { copyFileSync } from "node:fs";

const from = (path) => new URL(path, import.meta.url);
copyFileSync(from("../../wit/scene.wit"), from("dist/scene.wit"));

// Other programs in the service of a build: each ends, by itself or at a deadline.
import { spawn } from "node:child_process";

/** On two busy cores a build takes ten seconds; what takes longer than this does not end. */
export const DEADLINE_MS = 120_000;

/** What is kept of what a program says. */
const OUTPUT_BYTES_MAX = 1_048_576;

export interface Ended {
  /** `undefined`: it had to be ended. */
  readonly status: number | undefined;
  readonly output: string;
}

/** Runs a JavaScript program in Node, with all programs that it starts. */
export function run(
  cwd: string,
  args: readonly string[],
  deadlineMs = DEADLINE_MS,
): Promise<Ended> {
  return new Promise((done, failed) => {
    // A group of its own, so that all of it can be ended; and what it leaves behind is in its folder.
    const env = { ...process.env, TMPDIR: cwd };
    const stdio = ["ignore", "pipe", "pipe"] as const;
    const child = spawn(process.execPath, args, { cwd, env, detached: true, stdio: [...stdio] });
    const parts: Buffer[] = [];
    let bytes = 0;
    const keep = (part: Buffer) => {
      bytes += part.length;
      if (bytes <= OUTPUT_BYTES_MAX) parts.push(part);
    };
    child.stdout!.on("data", keep);
    child.stderr!.on("data", keep);
    let isLate = false;
    const end = () => process.kill(-child.pid!, "SIGKILL");
    const deadline = setTimeout(() => {
      isLate = true;
      end();
    }, deadlineMs);
    // A group of its own does not end with this process otherwise.
    process.once("exit", end);
    child.on("error", failed);
    child.on("close", (status) => {
      clearTimeout(deadline);
      process.off("exit", end);
      const output = Buffer.concat(parts).toString().trim();
      done({ status: isLate ? undefined : (status ?? 1), output });
    });
  });
}

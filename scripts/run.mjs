// Runs a command of the project and ends with its exit code when it fails.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

/** The checkout's root. */
export const root = fileURLToPath(new URL("..", import.meta.url));

/** Runs a command in `cwd`, showing what it prints. */
export function run(command, args, cwd = root) {
  const { status, error } = spawnSync(command, args, { cwd, stdio: "inherit" });
  if (error) console.error(`Can't run ${command}: ${error.message}`);
  if (status !== 0) process.exit(status ?? 1);
}

// Runs every example; each checks its own results and must end by itself.
import { existsSync, readdirSync } from "node:fs";
import { root, run } from "./run.mjs";

const folders = readdirSync(`${root}examples`).filter((name) =>
  existsSync(`${root}examples/${name}/main.ts`),
);
for (const name of folders.sort()) {
  run(process.execPath, ["--import", "tsx", `examples/${name}/main.ts`]);
  console.log(`examples/${name}: as expected`);
}

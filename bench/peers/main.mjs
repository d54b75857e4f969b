// `pnpm bench:peers`: the same call through other systems, each where its server is on the machine.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { run } from "../../scripts/run.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));

if (!existsSync(`${here}node_modules`))
  run("npm", ["install", "--no-audit", "--no-fund", "--no-package-lock"], here);
run(process.execPath, ["--import", "tsx", `${here}compare.mjs`]);

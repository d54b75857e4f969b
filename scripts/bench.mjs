// Runs a program written in TypeScript, a benchmark say: `node scripts/bench.mjs bench/main.ts`.
import { run } from "./run.mjs";

run(process.execPath, ["--import", "tsx", ...process.argv.slice(2)]);

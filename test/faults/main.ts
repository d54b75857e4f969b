// `npm run faults -- --minutes 10 --seed 17`: disturbs a system of real processes for as long as it is told to.
import { parseArgs } from "node:util";
import { describeReport, runFaults } from "./run.ts";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "1" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
  },
});
const [minutes, seed] = [Number(values.minutes), Number(values.seed)];
if (!(minutes > 0)) throw new Error(`Expected --minutes to be a number over 0, got ${values.minutes}`);
if (!Number.isSafeInteger(seed)) throw new Error(`Expected --seed to be an integer, got ${values.seed}`);

const begin = performance.now();
const log = (line: string): void => {
  process.stdout.write(`${Math.round((performance.now() - begin) / 1_000)} s: ${line}\n`);
};
log(`seed ${seed}, ${minutes} minutes`);
const report = await runFaults({ minutes, seed, log });
process.stdout.write(`${describeReport(report)}\n`);
process.exit(report.isGood ? 0 : 1);

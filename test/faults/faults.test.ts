// A minute of faults in real processes. `npm run faults -- --minutes 10` goes on for longer.
import { expect, it } from "vitest";
import { describeReport, runFaults } from "./run.ts";

const minutes = 0.9;
const boundMs = 240_000;

it(
  "loses nothing, settles nothing twice and leaves nothing hanging, whatever is killed, stopped or cut",
  async () => {
    const seed = Date.now() % 1_000_000;
    const report = await runFaults({ minutes, seed, log: () => undefined });
    const text = describeReport(report);
    // What a failure says is what it takes to look into it.
    expect(report.isGood, text).toBe(true);
    expect(report.verdict.acceptedOnDisk, text).toBeGreaterThan(1_000);
    expect(report.faults.size, text).toBeGreaterThan(5);
  },
  boundMs,
);

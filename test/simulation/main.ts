// `npm run simulate -- --seed N`, or `--seeds N` for the seeds from 1 to N.
import { World } from "./world.ts";

interface Options {
  readonly from: number;
  readonly to: number;
}

function read(argv: readonly string[]): Options {
  const [name, value] = argv;
  const number = Number(value);
  if (argv.length !== 2 || !Number.isSafeInteger(number) || number < 1) {
    throw new Error(`Expected --seed <number> or --seeds <count>, got ${argv.join(" ") || "nothing"}`);
  }
  if (name === "--seed") return { from: number, to: number };
  if (name === "--seeds") return { from: 1, to: number };
  throw new Error(`Expected --seed or --seeds, got ${name}`);
}

try {
  const { from, to } = read(process.argv.slice(2));
  const total = { steps: 0, submitted: 0, scheduled: 0, acknowledged: 0 };
  for (let seed = from; seed <= to; seed++) {
    const report = await new World(seed).run();
    total.steps += report.steps;
    total.submitted += report.submitted;
    total.scheduled += report.scheduled;
    total.acknowledged += report.acknowledged;
    if (from === to) console.log(report);
    else if (seed % 100 === 0) console.log(`${seed} seeds, ${total.steps} steps, no promise broken`);
  }
  console.log(`${to - from + 1} seeds: all promises kept.`, total);
} catch (error) {
  console.error(error);
  process.exitCode = 1;
}

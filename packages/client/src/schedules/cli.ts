// `zerotask-client schedules …`: what runs again and again, from the command line.
import { Command, Option } from "commander";
import { type Missed, numberOrText } from "zerotask-core";
import { Client } from "../client.ts";
import { clientOptions, type Flags, jsonOrText } from "../command-line/arguments.ts";
import { wordsOption } from "../command-line/times.ts";
import type { Schedule } from "./schedule.ts";
import type { ScheduleOptions, Schedules } from "./schedules.ts";
import { scheduleTable } from "./text.ts";

interface IntervalFlags extends ScheduleOptions {
  readonly fromStart?: boolean;
}

interface CronFlags extends ScheduleOptions {
  readonly timeZone?: string;
}

/** The commands; `flags` are what the program was told. */
export function schedulesCommand(flags: () => Flags): Command {
  const using = (work: (schedules: Schedules) => Promise<string>): Promise<void> => use(flags(), work);
  const command = new Command("schedules").description("what runs again and again");
  command
    .command("list")
    .description("show all schedules")
    .option("--json", "as JSON")
    .action(({ json }: { json?: boolean }) =>
      using(async (schedules) => {
        const all = await schedules.list();
        if (json === true) return toJson(all);
        return all.length === 0 ? "No schedules\n" : scheduleTable(all);
      }),
    );
  addSetters(command, using);
  const names: [string, string, (schedules: Schedules, name: string) => Promise<string>][] = [
    ["remove", "remove a schedule; that there is none is no error", remove],
    ["pause", "make no more runs until it is resumed", async (all, name) => shown(await all.pause(name))],
    ["resume", "make runs again", async (all, name) => shown(await all.resume(name))],
    ["run", "make a run now, and print its task's id", async (all, name) => `${await all.runNow(name)}\n`],
  ];
  for (const [verb, description, work] of names) {
    command
      .command(verb)
      .description(description)
      .argument("<name>", "the schedule's name")
      .action((name: string) => using((schedules) => work(schedules, name)));
  }
  return command;
}

function addSetters(
  command: Command,
  using: (work: (schedules: Schedules) => Promise<string>) => Promise<void>,
): void {
  addCommonOptions(command.command("interval"))
    .description("run a method now, and again each interval after the end of its last run")
    .argument("<method>", "the method, such as add or images.resize")
    .argument("<every>", 'the interval, in words like "5 minutes" or "250 ms"')
    .argument("[args...]", "its arguments: each JSON, or else a string")
    .option("--from-start", "count the interval from the start of a run")
    .action((method: string, every: string, args: string[], flags: IntervalFlags) =>
      using(async ({ interval }) =>
        shown(
          await interval(method, {
            ...flags,
            every: wordsOption("every", every),
            params: args.map(jsonOrText),
          }),
        ),
      ),
    );
  addCommonOptions(command.command("cron"))
    .description("run a method whenever a clock shows the time")
    .argument("<method>", "the method, such as add or images.resize")
    .argument("<cron>", 'when: a cron expression like "0 3 * * *"')
    .argument("[args...]", "its arguments: each JSON, or else a string")
    .option("--time-zone <zone>", "whose clock it goes by, such as Europe/Berlin (default: UTC)")
    .action((method: string, expression: string, args: string[], flags: CronFlags) =>
      using(async ({ cron }) =>
        shown(await cron(method, { ...flags, cron: expression, params: args.map(jsonOrText) })),
      ),
    );
}

function addCommonOptions(command: Command): Command {
  const missed: Missed[] = ["skip", "once", "all"];
  return command
    .option("--name <name>", "what it is known by (default: the method with its arguments)")
    .option("--priority <n>", "the priority of its runs, from -100 to 100", numberOrText)
    .option("--group <name>", "the group of its runs")
    .addOption(
      new Option(
        "--missed <what>",
        "what becomes of runs that could not be made in time (default: once)",
      ).choices(missed),
    );
}

async function remove(schedules: Schedules, name: string): Promise<string> {
  return (await schedules.remove(name)) ? `Removed ${name}\n` : `There is no schedule ${name}\n`;
}

function shown(schedule: Schedule): string {
  return scheduleTable([schedule]);
}

function toJson(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

async function use(flags: Flags, work: (schedules: Schedules) => Promise<string>): Promise<void> {
  const client = new Client(clientOptions(flags));
  try {
    process.stdout.write(await work(client.$schedules));
  } finally {
    await client.$close();
  }
}

// `zerotask-client failed …`: what failed, and trying it once more, from the command line.
import { Command } from "commander";
import { numberOrText, OptionError, positiveInteger } from "zerotask-core";
import { Client } from "../client.ts";
import { clientOptions, type Flags } from "../command-line/arguments.ts";
import { oneLine } from "../command-line/output.ts";
import { table } from "../command-line/table.ts";
import { clockOption } from "../command-line/times.ts";
import type { FailedControls, FailedFilter, FailedPage, FailedTask } from "./failed.ts";

interface FilterFlags {
  readonly method?: string;
  readonly from?: string;
  readonly to?: string;
  readonly error?: string;
}

interface ListFlags extends FilterFlags {
  readonly limit: number;
  readonly json?: boolean;
}

/** The commands; `flags` are what the program was told. */
export function failedCommand(flags: () => Flags): Command {
  const command = new Command("failed").description("tasks that failed");
  addFilterOptions(command.command("list"))
    .description("show failed tasks")
    .option("--limit <n>", "at most so many", numberOrText, 100)
    .option("--json", "as JSON")
    .action((list: ListFlags) =>
      use(flags(), async (failed) => {
        const { tasks, next } = await firstOf(failed, filterOf(list), positiveInteger("--limit", list.limit));
        if (list.json === true) return `${JSON.stringify(tasks.map(plain), undefined, 2)}\n`;
        if (tasks.length === 0) return "No failed tasks\n";
        return (
          failedTable(tasks) + (next === undefined ? "" : "There are more: --limit tells how many to show\n")
        );
      }),
    );
  addFilterOptions(command.command("retry"))
    .description("run a failed task again, or all that the options name")
    .argument("[id]", "the task's id")
    .option("--all", "all that the other options name")
    .action((id: string | undefined, retry: FilterFlags & { readonly all?: boolean }) =>
      use(flags(), async (failed) => {
        // Without a word about which: rather none than all of them.
        if ((id === undefined) === (retry.all !== true)) {
          throw new OptionError("id", "a task's id, or else --all", id);
        }
        const filter = filterOf(retry);
        if (id !== undefined && Object.keys(filter).length > 0) {
          const expected = `left out where a task's id is given (${id})`;
          throw new OptionError(`--${Object.keys(filter)[0]}`, expected, Object.values(filter)[0]);
        }
        if (id === undefined) return `${await failed.retryAll(filter)}\n`;
        await failed.retry(id);
        return "1\n";
      }),
    );
  return command;
}

/** A broker gives no longer pages. */
const mostPerPage = 1_000;

/** The first `limit` of them, in as many pages as it takes. */
async function firstOf(failed: FailedControls, filter: FailedFilter, limit: number): Promise<FailedPage> {
  const tasks: FailedTask[] = [];
  let next: string | undefined;
  do {
    const size = Math.min(limit - tasks.length, mostPerPage);
    const page = await failed.list({ ...filter, limit: size, ...(next !== undefined && { after: next }) });
    tasks.push(...page.tasks);
    next = page.next;
  } while (next !== undefined && tasks.length < limit);
  return { tasks, next };
}

function addFilterOptions(command: Command): Command {
  return command
    .option("--method <name>", "of this method")
    .option(
      "--from <time>",
      "settled then or later: an ISO date (a date alone is UTC, with a time local), or ms since the epoch",
    )
    .option("--to <time>", "settled before then")
    .option("--error <text>", "whose error contains this");
}

function filterOf({ method, from, to, error }: FilterFlags): FailedFilter {
  return {
    ...(method !== undefined && { method }),
    ...(from !== undefined && { from: clockOption("--from", from) }),
    ...(to !== undefined && { to: clockOption("--to", to) }),
    ...(error !== undefined && { error }),
  };
}

/** JSON leaves out the message of an error. */
function plain({ error: { name, code, message, data }, ...task }: FailedTask): object {
  return { ...task, error: { name, code, message, data } };
}

function failedTable(tasks: readonly FailedTask[]): string {
  return table(
    ["ID", "METHOD", "SETTLED", "ATTEMPTS", "ERROR"],
    tasks.map(({ id, method, settledAt, attempts, error }) => [
      id,
      method,
      settledAt.toISOString(),
      `${attempts}`,
      oneLine(error.message.split("\n")[0] ?? ""),
    ]),
  );
}

async function use(flags: Flags, work: (failed: FailedControls) => Promise<string>): Promise<void> {
  const client = new Client(clientOptions(flags));
  try {
    process.stdout.write(await work(client.$failed));
  } finally {
    await client.$close();
  }
}

// `zerotask-client events` and `zerotask-client logs`: what happens to tasks, printed as it comes.
import { Command } from "commander";
import { ClientClosedError, silentLogger, stopOnSignals } from "zerotask-core";
import { AsyncClient } from "../async-client.ts";
import { clientOptions, type Flags } from "../command-line/arguments.ts";
import { linesTo, oneLine } from "../command-line/output.ts";
import type { TaskEvent, TaskLogLine } from "./task-event.ts";

interface EventFlags {
  readonly method?: string;
  readonly task?: string;
  readonly event?: string;
  readonly json?: boolean;
}

interface LogsFlags {
  readonly follow?: boolean;
  readonly json?: boolean;
}

/** The command; `flags` are what the program was told. */
export function eventsCommand(flags: () => Flags): Command {
  return new Command("events")
    .description("print what happens to tasks, until a signal ends it, or the task of --task is settled")
    .option("--method <name>", "of this method")
    .option("--task <id>", "of this task, from the first event that is kept")
    .option("--event <name>", "only those called so, such as status or progress")
    .option("--json", "each as a line of JSON")
    .action(({ json = false, ...filter }: EventFlags) =>
      print(flags(), (client) => client.$events(filter), json ? jsonLine : eventLine),
    );
}

export function logsCommand(flags: () => Flags): Command {
  return new Command("logs")
    .description("print what a task's handler logged")
    .argument("<task>", "the task's id")
    .option("--follow", "wait for more, until the task is settled")
    .option("--json", "each line as JSON")
    .action((id: string, { follow = false, json = false }: LogsFlags) =>
      print(flags(), (client) => client.$handle(id).logs({ follow }), json ? jsonLine : logLine),
    );
}

async function print<Item>(
  flags: Flags,
  open: (client: AsyncClient) => AsyncIterable<Item>,
  line: (item: Item) => string,
): Promise<void> {
  const client = new AsyncClient(clientOptions(flags));
  stopOnSignals(() => client.$close(), silentLogger);
  try {
    const lines = linesTo(process.stdout);
    for await (const item of open(client)) if (!(await lines.write(line(item)))) break;
  } catch (error) {
    // A signal ends it, and that is how it is meant to end.
    if (!(error instanceof ClientClosedError)) throw error;
  } finally {
    await client.$close();
  }
}

function jsonLine(item: TaskEvent | TaskLogLine): string {
  return jsonText(item);
}

function eventLine({ at, taskId, method, event, data }: TaskEvent): string {
  const words = [at.toISOString(), oneLine(method), taskId, oneLine(event)];
  return [...words, ...(data === undefined ? [] : [jsonText(data)])].join(" ");
}

function logLine({ at, level, message, data }: TaskLogLine): string {
  const words = [at.toISOString(), level.toUpperCase().padEnd(5), oneLine(message)];
  return [...words, ...(data === undefined ? [] : [jsonText(data)])].join(" ");
}

/** JSON escapes most of what controls a terminal; with the rest escaped, too, it is the same JSON. */
function jsonText(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\p{Cc}\u2028\u2029]/gu,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

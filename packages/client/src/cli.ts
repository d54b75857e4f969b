// The command line of the client.
import { Command, Option } from "commander";
import {
  DEFAULT_ADDRESS,
  DEFAULT_REQUEST_PORT,
  exitWithError,
  numberOrText,
  silentLogger,
  stopOnSignals,
  TaskFailedError,
} from "zerotask-core";
import { AsyncClient } from "./async-client.ts";
import { Client } from "./client.ts";
import {
  clientOptions,
  endpointOf,
  type Flags,
  jsonOrText,
  type TaskFlags,
  taskOptions,
} from "./command-line/arguments.ts";
import { allowReaderToLeave, oneLine } from "./command-line/output.ts";
import { type ProgressBar, progressBar } from "./command-line/progress-bar.ts";
import { eventsCommand, logsCommand } from "./events/cli.ts";
import type { TaskProgress } from "./events/task-event.ts";
import { failedCommand } from "./failed/cli.ts";
import { schedulesCommand } from "./schedules/cli.ts";
import { taskCommands } from "./tasks/cli.ts";
import { version } from "./version.ts";

interface CallFlags extends TaskFlags {
  readonly progress?: boolean;
}

/** Runs `zerotask-client`. */
export async function main(argv: readonly string[]): Promise<void> {
  const program = new Command("zerotask-client")
    .description("Call methods that nodes serve.")
    .option("-a, --address <address>", "address of the broker", DEFAULT_ADDRESS)
    .option("-r, --request-port <port>", "the broker's request port", numberOrText, DEFAULT_REQUEST_PORT)
    .option(
      "-t, --timeout <ms>",
      "how long to wait for an answer, or where none is waited for, for a broker",
      numberOrText,
    )
    .version(version);
  const flags = (): Flags => program.opts<Flags>();
  program
    .command("call", { isDefault: true })
    .description("call a method and print its result as JSON (the default: `add 5 6` is `call add 5 6`)")
    .argument("<method>", "the method, such as add or images.resize")
    .argument("[args...]", "its arguments: each JSON, or else a string")
    .option(
      "--at <time>",
      'when to run it: words like "2 hours 30 minutes", an ISO date (2030-01-31 is UTC, 2030-01-31T09:30 local time), ' +
        "or milliseconds since the epoch. " +
        "It is submitted, and the task's id is printed at once rather than the result",
    )
    .option("--priority <n>", "higher runs first, from -100 to 100", numberOrText)
    .option("--group <name>", "groups of one method take turns")
    .option("--retries <n>", "how often it is run again when it fails", numberOrText)
    .addOption(
      new Option("--progress", "show on stderr how far it is, then print its result").conflicts("at"),
    )
    .action((method: string, args: string[], task: CallFlags) => {
      const run = task.progress === true ? watch : task.at === undefined ? call : submit;
      return run(method, args.map(jsonOrText), flags(), task);
    });
  for (const command of taskCommands(flags)) program.addCommand(command);
  program.addCommand(eventsCommand(flags));
  program.addCommand(logsCommand(flags));
  program.addCommand(schedulesCommand(flags));
  program.addCommand(failedCommand(flags));
  program.addHelpText(
    "after",
    "\nA method that is named like one of these commands is called by `call`: zerotask-client call status",
  );
  // Also the reader of the progress: who reads the result is somebody else.
  for (const stream of [process.stdout, process.stderr]) allowReaderToLeave(stream);
  await program.parseAsync(argv).catch((error: unknown) => exitWithError(oneLine(textOf(error))));
}

/** What a handler threw says whatever it likes: it is no more than one line. */
function textOf(error: unknown): string {
  if (error instanceof TaskFailedError) return `${error.remoteName}: ${error.message}`;
  return error instanceof Error ? error.message : String(error);
}

async function call(method: string, params: unknown[], flags: Flags, task: TaskFlags): Promise<void> {
  const { timeout } = flags;
  const bound = timeout === undefined ? {} : { timeoutMs: timeout };
  const client = new Client(endpointOf(flags), { ...taskOptions(task), ...bound });
  try {
    const result: unknown = await client.$call(method, params);
    process.stdout.write(`${JSON.stringify(result, undefined, 2)}\n`);
  } finally {
    await client.$close();
  }
}

/** What shells say of a command that was interrupted: there is no result. */
const interrupted = 130;

/** What is watched is submitted: a call has nobody to ask about it. */
async function watch(method: string, params: unknown[], flags: Flags, task: TaskFlags): Promise<void> {
  const later = new AsyncClient({ ...clientOptions(flags), ...taskOptions(task) });
  const handle = later.$call(method, params);
  const steps = handle.progress()[Symbol.asyncIterator]();
  const bar = await progressBar(process.stderr);
  let isAccepted = false;
  const onAccepted = (): void => {
    isAccepted = true;
  };
  handle.accepted.then(onAccepted, () => undefined);
  let isInterrupted = false;
  const interrupt = (): Promise<void> => {
    isInterrupted = true;
    bar.end();
    if (isAccepted) process.stderr.write(`The task goes on: ${handle.id}\n`);
    return later.$close();
  };
  stopOnSignals(interrupt, silentLogger, undefined, interrupted);
  const drawn = draw(steps, bar);
  let result: unknown;
  try {
    result = await handle.wait(flags.timeout);
    await drawn;
  } catch (error) {
    if (!isInterrupted) throw error;
    return;
  } finally {
    await steps.return?.();
    bar.end();
    await later.$close();
  }
  process.stdout.write(`${JSON.stringify(result, undefined, 2)}\n`);
}

/** How the task ended, and whether there is a broker at all, its outcome tells. */
async function draw(steps: AsyncIterator<TaskProgress>, bar: ProgressBar): Promise<void> {
  try {
    for (let step = await steps.next(); step.done !== true; step = await steps.next()) bar.show(step.value);
  } catch {
    // Told by whoever waits for the task.
  }
}

/** Nobody waits for tomorrow: what is to run later goes on without this process. */
async function submit(method: string, params: unknown[], flags: Flags, task: TaskFlags): Promise<void> {
  const later = new AsyncClient({ ...clientOptions(flags), ...taskOptions(task) });
  try {
    const handle = later.$call(method, params);
    await handle.accepted;
    process.stdout.write(`${handle.id}\n`);
  } finally {
    await later.$close();
  }
}

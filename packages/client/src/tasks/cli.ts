// `zerotask-client status|stop|start|reload`: what a handle does with one task, from the command line.
import { Command } from "commander";
import { numberOrText, OptionError, type Params } from "zerotask-core";
import { AsyncClient } from "../async-client.ts";
import { clientOptions, type Flags } from "../command-line/arguments.ts";
import type { TaskHandle } from "../task-handle.ts";
import type { StopOptions } from "./run-control.ts";

interface StopFlags {
  readonly grace?: number;
  readonly force?: boolean;
}

/** The commands; `flags` are what the program was told. */
export function taskCommands(flags: () => Flags): Command[] {
  return [
    taskCommand("status", "print a task's status").action((id: string) =>
      use(flags(), id, (handle) => handle.status()),
    ),
    addStopOptions(taskCommand("stop", "stop a task, and print how its run ended")).action(
      (id: string, stop: StopFlags) => use(flags(), id, (handle) => handle.stop(stopOptions(stop))),
    ),
    taskCommand("start", "begin a task again that was stopped").action((id: string) =>
      use(flags(), id, async (handle) => {
        await handle.start();
        return handle.status();
      }),
    ),
    addStopOptions(taskCommand("reload", "stop a task's run, and begin the task anew"))
      .argument("[params]", "its new params: a JSON array, or an object of params by name")
      .action((id: string, params: string | undefined, stop: StopFlags) =>
        use(flags(), id, async (handle) => {
          await handle.reload(paramsArgument(params), stopOptions(stop));
          return handle.status();
        }),
      ),
  ];
}

function taskCommand(name: string, description: string): Command {
  return new Command(name).description(description).argument("<task>", "the task's id");
}

function addStopOptions(command: Command): Command {
  return command
    .option(
      "--grace <ms>",
      "how long its handler has to end by itself: 5000 unless told otherwise",
      numberOrText,
    )
    .option("--force", "end it at once");
}

function stopOptions({ grace, force }: StopFlags): StopOptions {
  return { ...(grace !== undefined && { graceMs: grace }), ...(force !== undefined && { force }) };
}

function paramsArgument(text: string | undefined): Params | undefined {
  if (text === undefined) return undefined;
  let params: unknown;
  try {
    params = JSON.parse(text);
  } catch {
    params = undefined;
  }
  if (typeof params === "object" && params !== null) return params as Params;
  throw new OptionError("params", "a JSON array, or an object of params by name", text);
}

async function use(flags: Flags, id: string, ask: (handle: TaskHandle) => Promise<string>): Promise<void> {
  const client = new AsyncClient(clientOptions(flags));
  try {
    process.stdout.write(`${await ask(client.$handle(id))}\n`);
  } finally {
    await client.$close();
  }
}

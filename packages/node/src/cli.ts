// The command line of the node.
import { fileURLToPath } from "node:url";
import { Command, Option } from "commander";
import { type DestinationStream, type Logger, pino } from "pino";
import {
  DEFAULT_ADDRESS,
  DEFAULT_PUBLISH_PORT,
  DEFAULT_REQUEST_PORT,
  Dispatcher,
  exitWithError,
  type Isolation,
  type LogFlags,
  logFileOption,
  logFormats,
  logLevels,
  logStreams,
  NameTakenError,
  numberOrText,
  OptionError,
  portOption,
  positiveInteger,
  stopOnSignals,
  systemRuntime,
  tcpEndpoint,
} from "zerotask-core";
import { loadNodeModules } from "./load-modules.ts";
import { Node } from "./node.ts";
import { type NodeOptions, nameOption, resolveNodeOptions } from "./options.ts";
import { closeAllMs } from "./pipeline/resources.ts";
import { addPlayground } from "./playground.ts";
import { nameOf } from "./supervisor/names.ts";
import { refusedExitCode, Supervision } from "./supervisor/supervised.ts";
import { Supervisor } from "./supervisor/supervisor.ts";
import { watchModules } from "./supervisor/watcher.ts";
import { version } from "./version.ts";

interface Flags extends LogFlags {
  readonly address: string;
  readonly requestPort: number;
  readonly publishPort: number;
  readonly slots: number;
  readonly name?: string;
  readonly drain: number;
  readonly exitWhenEmpty?: true;
  readonly processes?: number;
  readonly watch?: true;
  /** Set by a supervisor: the process's name, or nothing where it needs none. */
  readonly supervised?: string;
  readonly isolate?: Isolation;
  readonly workers?: number;
  readonly maxMemory?: number;
  readonly captureConsole?: true;
}

const isolations: readonly Isolation[] = ["none", "thread", "process"];
/** What a process may take to exit, on top of what its tasks may take to end, and its resources to be closed. */
const exitMs = 800;
const maxProcesses = 1_000;

/** By Node.js, which says nothing, where what is awaited at the top can't be settled by anything any more. */
const neverSettledExitCode = 13;
const neverSettled =
  "Expected modules to be loaded, configured and to open what they provide, got a promise among them that nothing is left to settle";

/** Runs `zerotask-node` until a signal ends it, or nothing is left to do for one that leaves then. */
export async function main(argv: readonly string[]): Promise<void> {
  const program = new Command("zerotask-node")
    .description("Run tasks: serve the methods of modules to a broker.")
    .argument("[modules...]", "modules, or directories of modules; without any, add and subtract are served")
    .option("-x, --slots <count>", "tasks that run at once", numberOrText, 100)
    .option(
      "-n, --name <name>",
      "the node's id at the broker, which one node at a time may have; else random",
    )
    .addOption(
      new Option("--isolate <where>", "where tasks run that don't say otherwise").choices(isolations),
    )
    .option("-w, --workers <count>", "isolated workers, processes unless told otherwise", numberOrText)
    .option("--max-memory <MB>", "memory that an isolated worker may use", numberOrText)
    .option("--capture-console", "keep what handlers print with console as the logs of their tasks")
    .option("--drain <ms>", "how long a node that is to end waits for running tasks", numberOrText, 1_000)
    .option("--exit-when-empty", "end when nothing that it serves is queued or due")
    .option("--processes <count>", "run so many nodes, and start those again that crash", numberOrText)
    .option("--watch", "replace the node when its modules change; what runs is finished by the old one")
    .addOption(new Option("--supervised <name>").hideHelp())
    .option("-a, --address <address>", "address of the broker", DEFAULT_ADDRESS)
    .option("-r, --request-port <port>", "the broker's request port", numberOrText, DEFAULT_REQUEST_PORT)
    .option("-p, --publish-port <port>", "the broker's publish port", numberOrText, DEFAULT_PUBLISH_PORT)
    .addOption(new Option("-l, --loglevel <level>", "what to log").choices(logLevels).default("warn"))
    .addOption(
      new Option("--log-format <format>", "how to log on stderr").choices(logFormats).default("json"),
    )
    .option("--log-file <path>", "a file to log to as well, as JSON; may be given again", logFileOption)
    .version(version)
    .action((modules: string[], flags: Flags) => run(modules, flags, argv.slice(2)));
  process.once("exit", () => {
    if (process.exitCode === neverSettledExitCode) process.stderr.write(`${neverSettled}\n`);
  });
  await program.parseAsync(argv).catch(exitWithError);
}

async function run(modules: string[], flags: Flags, args: readonly string[]): Promise<void> {
  const { supervised, processes, watch } = flags;
  checkIsolated(modules, flags);
  if (supervised !== undefined) {
    const refuse = (error: unknown): never => exitWithError(error, refusedExitCode);
    const prepared = await prepare(modules, flags).catch(refuse);
    // What it needs beside what it was given, such as a database, may be there later.
    const isRefusal = (error: unknown): boolean =>
      error instanceof OptionError || error instanceof NameTakenError;
    await serve(prepared, flags).catch((error: unknown) =>
      exitWithError(error, isRefusal(error) ? refusedExitCode : 1),
    );
  } else if (processes !== undefined || watch) await supervise(modules, flags, args);
  else await serve(await prepare(modules, flags), flags);
}

/** A node that can be started. */
interface Prepared {
  readonly node: Node;
  readonly endpoint: string;
  readonly logger: Logger;
  readonly supervision: Supervision | undefined;
}

/** Rejects for options that make no sense, and modules that can't be loaded. */
async function prepare(modules: string[], flags: Flags): Promise<Prepared> {
  const { slots, drain, supervised } = flags;
  const name = supervised === undefined ? flags.name : supervised || undefined;
  const endpoint = endpointOf(flags);
  const logger = await loggerOf(flags);
  const supervision = supervised === undefined ? undefined : new Supervision(logger, killMsOf(flags));
  const dispatcher = Dispatcher.instance();
  const node = new Node({
    ...{ slots, dispatcher, logger, drainMs: drain, captureConsole: flags.captureConsole === true },
    ...(name !== undefined && { name }),
    ...isolationOf(modules, flags),
  });
  // Before its modules, which may have it run something: ids are the broker's.
  node.addBroker(endpoint);
  await loadNodeModules(modules, dispatcher, node);
  if (modules.length === 0) addPlayground(dispatcher);
  if (node.methods.length === 0)
    throw new Error(`Expected modules with tasks, got none in ${modules.join(", ")}`);
  checkMeant(dispatcher, node.methods, flags);
  return { node, endpoint, logger, supervision };
}

async function serve({ node, endpoint, logger, supervision }: Prepared, flags: Flags): Promise<void> {
  supervision?.supervise(node);
  let isSignalled = false;
  const stop = (): Promise<void> => {
    isSignalled = true;
    return node.stop();
  };
  stopOnSignals(stop, logger, timerMs(flags.drain + closeAllMs + exitMs));
  await node.start();
  // It was told to end before it could serve: whoever told it ends the process.
  if (isSignalled || supervision?.isLeaving === true) return;
  if (supervision !== undefined) supervision.ready(node.methods);
  else print(`is ready: takes tasks from ${endpoint}, serves ${node.methods.join(", ")}`);
  if (flags.exitWhenEmpty !== true) return;
  await node.stop({ whenEmpty: true });
  if (supervision === undefined && !isSignalled) print(leaving);
  process.exit(0);
}

async function supervise(modules: string[], flags: Flags, args: readonly string[]): Promise<void> {
  const { processes = 1, watch = false, name, drain, slots, exitWhenEmpty } = flags;
  const endpoint = endpointOf(flags);
  if (positiveInteger("--processes", processes) > maxProcesses)
    throw new OptionError("--processes", `at most ${maxProcesses}`, processes);
  if (watch && modules.length === 0) throw new Error("Expected modules to watch, got none");
  resolveNodeOptions({ slots, drainMs: drain });
  const naming = { name, isNumbered: flags.processes !== undefined };
  const longest = nameOf(naming, processes, Number.MAX_SAFE_INTEGER);
  if (longest !== undefined) nameOption("--name", longest);
  const logger = await loggerOf(flags);
  const killMs = killMsOf(flags);
  const supervisor = new Supervisor({
    ...{ processes, isWatching: watch, killMs, logger, runtime: systemRuntime },
    script: fileURLToPath(new URL("../bin/zerotask-node.js", import.meta.url)),
    args: (place, generation) => ["--supervised", nameOf(naming, place, generation) ?? "", ...args],
    onReady: (methods) => {
      const many = `${processes} ${processes === 1 ? "process" : "processes"}`;
      print(`is ready: takes tasks from ${endpoint}, serves ${methods.join(", ")}, in ${many}`);
    },
  });
  let isSignalled = false;
  const stop = (): Promise<void> => {
    isSignalled = true;
    return supervisor.stop();
  };
  stopOnSignals(stop, logger, timerMs(killMs + exitMs));
  if (watch) {
    await watchModules(modules, {
      onChange: (path) => {
        logger.info({ path }, "changed");
        supervisor.changed();
      },
      onError: (error) => logger.error({ err: error }, "could not watch all modules"),
    });
  }
  const code = await supervisor.run();
  if (exitWhenEmpty && code === 0 && !isSignalled) print(leaving);
  process.exit(code);
}

const leaving = "leaves: nothing that it serves is queued or due";

function print(text: string): void {
  process.stdout.write(`zerotask-node ${text}\n`);
}

/** Timers take no more. */
function timerMs(ms: number): number {
  return Math.min(ms, 2 ** 31 - 1);
}

/** How long a process that is to end may take before it is killed. */
function killMsOf({ drain }: Flags): number {
  return timerMs(drain + closeAllMs + 2 * exitMs);
}

function endpointOf({ address, requestPort, publishPort }: Flags): string {
  portOption("--publish-port", publishPort);
  return tcpEndpoint(address, portOption("--request-port", requestPort));
}

/** The playground's methods are in no module that a worker could load. @throws Error where they were to be isolated */
function checkIsolated(modules: readonly string[], flags: Flags): void {
  const { isolate = "none", workers, maxMemory } = flags;
  const asked = isolate !== "none" || workers !== undefined || maxMemory !== undefined;
  if (asked && modules.length === 0) {
    const named =
      isolate !== "none" ? `--isolate ${isolate}` : workers !== undefined ? "--workers" : "--max-memory";
    throw new Error(
      `Expected modules beside ${named}: without any, there is nothing that a worker could load`,
    );
  }
}

/** @throws Error for a bound on workers where nothing runs in one */
function checkMeant(dispatcher: Dispatcher, methods: readonly string[], flags: Flags): void {
  const { workers, maxMemory } = flags;
  if (isolateOf(flags) !== "none" || (workers === undefined && maxMemory === undefined)) return;
  if (methods.some((name) => (dispatcher.isolationOf(name).isolate ?? "none") !== "none")) return;
  const named = workers === undefined ? "--max-memory" : "--workers";
  throw new Error(
    `Expected --isolate thread or --isolate process beside ${named}: no method says that it is isolated`,
  );
}

/** Who says how many workers there are to be, wants some. */
function isolateOf({ isolate, workers }: Flags): Isolation {
  return isolate ?? (workers === undefined ? "none" : "process");
}

function isolationOf(modules: readonly string[], flags: Flags): NodeOptions {
  const { workers, maxMemory } = flags;
  return {
    modules,
    isolate: isolateOf(flags),
    ...(workers !== undefined && { workers }),
    ...(maxMemory !== undefined && { maxMemoryMb: maxMemory }),
  };
}

/** Everything is written at once: nothing is lost when the process ends. */
async function loggerOf(flags: LogFlags): Promise<Logger> {
  const json = (dest: string | number): DestinationStream =>
    pino.destination({ dest, sync: true, append: true, mkdir: true });
  // Few ask for it, and it takes its time to load.
  const { build } = flags.logFormat === "pretty" ? await import("pino-pretty") : { build: undefined };
  const pretty = (destination: number): DestinationStream =>
    build?.({ destination, sync: true, colorize: process.stderr.isTTY === true }) ?? json(destination);
  const streams = logStreams(flags, json, pretty);
  return pino({ level: flags.loglevel, name: "zerotask-node" }, pino.multistream(streams));
}

// The command line of the broker.
import { resolve } from "node:path";
import { Command, Option } from "commander";
import { type DestinationStream, type Logger, pino } from "pino";
import {
  DEFAULT_ADDRESS,
  DEFAULT_PUBLISH_PORT,
  DEFAULT_REQUEST_PORT,
  Dispatcher,
  exitWithError,
  type LogFlags,
  loadModules,
  logFileOption,
  logFormats,
  logLevels,
  logStreams,
  numberOrText,
  positiveInteger,
  stopOnSignals,
} from "zerotask-core";
import { Broker } from "./broker.ts";
import { memoryStore } from "./store/memory-store.ts";
import { sqliteStore } from "./store/sqlite-store.ts";
import { version } from "./version.ts";

interface Flags extends LogFlags {
  readonly address: string;
  readonly requestPort: number;
  readonly publishPort: number;
  readonly data: string;
  readonly memory?: boolean;
  readonly eventsKept?: number;
}

/** Runs `zerotask-broker` until a signal ends it. */
export async function main(argv: readonly string[]): Promise<void> {
  const program = new Command("zerotask-broker")
    .description("Hand out tasks: nodes and clients connect to the request port.")
    .argument("[modules...]", "modules, or directories of modules, with broker.* tasks to run in the broker")
    .option("-a, --address <address>", "address to bind to", DEFAULT_ADDRESS)
    .option(
      "-r, --request-port <port>",
      "port of the request socket, 0 for any",
      numberOrText,
      DEFAULT_REQUEST_PORT,
    )
    .option(
      "-p, --publish-port <port>",
      "port of the publish socket, 0 for any",
      numberOrText,
      DEFAULT_PUBLISH_PORT,
    )
    .option(
      "-d, --data <directory>",
      "where submitted tasks are kept, made if it is not there",
      "./.zerotask",
    )
    .addOption(new Option("-m, --memory", "keep submitted tasks in memory only").conflicts("data"))
    .option(
      "--events-kept <count>",
      "how many events of tasks are kept for those who come late: 100000 unless told otherwise",
      numberOrText,
    )
    .addOption(new Option("-l, --loglevel <level>", "what to log").choices(logLevels).default("warn"))
    .addOption(
      new Option("--log-format <format>", "how to log on stderr").choices(logFormats).default("json"),
    )
    .option("--log-file <path>", "a file to log to as well, as JSON; may be given again", logFileOption)
    .version(version)
    .action(run);
  await program.parseAsync(argv).catch(exitWithError);
}

async function run(modules: string[], flags: Flags): Promise<void> {
  const { loglevel, logFormat, logFile, data, memory = false, ...options } = flags;
  if (flags.eventsKept !== undefined) positiveInteger("--events-kept", flags.eventsKept);
  const logger = await loggerOf(flags);
  await loadModules(modules, { dispatcher: Dispatcher.instance(), enableTypeScript });
  const broker = new Broker({ ...options, store: memory ? memoryStore() : sqliteStore(data), logger });
  await broker.start();
  stopOnSignals(() => broker.stop(), logger);
  process.stdout.write(
    `zerotask-broker is ready: requests at ${broker.requestEndpoint}, announcements at ${broker.publishEndpoint}, ` +
      `tasks ${memory ? "in memory" : `in ${resolve(data)}`}\n`,
  );
}

/** Both ways: a .ts file is CommonJS or ESM, by the "type" of the package.json above it. */
async function enableTypeScript(): Promise<void> {
  const [commonJs, esm] = await Promise.all([import("tsx/cjs/api"), import("tsx/esm/api")]);
  commonJs.register();
  esm.register();
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
  return pino({ level: flags.loglevel, name: "zerotask-broker" }, pino.multistream(streams));
}

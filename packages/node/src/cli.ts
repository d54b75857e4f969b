// The command line of the node.
import { Command, Option } from "commander";
import { pino } from "pino";
import {
  DEFAULT_ADDRESS,
  DEFAULT_PUBLISH_PORT,
  DEFAULT_REQUEST_PORT,
  Dispatcher,
  exitWithError,
  loadModules,
  logLevels,
  numberOrText,
  portOption,
  stopOnSignals,
  tcpEndpoint,
} from "zerotask-core";
import { Node } from "./node.ts";
import { addPlayground } from "./playground.ts";
import { version } from "./version.ts";

interface Flags {
  readonly address: string;
  readonly requestPort: number;
  readonly publishPort: number;
  readonly slots: number;
  readonly loglevel: string;
}

/** Runs `zerotask-node` until a signal ends it. */
export async function main(argv: readonly string[]): Promise<void> {
  const program = new Command("zerotask-node")
    .description("Run tasks: serve the methods of modules to a broker.")
    .argument("[modules...]", "modules, or directories of modules; without any, add and subtract are served")
    .option("-x, --slots <count>", "tasks that run at once", numberOrText, 100)
    .option("-a, --address <address>", "address of the broker", DEFAULT_ADDRESS)
    .option("-r, --request-port <port>", "the broker's request port", numberOrText, DEFAULT_REQUEST_PORT)
    .option("-p, --publish-port <port>", "the broker's publish port", numberOrText, DEFAULT_PUBLISH_PORT)
    .addOption(
      new Option("-l, --loglevel <level>", "what to log on stderr").choices(logLevels).default("warn"),
    )
    .version(version)
    .action(run);
  await program.parseAsync(argv).catch(exitWithError);
}

async function run(modules: string[], flags: Flags): Promise<void> {
  const { address, requestPort, publishPort, slots, loglevel } = flags;
  const endpoint = tcpEndpoint(address, portOption("--request-port", requestPort));
  portOption("--publish-port", publishPort);
  const logger = pino({ level: loglevel, name: "zerotask-node" }, pino.destination(2));
  const dispatcher = Dispatcher.instance();
  await loadModules(modules, { dispatcher, enableTypeScript });
  if (modules.length === 0) addPlayground(dispatcher);
  const node = new Node({ slots, dispatcher, logger });
  if (node.methods.length === 0)
    throw new Error(`Expected modules with tasks, got none in ${modules.join(", ")}`);
  node.addBroker(endpoint);
  stopOnSignals(() => node.stop(), logger);
  await node.start();
  process.stdout.write(
    `zerotask-node is ready: takes tasks from ${endpoint}, serves ${node.methods.join(", ")}\n`,
  );
}

/** Both ways: a .ts file is CommonJS or ESM, by the "type" of the package.json above it. */
async function enableTypeScript(): Promise<void> {
  const [commonJs, esm] = await Promise.all([import("tsx/cjs/api"), import("tsx/esm/api")]);
  commonJs.register();
  esm.register();
}

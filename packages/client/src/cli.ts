// The command line of the client.
import { Command } from "commander";
import {
  DEFAULT_ADDRESS,
  DEFAULT_REQUEST_PORT,
  exitWithError,
  numberOrText,
  portOption,
  TaskFailedError,
  tcpEndpoint,
} from "zerotask-core";
import { Client } from "./client.ts";
import { version } from "./version.ts";

interface Flags {
  readonly address: string;
  readonly requestPort: number;
  readonly timeout?: number;
}

/** Runs `zerotask-client`. */
export async function main(argv: readonly string[]): Promise<void> {
  const program = new Command("zerotask-client")
    .description("Call methods that nodes serve.")
    .option("-a, --address <address>", "address of the broker", DEFAULT_ADDRESS)
    .option("-r, --request-port <port>", "the broker's request port", numberOrText, DEFAULT_REQUEST_PORT)
    .option("-t, --timeout <ms>", "how long to wait for an answer", numberOrText)
    .version(version);
  program
    .command("call", { isDefault: true })
    .description("call a method and print its result as JSON (the default: `add 5 6` is `call add 5 6`)")
    .argument("<method>", "the method, such as add or images.resize")
    .argument("[args...]", "its arguments: each JSON, or else a string")
    .action((method: string, args: string[]) => call(method, args, program.opts<Flags>()));
  await program.parseAsync(argv).catch((error: unknown) => {
    if (error instanceof TaskFailedError) exitWithError(new Error(`${error.remoteName}: ${error.message}`));
    exitWithError(error);
  });
}

async function call(method: string, args: string[], { address, requestPort, timeout }: Flags): Promise<void> {
  const endpoint = tcpEndpoint(address, portOption("--request-port", requestPort));
  const client = new Client(endpoint, timeout === undefined ? {} : { timeoutMs: timeout });
  try {
    const result: unknown = await client.$call(method, args.map(jsonOrText));
    process.stdout.write(`${JSON.stringify(result, undefined, 2)}\n`);
  } finally {
    await client.$close();
  }
}

function jsonOrText(argument: string): unknown {
  try {
    return JSON.parse(argument);
  } catch {
    return argument;
  }
}

// Nodes with the handlers of the faults runs, as processes of their own that end with the test.
import { onTestFinished } from "vitest";
import { commandLine, Part, root } from "./part.ts";

/** A node that takes its tasks from `endpoint`, with options of the command line. */
export async function startNodeProcess(endpoint: string, ...args: string[]): Promise<Part> {
  const { port } = new URL(endpoint);
  const part = await Part.start([
    ...commandLine("node", "-r", port, "-l", "error", ...args),
    `${root}test/faults/handlers.ts`,
  ]);
  onTestFinished(() => part.kill());
  return part;
}

/** A broker as users run it, that ends with the test. */
export async function startBrokerProcess(...args: string[]): Promise<Part> {
  const part = await Part.start(commandLine("broker", ...args));
  onTestFinished(() => part.kill());
  return part;
}

/** Starts another node whenever one ends, until the test does. */
export async function keepNodes(endpoint: string, count: number): Promise<void> {
  let isOver = false;
  onTestFinished(() => {
    isOver = true;
  });
  const start = async (): Promise<void> => {
    const part = await startNodeProcess(endpoint).catch(() => undefined);
    if (isOver) await part?.kill();
    else if (part === undefined) await start();
    else void part.ended.then(() => (isOver ? undefined : start()));
  };
  await Promise.all(Array.from({ length: count }, start));
}

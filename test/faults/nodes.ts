// Nodes with the handlers of the faults runs, as processes of their own that end with the test.
import { onTestFinished } from "vitest";
import { commandLine, Part, root } from "./part.ts";

function startNodePart(endpoint: string, ...args: string[]): Promise<Part> {
  const { port } = new URL(endpoint);
  const workers = ["--isolate", "none", "-w", "1"];
  const command = commandLine("node", "-r", port, "-l", "fatal", ...workers, ...args);
  return Part.start([...command, `${root}test/faults/handlers.ts`]);
}

/** A node that takes its tasks from `endpoint`, with options of the command line. */
export async function startNodeProcess(endpoint: string, ...args: string[]): Promise<Part> {
  const part = await startNodePart(endpoint, ...args);
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
  const lives = new Set<Promise<void>>();
  const parts = new Set<Part>();
  /** One node after the other in the same place. */
  const live = async (onStarted: () => void): Promise<void> => {
    while (!isOver) {
      // Poison may end a node before it has said that it is ready.
      const part = await startNodePart(endpoint).catch(() => undefined);
      if (part === undefined) continue;
      parts.add(part);
      onStarted();
      if (isOver) await part.kill();
      await part.ended;
      parts.delete(part);
    }
  };
  onTestFinished(async () => {
    isOver = true;
    await Promise.all([...parts].map((part) => part.kill()));
    await Promise.all(lives);
  });
  await Promise.all(
    Array.from({ length: count }, () => new Promise<void>((resolve) => lives.add(live(resolve)))),
  );
}

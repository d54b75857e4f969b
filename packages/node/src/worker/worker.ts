// A worker of a pool, in a thread or a process: loads the node's modules, and runs what it is given.
import { setPriority } from "node:os";
import { Dispatcher, defaultLimits, type Request, systemRuntime } from "zerotask-core";
import { captureConsole } from "../capture-console.ts";
import { loadNodeModules } from "../load-modules.ts";
import { NestedCalls } from "../nested-calls.ts";
import { Pipeline } from "../pipeline/pipeline.ts";
import type { NodeSetup } from "../pipeline/setup.ts";
import { Reports } from "../reports.ts";
import type { RunHost } from "../run-context.ts";
import { streamsOver } from "../streams/stream-links.ts";
import { WorkerConnections } from "./connections.ts";
import { Jobs, WorkerRun } from "./jobs.ts";
import { Lines, type Port } from "./port.ts";
import { FromWorker, type Init, Line, type LinkInfo, type StreamPush, ToWorker } from "./protocol.ts";
import { ReportCredit } from "./report-credit.ts";
import { thrownToText } from "./thrown.ts";
import { workerLogger } from "./worker-logger.ts";

/** Takes the messages of a node from now on. @returns what takes one */
export function serve(port: Port): (text: string) => void {
  const worker = new Worker(port);
  return (text) => worker.take(text);
}

const noItems = { bytes: 0, depth: 0 };

class Worker {
  readonly #lines: Lines;
  readonly #jobs: Jobs;
  readonly #connections: WorkerConnections;
  readonly #links: LinkInfo[] = [];
  readonly #pipeline: Pipeline;
  readonly #dispatcher: Dispatcher = Dispatcher.instance();
  readonly #host: RunHost;

  constructor(port: Port) {
    const lines = new Lines(port);
    this.#lines = lines;
    this.#jobs = new Jobs(
      this.#dispatcher,
      lines,
      port,
      (link) => this.#links[link]?.limits.bytes ?? defaultLimits.maxMessageBytes,
    );
    this.#connections = new WorkerConnections(lines);
    const credit = new ReportCredit(port);
    const logger = workerLogger((line) => lines.send(line), credit);
    this.#pipeline = new Pipeline({ logger, runtime: systemRuntime });
    const nested = new NestedCalls({
      optionsFor: (link) => ({
        endpoint: this.#links[link]?.endpoint ?? "",
        runtime: systemRuntime,
        logger,
        dial: (_endpoint, handlers) => this.#connections.dial(link, handlers),
      }),
      onWaiting: (run, change) => this.#jobs.onWaiting(run as WorkerRun, change),
    });
    const links = {
      send: (link: number, text: string) => lines.send(`${FromWorker.Stream} ${link} ${text}`),
      limits: (link: number) => this.#links[link]?.limits ?? noItems,
    };
    const reports = new Reports(systemRuntime, ({ link }, method, params, isDue) => {
      const text = JSON.stringify([method, params]);
      if (!credit.take(text.length, isDue)) return false;
      lines.send(`${FromWorker.Report} ${link} ${text}`);
      return true;
    });
    this.#host = {
      runtime: systemRuntime,
      reports,
      clientOf: (run) => nested.clientOf(run),
      pipeline: this.#pipeline,
      streamsOf: (link, id, shape) => streamsOver(links, link, id, shape),
      maxResultBytes: (link) => links.limits(link).bytes,
      onThrown: (run, error) => {
        const { unit, index } = run as WorkerRun;
        lines.add(`${FromWorker.Thrown} ${unit} ${index} ${thrownToText(error)}`);
      },
    };
    process.once("exit", () => {
      reports.flushAll();
      lines.flush();
    });
  }

  take(text: string): void {
    for (const line of text.split("\n")) this.#takeLine(new Line(line));
    this.#jobs.run();
  }

  #takeLine(line: Line): void {
    switch (line.letter) {
      case ToWorker.Task:
      case ToWorker.TaskBeside:
        this.#addTask(line);
        break;
      case ToWorker.Batch:
      case ToWorker.BatchBeside:
        this.#addBatch(line);
        break;
      case ToWorker.Abort:
        this.#jobs.abort(line.number(), line.number());
        break;
      case ToWorker.Revoke:
        this.#jobs.revoke();
        break;
      case ToWorker.Stream:
        this.#onStream(line);
        break;
      case ToWorker.Message:
        this.#connections.onMessage(line.number(), line.rest());
        break;
      case ToWorker.Lost:
        this.#connections.onLost(line.number());
        break;
      case ToWorker.Link:
        this.#links[line.number()] = JSON.parse(line.rest()) as LinkInfo;
        break;
      case ToWorker.Leave:
        void this.#pipeline.close().then(() => this.#lines.send(FromWorker.Left));
        break;
      case ToWorker.Init:
        void this.#init(JSON.parse(line.rest()) as Init);
        break;
    }
  }

  #onStream(line: Line): void {
    const streams = this.#jobs.runOf(line.number(), line.number())?.streams;
    const pushed = JSON.parse(line.rest()) as StreamPush | null;
    if (pushed === null) streams?.resume();
    else streams?.onPush(pushed[0], pushed[1]);
  }

  #addTask(line: Line): void {
    const unit = line.number();
    const link = line.number();
    const run = new WorkerRun(unit, 0, link, JSON.parse(line.rest()) as Request, this.#host);
    this.#jobs.add(unit, [run], false, line.letter === ToWorker.TaskBeside);
  }

  #addBatch(line: Line): void {
    const unit = line.number();
    const tasks = JSON.parse(line.rest()) as [number, Request][];
    const runs = tasks.map(([link, request], index) => new WorkerRun(unit, index, link, request, this.#host));
    this.#jobs.add(unit, runs, true, line.letter === ToWorker.BatchBeside);
  }

  /** What stands for the node where modules set it up. */
  #setup(): NodeSetup {
    const pipeline = this.#pipeline;
    return {
      use: (middleware) => pipeline.use(middleware),
      provide: (name, open, close) => pipeline.provide(name, open, close),
      resolve: (scheme, resolver) => pipeline.resolve(scheme, resolver),
      // Exceptions are told to the node, whose own listeners hear of them.
      onException: () => () => undefined,
      // The node itself does.
      runLocal: () => undefined,
    };
  }

  async #init({ modules, captureConsole: isCaptured }: Init): Promise<void> {
    try {
      await loadNodeModules(modules, this.#dispatcher, this.#setup());
      await this.#pipeline.open();
      if (isCaptured) captureConsole();
      lowerPriority();
      const names = this.#dispatcher.methods().map(({ name }) => name);
      this.#lines.send(`${FromWorker.Ready} ${JSON.stringify(names)}`);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      this.#lines.send(`${FromWorker.Failed} ${JSON.stringify(message)}`);
    }
  }
}

/** Below what keeps the node's connections alive. */
const niceness = 5;

/** On Linux that is this thread's alone; elsewhere a thread would slow down its whole node. */
function lowerPriority(): void {
  if (process.platform !== "linux") return;
  try {
    setPriority(0, niceness);
  } catch {
    // It may not be allowed. Then it runs as it did.
  }
}

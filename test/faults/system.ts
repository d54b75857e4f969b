// The system under test: a broker on disk, nodes and clients in processes of their own, and a proxy in between.
// What ends is started again, until it is all told to end.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../support/ports.ts";
import { until } from "../support/wait.ts";
import { History } from "./history.ts";
import { commandLine, Part, root } from "./part.ts";
import { FaultyProxy } from "./proxy.ts";
import type { ReportLine } from "./report-lines.ts";

const nodeCount = 3;
const clientCount = 3;

/** A place for a process, with the one that is in it now. */
export interface Seat {
  part: Part | undefined;
  /** What is in it, for those that are named. */
  name: string;
}

export class System {
  readonly history: History = new History();
  readonly broker: Seat = { part: undefined, name: "broker" };
  readonly nodes: readonly Seat[] = seats("node", nodeCount);
  readonly clients: readonly Seat[] = seats("client", clientCount);
  readonly proxy: FaultyProxy;
  /** What went wrong that no fault explains. */
  readonly surprises: string[] = [];
  /** Nodes that ended by themselves: of a poison task. */
  poisoned = 0;
  readonly #folder: string;
  readonly #ports: readonly [number, number];
  readonly #seed: number;
  readonly #done = new Set<string>();
  readonly #starting = new Set<Promise<void>>();
  #clientsStarted = 0;
  #isEnding = false;

  private constructor(folder: string, ports: readonly [number, number], proxy: FaultyProxy, seed: number) {
    this.#folder = folder;
    this.#ports = ports;
    this.proxy = proxy;
    this.#seed = seed;
  }

  static async start(seed: number): Promise<System> {
    const folder = await mkdtemp(join(tmpdir(), "zerotask-faults-"));
    const ports = [await freePort(), await freePort()] as const;
    const system = new System(folder, ports, await FaultyProxy.listen(ports[0]), seed);
    await system.#startBroker();
    await Promise.all(system.nodes.map((seat) => system.#startNode(seat)));
    await Promise.all(system.clients.map((seat) => system.#startClient(seat)));
    return system;
  }

  /** Where the broker itself listens, for who is not to be disturbed. */
  get endpoint(): string {
    return `tcp://127.0.0.1:${this.#ports[0]}`;
  }

  /** Kills the broker, and starts it again on the same folder and ports. */
  async killBroker(): Promise<void> {
    const { part } = this.broker;
    this.broker.part = undefined;
    await part?.kill();
    await this.#startBroker();
  }

  async killNode(seat: Seat): Promise<void> {
    const { part } = seat;
    const workers = part?.children ?? [];
    seat.part = undefined;
    await part?.kill();
    await this.#startNode(seat);
    await until("its workers to end", () => !workers.some(isAlive), 20_000).catch((error: Error) => {
      this.surprises.push(`The ${seat.name} was killed, and ${error.message}`);
    });
  }

  async killClient(seat: Seat): Promise<void> {
    const { part, name } = seat;
    seat.part = undefined;
    await part?.kill();
    this.history.kill(name);
    await this.#startClient(seat);
  }

  /** Ends what still disturbs: afterwards all parts are there and running. */
  async heal(): Promise<void> {
    for (const { part } of this.nodes) if (part?.isStopped === true) part.continue();
    await until("all starts to end", () => this.#starting.size === 0, 60_000);
  }

  /** Lets the clients ask for nothing more, and waits until all that they asked for is settled. Returns whether it was. */
  async finishClients(boundMs: number): Promise<boolean> {
    for (const { part } of this.clients) part?.say("finish");
    const areDone = (): boolean => this.clients.every(({ name }) => this.#done.has(name));
    return until("the clients to be done", areDone, boundMs).then(
      () => true,
      () => false,
    );
  }

  async end(): Promise<void> {
    this.#isEnding = true;
    await Promise.all(this.#starting);
    const all = [this.broker, ...this.nodes, ...this.clients];
    await Promise.all(all.map(({ part }) => part?.kill()));
    this.proxy.close();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #startBroker(): Promise<void> {
    const [port, publishPort] = this.#ports.map(String) as [string, string];
    const args = commandLine("broker", "--data", this.#folder, "-r", port, "-p", publishPort, "-l", "error");
    await this.#start(this.broker, args, () => undefined);
  }

  async #startNode(seat: Seat): Promise<void> {
    const args = commandLine("node", "-r", String(this.proxy.port), "-l", "fatal", "-w", "1");
    await this.#start(
      seat,
      [...args, "--isolate", "none", `${root}test/faults/handlers.ts`],
      () => undefined,
    );
  }

  async #startClient(seat: Seat): Promise<void> {
    const number = ++this.#clientsStarted;
    const name = `client ${number}`;
    seat.name = name;
    const script = `${root}test/faults/client-process.ts`;
    const args = ["--import", "tsx", script, this.proxy.endpoint, String(this.#seed * 1_000 + number)];
    await this.#start(seat, args, (line) => {
      const report = JSON.parse(line) as ReportLine;
      this.history.add(name, report);
      if (report.event === "done") this.#done.add(name);
    });
  }

  /** Puts a process into a seat, and a new one when that ends by itself. */
  async #start(seat: Seat, args: readonly string[], onLine: (line: string) => void): Promise<void> {
    const starting = this.#tryToStart(seat, args, onLine);
    this.#starting.add(starting);
    await starting;
    this.#starting.delete(starting);
  }

  async #tryToStart(seat: Seat, args: readonly string[], onLine: (line: string) => void): Promise<void> {
    while (!this.#isEnding) {
      try {
        const part = await Part.start(args, onLine);
        seat.part = part;
        void part.ended.then(() => this.#onEnded(seat, part, args, onLine));
        return;
      } catch (error) {
        // A node may get its poison before it has said that it is ready.
        if (!this.nodes.includes(seat)) this.surprises.push((error as Error).message);
      }
    }
  }

  /** A part that ended, but that nobody killed. */
  #onEnded(seat: Seat, part: Part, args: readonly string[], onLine: (line: string) => void): void {
    if (seat.part !== part || this.#isEnding) return;
    seat.part = undefined;
    if (this.nodes.includes(seat) && part.stderr === "") this.poisoned++;
    else this.surprises.push(`The ${seat.name} ended by itself: ${part.stderr}`);
    void this.#start(seat, args, onLine);
  }
}

function seats(what: string, count: number): Seat[] {
  return Array.from({ length: count }, (_, i) => ({ part: undefined, name: `${what} ${i + 1}` }));
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

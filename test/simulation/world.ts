// The real broker, nodes and clients on a simulated network, disk and clock, and what befalls them.
import { Broker } from "zerotask-broker";
import { AsyncClient, Client, type Durability, type TaskHandle } from "zerotask-client";
import { current, Dispatcher } from "zerotask-core";
import { Node } from "zerotask-node";
import { Disk } from "./disk.ts";
import { History } from "./history.ts";
import { Network } from "./network.ts";
import { SimulatedProcess, Simulator } from "./simulator.ts";

const endpoint = "tcp://simulated:5555";
/** How long faults befall the parts, and how long all has to end in when they are over. */
const faultsMs = 20_000;
const recoveryMs = 120_000;
const nodeCount = 3;
const clientCount = 3;

/** Bounds that are reached all the time. */
const crowd = { maxTasks: 20, maxStoredTasks: 12, maxClientTasks: 8 };

interface Part<T> {
  readonly process: SimulatedProcess;
  readonly instance: T;
}

interface ClientPart {
  readonly process: SimulatedProcess;
  readonly calls: Client;
  readonly submits: AsyncClient;
}

/** What users see of one run. */
export interface Report {
  readonly seed: number;
  readonly steps: number;
  readonly submitted: number;
  readonly acknowledged: number;
  readonly outcomes: { readonly [kind: string]: number };
  readonly faults: { readonly [kind: string]: number };
}

export class World {
  readonly #seed: number;
  readonly #simulator: Simulator;
  readonly #history = new History();
  readonly #network: Network;
  readonly #disk: Disk;
  #broker: Part<Broker> | undefined;
  #nodes: Part<Node>[] = [];
  #clients: ClientPart[] = [];
  #processes = 0;
  #number = 0;
  #isHealing = false;
  /** Handles and calls of clients that live, which must come to an end. */
  readonly #open = new Map<string, SimulatedProcess>();
  readonly #outcomes: { [kind: string]: number } = {};
  readonly #faults: { [kind: string]: number } = {};
  /** Small bounds make a full queue; poison kills the node that runs it. */
  readonly #isCrowded: boolean;
  readonly #hasPoison: boolean;

  constructor(seed: number) {
    this.#seed = seed;
    this.#simulator = new Simulator(seed);
    this.#network = new Network(this.#simulator, this.#history);
    this.#disk = new Disk(this.#simulator, this.#history);
    this.#history.watch(this.#disk);
    this.#isCrowded = this.#simulator.chance(0.2);
    this.#hasPoison = this.#simulator.chance(0.3);
  }

  /** @throws Violation when a promise was broken */
  async run(): Promise<Report> {
    const { random } = Math;
    // Whoever asks the machine for chance would make a seed worthless.
    Math.random = () => {
      throw new Error("Math.random was called in a simulation");
    };
    try {
      return await this.#run();
    } finally {
      Math.random = random;
    }
  }

  async #run(): Promise<Report> {
    this.#startBroker();
    for (let i = 0; i < nodeCount; i++) this.#startNode();
    for (let i = 0; i < clientCount; i++) this.#startClient();
    this.#schedule(() => this.#work(), 60);
    this.#schedule(() => this.#doHarm(), 900);
    let steps = 0;
    while (this.#simulator.elapsed < faultsMs) {
      await this.#simulator.step();
      this.#check(++steps);
    }
    this.#heal();
    while (this.#simulator.elapsed < faultsMs + recoveryMs && !this.#isDone()) {
      await this.#simulator.step();
      this.#check(++steps);
    }
    for (const what of this.#open.keys()) this.#history.fail(`${what} came to no end`);
    this.#history.checkAcknowledged();
    this.#history.checkSettled();
    this.#throwIfViolated();
    const { size: acknowledged } = this.#history.acknowledged;
    return {
      seed: this.#seed,
      steps,
      submitted: this.#number,
      acknowledged,
      outcomes: this.#outcomes,
      faults: this.#faults,
    };
  }

  #isDone(): boolean {
    if (this.#open.size > 0) return false;
    for (const id of this.#history.acknowledged) {
      if (this.#disk.get(id)?.settledAt === undefined) return false;
    }
    return true;
  }

  #check(step: number): void {
    const waiting = this.#broker?.instance.counts.assignable ?? 0;
    if (waiting > 0) this.#history.fail(`${waiting} methods have tasks that wait while a node has room`);
    const most = crowd.maxTasks + crowd.maxStoredTasks;
    const { unsettled = 0 } = this.#broker?.instance.counts ?? {};
    if (this.#isCrowded && unsettled > most)
      this.#history.fail(`${unsettled} tasks are unsettled, of ${most}`);
    if (step % 10 === 0) this.#history.checkAcknowledged();
    this.#throwIfViolated();
  }

  #throwIfViolated(): void {
    const { violation } = this.#history;
    if (violation === undefined) return;
    violation.message += ` (seed ${this.#seed}, at ${this.#simulator.elapsed.toFixed(3)} ms)`;
    throw violation;
  }

  /** Does something about every `ms` milliseconds, until all is healed. */
  #schedule(what: () => void, ms: number): void {
    this.#simulator.after(this.#simulator.between(0, 2 * ms), () => {
      if (this.#isHealing) return;
      what();
      this.#schedule(what, ms);
    });
  }

  #process(name: string): SimulatedProcess {
    return new SimulatedProcess(this.#simulator, `${name}${++this.#processes}`);
  }

  #startBroker(): void {
    const process = this.#process("broker");
    const broker = new Broker({
      runtime: process,
      transport: this.#network.transportOf(process),
      store: this.#disk.storeOf(process),
      dispatcher: new Dispatcher(),
      // A node that is busy for longer counts as stuck.
      stalledMs: 4_000,
      ...(this.#isCrowded && crowd),
    });
    this.#broker = { process, instance: broker };
    this.#history.onBrokerStarted();
    broker.start().catch((error: unknown) => {
      if (process.isAlive) this.#history.fail(`the broker did not start: ${String(error)}`);
    });
  }

  #startNode(): void {
    const process = this.#process("node");
    const dispatcher = new Dispatcher();
    const sleep = (ms: number): Promise<void> => new Promise((resolve) => void process.after(ms, resolve));
    dispatcher.add("work", async (n: number, ms: number) => {
      const { attempt } = current();
      if (ms > 0) await sleep(ms);
      return { double: n * 2, attempt };
    });
    dispatcher.add("flaky", (n: number, runs: number) => {
      const { attempt } = current();
      if (attempt < runs) throw new Error(`run ${attempt}`);
      return { double: n * 2, attempt };
    });
    dispatcher.add("poison", () => {
      this.#killNode(process);
      return new Promise(() => undefined);
    });
    const node = new Node({
      runtime: process,
      dial: this.#network.dialOf(process),
      dispatcher,
      slots: this.#simulator.pick([1, 2, 8]),
    });
    node.addBroker(endpoint);
    void node.start();
    this.#nodes.push({ process, instance: node });
  }

  #startClient(): void {
    const process = this.#process("client");
    const options = { runtime: process, dial: this.#network.dialOf(process) };
    this.#clients.push({
      process,
      calls: new Client(endpoint, options),
      submits: new AsyncClient(endpoint, options),
    });
  }

  /** A client asks for something. */
  #work(): void {
    const { process, calls, submits } = this.#simulator.pick(this.#clients);
    const n = ++this.#number;
    const ms = this.#simulator.pick([0, 0, 0, 1, 15, 200, 3_000]);
    const kind = this.#simulator.pick([
      "call",
      "call",
      "memory",
      "disk",
      "disk",
      "disk",
      "flaky",
      "late",
      "key",
      "stop",
    ]);
    const whenBusy = this.#simulator.pick(["fail", "wait"] as const);
    const watch = (handle: TaskHandle): void => this.#watch(process, `${kind} ${n}`, handle, n);
    switch (kind) {
      case "call":
        this.#await(process, `${kind} ${n}`, calls.$with({ whenBusy }).work(n, ms), n);
        break;
      case "memory":
        watch(submits.$with({ durability: "memory", whenBusy }).work(n, ms));
        break;
      case "disk":
        if (this.#hasPoison && this.#simulator.chance(0.05)) watch(submits.poison());
        else watch(submits.$with({ whenBusy }).work(n, ms));
        break;
      case "flaky":
        watch(
          submits.$with({ retries: 5, backoff: { initialMs: 20 } }).flaky(n, this.#simulator.pick([1, 2, 3])),
        );
        break;
      case "late":
        // Some end just when their time does.
        watch(
          submits
            .$with({ timeoutMs: 100, expiresMs: 4_000, retries: 2, backoff: { initialMs: 1 } })
            .work(n, this.#simulator.pick([0, 90, 96, 99, 102, 200, 3_000])),
        );
        break;
      case "key":
        watch(submits.$with({ idempotencyKey: `k${n % 5}` }).work(n % 5, 5));
        break;
      case "stop": {
        const handle = submits.work(n, ms);
        watch(handle);
        const stop = calls.$call("zerotask.broker.client_task_stop", [handle.id]);
        stop.catch(() => undefined);
        break;
      }
    }
  }

  #watch(process: SimulatedProcess, what: string, handle: TaskHandle, n: number): void {
    const accepted: Promise<Durability> = handle.accepted;
    accepted.catch(() => undefined);
    this.#await(process, what, handle.wait(), what.startsWith("key") ? n % 5 : n);
  }

  #await(process: SimulatedProcess, what: string, answer: Promise<unknown>, n: number): void {
    this.#open.set(what, process);
    answer.then(
      (result) => {
        this.#open.delete(what);
        this.#count(this.#outcomes, "result");
        const { double } = result as { double: number };
        if (double !== n * 2) this.#history.fail(`${what} gave ${double}`);
      },
      (error: Error) => {
        this.#open.delete(what);
        this.#count(this.#outcomes, error.name);
        if (!expected.has(error.name)) this.#history.fail(`${what} failed: ${error.name}: ${error.message}`);
      },
    );
  }

  /** Something goes wrong. */
  #doHarm(): void {
    const simulator = this.#simulator;
    const kind = simulator.pick(Object.keys(harms) as (keyof typeof harms)[]);
    this.#count(this.#faults, kind);
    const someNode = simulator.pick(this.#nodes).process;
    switch (kind) {
      case "broker killed":
        this.#killBroker();
        simulator.after(simulator.between(0, 3_000), () => this.#restartBroker());
        break;
      case "node killed":
        this.#killNode(someNode);
        break;
      case "client killed":
        this.#killClient(simulator.pick(this.#clients));
        break;
      case "connections cut":
        this.#network.cut(0.5, 20);
        break;
      case "half-open connections":
        this.#network.cut(0.5, 2_000);
        break;
      case "partition":
        this.#network.partition(simulator.between(100, 4_000));
        break;
      case "node busy":
        someNode.frozenUntil = simulator.elapsed + simulator.between(100, 5_000);
        break;
      case "node stopped":
        someNode.frozenUntil = simulator.elapsed + simulator.between(2_000, 6_000);
        this.#network.cutOff(someNode, 2_000);
        break;
      case "disk full":
        if (!simulator.chance(0.3)) break;
        this.#disk.fill();
        simulator.after(simulator.between(100, 2_000), () => {
          this.#disk.heal();
          this.#killBroker();
          this.#restartBroker();
        });
        break;
    }
  }

  #killBroker(): void {
    if (this.#broker === undefined) return;
    const { process } = this.#broker;
    this.#broker = undefined;
    process.kill();
    this.#disk.onKilled(process);
    this.#network.cutOff(process, 20);
  }

  #restartBroker(): void {
    if (this.#broker === undefined) this.#startBroker();
  }

  #killNode(process: SimulatedProcess): void {
    if (!process.isAlive) return;
    process.kill();
    this.#network.cutOff(process, 20);
    this.#nodes = this.#nodes.filter((node) => node.process !== process);
    this.#startNode();
  }

  /** Nobody waits for its answers any more; what was acknowledged to it still counts. */
  #killClient(client: ClientPart): void {
    client.process.kill();
    this.#network.cutOff(client.process, 20);
    for (const [what, process] of this.#open) if (process === client.process) this.#open.delete(what);
    this.#clients = this.#clients.filter((other) => other !== client);
    this.#startClient();
  }

  #heal(): void {
    this.#isHealing = true;
    this.#network.heal();
    this.#disk.heal();
    // Seldom: a restart would also heal what the broker itself got wrong.
    const isBroken = this.#broker === undefined || this.#disk.hasFailed(this.#broker.process);
    if (!isBroken && !this.#simulator.chance(0.1)) return;
    this.#killBroker();
    this.#startBroker();
  }

  #count(counts: { [kind: string]: number }, kind: string): void {
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
}

const harms = {
  "broker killed": true,
  "node killed": true,
  "client killed": true,
  "connections cut": true,
  "half-open connections": true,
  partition: true,
  "node busy": true,
  "node stopped": true,
  "disk full": true,
} as const;

/** What may come of a task where so much goes wrong. */
const expected: ReadonlySet<string> = new Set([
  "BrokerUnavailableError",
  "BusyError",
  "MethodNotFoundError",
  "NodeLostError",
  "StoreFailedError",
  "TaskExpiredError",
  "TaskStoppedError",
]);

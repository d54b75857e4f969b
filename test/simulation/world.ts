// The real broker, nodes and clients on a simulated network, disk and clock, and what befalls them.
import { Broker } from "zerotask-broker";
import { AsyncClient, Client } from "zerotask-client";
import { Dispatcher } from "zerotask-core";
import { NameTakenError, Node } from "zerotask-node";
import { Network } from "../../packages/testing/src/network.ts";
import { Disk } from "./disk.ts";
import { History } from "./history.ts";
import { Hung, Locals, serveLong } from "./long-runs.ts";
import { Meddling } from "./meddling.ts";
import { serve } from "./methods.ts";
import { stalledMs } from "./rules.ts";
import { SimulatedProcess, Simulator } from "./simulator.ts";
import { scheduleCount, Timetable } from "./timetable.ts";
import { type ClientPart, Workload } from "./workload.ts";

const endpoint = "tcp://simulated:5555";
/** How long faults befall the parts, and how long all has to end in when they are over. */
const faultsMs = 17_000;
const recoveryMs = 120_000;
const mostStopMs = 3_000;
const nodeCount = 3;
const clientCount = 3;

/** Bounds that are reached all the time. */
const crowd = { maxTasks: 20, maxStoredTasks: 12, maxClientTasks: 8 };

interface Part<T> {
  readonly process: SimulatedProcess;
  readonly instance: T;
}

interface NodePart extends Part<Node> {
  /** Who takes its place comes under the same name, as supervised ones do. */
  readonly name: string | undefined;
}

/** What users see of one run. */
export interface Report {
  readonly seed: number;
  readonly steps: number;
  readonly submitted: number;
  /** Runs that schedules made. */
  readonly scheduled: number;
  readonly acknowledged: number;
  readonly outcomes: { readonly [kind: string]: number };
  /** Runs of handlers, and what came of stops, starts and reloads. */
  readonly runs: number;
  readonly interventions: { readonly [kind: string]: number };
  readonly faults: { readonly [kind: string]: number };
}

export class World {
  readonly #seed: number;
  readonly #simulator: Simulator;
  readonly #history: History;
  readonly #network: Network;
  readonly #disk: Disk;
  #broker: Part<Broker> | undefined;
  #stopping: SimulatedProcess | undefined;
  #nodes: NodePart[] = [];
  #clients: ClientPart[] = [];
  #processes = 0;
  #isHealing = false;
  readonly #workload: Workload;
  readonly #timetable: Timetable;
  readonly #meddling: Meddling;
  readonly #hung = new Hung();
  readonly #locals = new Locals();
  readonly #faults: { [kind: string]: number } = {};
  /** Small bounds make a full queue. */
  readonly #isCrowded: boolean;

  constructor(seed: number) {
    this.#seed = seed;
    this.#simulator = new Simulator(seed);
    this.#history = new History(() => this.#simulator.now);
    this.#network = new Network(this.#simulator, {
      latency: () => this.#simulator.between(0.05, this.#simulator.chance(0.02) ? 300 : 5),
      refusalMs: () => this.#simulator.between(1, 50),
      observer: this.#history,
    });
    this.#timetable = new Timetable(this.#simulator, (message) => this.#history.fail(message));
    this.#disk = new Disk(this.#simulator, {
      onChange: (change, before) => {
        this.#history.onChange(change, before);
        if (before === undefined) this.#meddling.onChange(change);
      },
      onItem: (kind, value) => {
        if (kind === "schedule") this.#timetable.onStored(value);
      },
    });
    this.#history.watch(this.#disk);
    this.#isCrowded = this.#simulator.chance(0.2);
    this.#meddling = new Meddling(this.#simulator, this.#history);
    this.#workload = new Workload(
      ...([this.#simulator, this.#history, this.#meddling] as const),
      this.#simulator.chance(0.3),
    );
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
    for (let i = 0; i < nodeCount; i++)
      this.#startNode(this.#simulator.chance(0.5) ? `seat-${i}` : undefined);
    for (let i = 0; i < clientCount; i++) this.#startClient();
    this.#schedule(() => this.#workload.work(this.#simulator.pick(this.#clients)), 66);
    this.#schedule(() => void this.#timetable.keep(this.#simulator.pick(this.#clients).calls), 1_500);
    this.#schedule(() => this.#doHarm(), 900);
    let steps = 0;
    while (this.#simulator.elapsed < faultsMs) {
      await this.#simulator.step();
      this.#check(++steps);
    }
    this.#heal();
    while (this.#simulator.elapsed < faultsMs + recoveryMs && (steps % 10 !== 0 || !this.#isDone())) {
      await this.#simulator.step();
      this.#check(++steps);
    }
    for (const what of this.#missingLocals()) this.#history.fail(`its own task does not run on ${what}`);
    for (const what of this.#workload.open) this.#history.fail(`${what} came to no end`);
    this.#history.checkAcknowledged();
    this.#history.checkSettled();
    this.#history.interventions.checkAtEnd();
    this.#timetable.checkAtEnd(this.#simulator.now);
    this.#throwIfViolated();
    const { size: acknowledged } = this.#history.acknowledged;
    return {
      seed: this.#seed,
      steps,
      submitted: this.#workload.count,
      scheduled: this.#timetable.runs,
      acknowledged,
      outcomes: this.#workload.outcomes,
      runs: this.#history.runs.count,
      interventions: this.#history.interventions.outcomes,
      faults: this.#faults,
    };
  }

  #isDone(): boolean {
    if (this.#workload.open.length > 0 || this.#missingLocals().length > 0) return false;
    for (const id of this.#history.acknowledged) {
      if (!this.#history.isOver(id)) return false;
    }
    return true;
  }

  #missingLocals(): string[] {
    const isStopped = (id: string): boolean => this.#history.interventions.isTouched(id, "stop");
    return this.#locals.missing(
      this.#nodes.map(({ process }) => process),
      isStopped,
    );
  }

  #check(step: number): void {
    const waiting = this.#broker?.instance.counts.assignable ?? 0;
    if (waiting > 0) this.#history.fail(`${waiting} methods have tasks that wait while a node has room`);
    // Schedules make their runs whatever else there is: one each.
    const most = crowd.maxTasks + crowd.maxStoredTasks + scheduleCount;
    const { unsettled = 0 } = this.#broker?.instance.counts ?? {};
    if (this.#isCrowded && unsettled > most)
      this.#history.fail(`${unsettled} tasks are unsettled, of ${most}`);
    if (step % 25 === 0) this.#history.checkAcknowledged();
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
      stalledMs,
      ...(this.#isCrowded && crowd),
    });
    this.#broker = { process, instance: broker };
    this.#history.onBrokerStarted();
    broker.start().catch((error: unknown) => {
      if (process.isAlive) this.#history.fail(`the broker did not start: ${String(error)}`);
    });
  }

  #startNode(name?: string): void {
    const process = this.#process("node");
    const dispatcher = new Dispatcher();
    const kill = (): void => this.#killNode(process);
    const host = { simulator: this.#simulator, history: this.#history, process, kill };
    serve(dispatcher, host);
    this.#locals.add(process);
    const onLocal = (id: string): void => this.#meddling.onLocal(id);
    serveLong(dispatcher, { ...host, hung: this.#hung, locals: this.#locals, onLocal });
    const node = new Node({
      runtime: process,
      dial: this.#network.dialOf(process),
      dispatcher,
      slots: this.#simulator.pick([1, 2, 8]),
      ...(name !== undefined && { name }),
    });
    node.addBroker(endpoint);
    node.runLocal("local", [process.name]);
    this.#nodes.push({ process, instance: node, name });
    // The one before may seem to be there for a while: then it is tried again, as a supervisor does.
    node.start().catch((error: unknown) => {
      if (!(error instanceof NameTakenError)) this.#history.fail(`a node did not start: ${String(error)}`);
      this.#killNode(process);
    });
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

  /** Something goes wrong. */
  #doHarm(): void {
    const simulator = this.#simulator;
    const kind = simulator.pick(Object.keys(harms) as (keyof typeof harms)[]);
    this.#faults[kind] = (this.#faults[kind] ?? 0) + 1;
    const someNode = simulator.pick(this.#nodes).process;
    switch (kind) {
      case "broker killed":
        this.#killBroker();
        simulator.after(simulator.between(0, 3_000), () => this.#restartBroker());
        break;
      case "broker stopped":
        this.#stopBroker();
        break;
      case "node killed":
        this.#killNode(someNode);
        break;
      case "node drained":
        this.#drainNode(simulator.pick(this.#nodes));
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
    if (this.#broker !== undefined) this.#end(this.#broker.process);
    if (this.#stopping !== undefined) this.#end(this.#stopping);
  }

  /** The broker's process is gone. */
  #end(process: SimulatedProcess): void {
    if (this.#broker?.process === process) this.#broker = undefined;
    if (this.#stopping === process) this.#stopping = undefined;
    process.kill();
    this.#disk.onKilled(process);
    this.#network.cutOff(process, 20);
  }

  /** Ends in order, and is started again. */
  #stopBroker(): void {
    if (this.#broker === undefined) return;
    const { instance, process } = this.#broker;
    this.#broker = undefined;
    this.#stopping = process;
    const begin = this.#simulator.elapsed;
    void instance.stop().then(() => {
      if (!process.isAlive) return;
      const took = this.#simulator.elapsed - begin;
      if (took > mostStopMs) this.#history.fail(`the broker took ${took} ms to stop`);
      this.#end(process);
      this.#restartBroker();
    });
  }

  /** Ends in order, and another one comes. */
  #drainNode({ instance, process }: NodePart): void {
    this.#nodes = this.#nodes.filter((node) => node.process !== process);
    this.#startNode();
    void instance.stop().then(() => this.#killNode(process));
  }

  /** One at a time: the disk is locked by the one that is about to stop, too. */
  #restartBroker(): void {
    if (this.#broker === undefined && this.#stopping === undefined) this.#startBroker();
  }

  #killNode(process: SimulatedProcess): void {
    if (!process.isAlive) return;
    process.kill();
    this.#network.cutOff(process, 20);
    const gone = this.#nodes.find((node) => node.process === process);
    // One that was drained has a successor already.
    if (gone === undefined) return;
    this.#nodes = this.#nodes.filter((node) => node !== gone);
    this.#startNode(gone.name);
  }

  /** Nobody waits for its answers any more; what was acknowledged to it still counts. */
  #killClient(client: ClientPart): void {
    client.process.kill();
    this.#network.cutOff(client.process, 20);
    this.#workload.forget(client.process);
    this.#clients = this.#clients.filter((other) => other !== client);
    this.#startClient();
  }

  #heal(): void {
    this.#isHealing = true;
    this.#network.heal();
    this.#disk.heal();
    this.#hung.calm(this.#simulator, (node) => this.#killNode(node));
    // Seldom: a restart would also heal what the broker itself got wrong.
    const isBroken = this.#broker === undefined || this.#disk.hasFailed(this.#broker.process);
    if (!isBroken && !this.#simulator.chance(0.1)) return;
    this.#killBroker();
    this.#startBroker();
  }
}

const harms = {
  "broker killed": true,
  "broker stopped": true,
  "node drained": true,
  "node killed": true,
  "client killed": true,
  "connections cut": true,
  "half-open connections": true,
  partition: true,
  "node busy": true,
  "node stopped": true,
  "disk full": true,
} as const;

// A broker, nodes and clients in one process, over a network in memory, for the tests of those who use ZeroTask.
import { Broker, type BrokerOptions } from "zerotask-broker";
import { AsyncClient, Client, type ClientOptions } from "zerotask-client";
import {
  addModule,
  configureBy,
  Dispatcher,
  knownOptions,
  nonNegativeInteger,
  OptionError,
} from "zerotask-core";
import { Node, type NodeOptions, type NodeSetup } from "zerotask-node";
import { type Clock, VirtualClock } from "./clock.ts";
import { Network } from "./network.ts";
import { RealTime } from "./real-time.ts";
import { SimulatedProcess, type Timeline } from "./timeline.ts";
import { VirtualTime } from "./virtual-time.ts";

export interface TestClusterOptions {
  /**
   * A whole number: time is virtual then, and stands still until the test lets it pass by `cluster.clock`; and the same
   * seed gives the same run. @default real time
   */
  readonly seed?: number;
  /** How many nodes there are at first. @default 1 */
  readonly nodes?: number;
  /** Whose methods nodes and broker serve. @default Dispatcher.instance(), where `task(name, fn)` puts them */
  readonly dispatcher?: Dispatcher;
  /**
   * Modules (`import * as tasks from "./tasks.ts"`): their classes are served too, and each node is configured by their
   * `configure`. @default none
   */
  readonly modules?: readonly object[];
  /** Sets each node up before it starts: what is provided and used. */
  readonly configure?: (node: NodeSetup) => unknown;
  readonly broker?: BrokerOptions;
  /**
   * Options of each node. Where they say nothing of `isolate`, `modules` or `workers`, isolated methods run inline, in the
   * thread of the test.
   */
  readonly node?: NodeOptions;
}

export interface TestCluster {
  /** A new client, which is closed with the cluster: its calls reject with ClientClosedError then. */
  client<Methods = unknown>(options?: ClientOptions): Client<Methods>;
  /** A new client whose calls return handles; it is closed with the cluster. */
  later<Methods = unknown>(options?: ClientOptions): AsyncClient<Methods>;
  readonly broker: Broker;
  /** Those that live, in the order in which they were added. */
  readonly nodes: readonly Node[];
  /**
   * Starts one more node, with these options before those of `node`, and resolves when the broker knows it. Rejects once the
   * cluster is closed.
   */
  addNode(options?: NodeOptions): Promise<Node>;
  /**
   * A node is gone at once, as by a crash of its process: nobody hears from it any more, and its tasks go to others. What its
   * handlers do in this process goes on, though: their signals don't fire, and no outcome of theirs counts.
   * @param which a node, or its place among `nodes`. @default 0
   * @throws OptionError where there is none
   */
  killNode(which?: number | Node): void;
  /** Closes the clients, stops the nodes and the broker. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface VirtualTestCluster extends TestCluster {
  readonly clock: Clock;
}

const endpoint = "tcp://in-process:5555";
const optionNames = ["seed", "nodes", "dispatcher", "modules", "configure", "broker", "node"];

/** What only shows that somebody is there keeps time from passing in long strides. */
const virtualHeartbeatMs = 600_000;
const mostDetours = 1;

export function testCluster(options: TestClusterOptions & { seed: number }): Promise<VirtualTestCluster>;
/**
 * Starts a broker with its store in memory, and nodes that have connected to it.
 * @throws OptionError for an option that is unknown or out of range; Error when a node's resources can't be opened
 */
export function testCluster(options?: TestClusterOptions): Promise<TestCluster>;
export async function testCluster(options: TestClusterOptions = {}): Promise<TestCluster> {
  knownOptions("test cluster", options, optionNames);
  const { seed, nodes = 1, modules = [], dispatcher = Dispatcher.instance() } = options;
  if (seed !== undefined && !Number.isSafeInteger(seed)) throw new OptionError("seed", "an integer", seed);
  if (!Array.isArray(modules)) throw new OptionError("modules", "an array of modules", modules);
  checkParts(options, dispatcher);
  const count = nonNegativeInteger("nodes", nodes);
  for (const module of modules) addOnce(module, dispatcher);
  const cluster =
    seed === undefined ? new Cluster(options, dispatcher) : virtualCluster(options, dispatcher, seed);
  try {
    await cluster.broker.start();
    for (let i = 0; i < count; i++) await cluster.addNode();
  } catch (error) {
    await cluster.close();
    throw error;
  }
  return faceOf(cluster);
}

function checkParts({ configure, broker, node }: TestClusterOptions, dispatcher: unknown): void {
  if (!(dispatcher instanceof Dispatcher)) throw new OptionError("dispatcher", "a Dispatcher", dispatcher);
  if (configure !== undefined && typeof configure !== "function") {
    throw new OptionError("configure", "a function", configure);
  }
  for (const [name, options] of [
    ["broker", broker],
    ["node", node],
  ] as const) {
    const isObject = typeof options === "object" && options !== null;
    if (options !== undefined && !isObject) throw new OptionError(name, `an object of options`, options);
  }
}

/** What users hold: its functions can be taken out of it. */
function faceOf(cluster: Cluster): TestCluster {
  const { broker, clock } = cluster;
  const close = (): Promise<void> => cluster.close();
  return {
    client: (options) => cluster.client(options),
    later: (options) => cluster.later(options),
    broker,
    get nodes() {
      return cluster.nodes;
    },
    addNode: (options) => cluster.addNode(options),
    killNode: (which) => cluster.killNode(which),
    ...(clock !== undefined && { clock }),
    close,
    [Symbol.asyncDispose]: close,
  };
}

function virtualCluster(options: TestClusterOptions, dispatcher: Dispatcher, seed: number): Cluster {
  const time = new VirtualTime(seed);
  return new Cluster(options, dispatcher, { time, clock: new VirtualClock(time) });
}

/** Modules are imported once for many tests: their classes are served by a dispatcher once. */
const added = new WeakMap<Dispatcher, WeakSet<object>>();

function addOnce(module: object, dispatcher: Dispatcher): void {
  if (typeof module !== "object" || module === null) {
    throw new OptionError("modules", 'what `import * as tasks from "./tasks.ts"` gives', module);
  }
  const known = added.get(dispatcher) ?? new WeakSet();
  added.set(dispatcher, known);
  if (known.has(module)) return;
  known.add(module);
  addModule(module, dispatcher);
}

interface Virtual {
  readonly time: VirtualTime;
  readonly clock: VirtualClock;
}

interface Closable {
  $close(): Promise<void>;
}

class Cluster {
  readonly broker: Broker;
  readonly clock: VirtualClock | undefined;
  readonly #options: TestClusterOptions;
  readonly #dispatcher: Dispatcher;
  readonly #time: Timeline;
  readonly #realTime = new RealTime();
  readonly #network: Network;
  readonly #nodes = new Map<Node, SimulatedProcess>();
  /** Those that no broker knows so far: where the cluster is closed meanwhile, none ever will. */
  readonly #starting = new Set<Node>();
  readonly #clients: Closable[] = [];
  #processes = 0;
  #closing: Promise<void> | undefined;

  constructor(options: TestClusterOptions, dispatcher: Dispatcher, virtual?: Virtual) {
    this.#options = options;
    this.#dispatcher = dispatcher;
    this.#time = virtual?.time ?? this.#realTime;
    this.clock = virtual?.clock;
    // No time passes on the way, so that what is due in 2 hours has ended when 2 hours have passed.
    this.#network = new Network(this.#time, {
      latency: () => 0,
      refusalMs: () => 1,
      detours: () => (virtual === undefined ? 0 : Math.floor(virtual.time.random() * (mostDetours + 1))),
    });
    const process = this.#process("broker");
    this.broker = new Broker({
      ...(virtual !== undefined && {
        heartbeatMs: virtualHeartbeatMs,
        stalledMs: 10 * virtualHeartbeatMs,
        graceMs: 0,
      }),
      dispatcher,
      ...options.broker,
      runtime: process,
      transport: this.#network.transportOf(process),
    });
  }

  get nodes(): readonly Node[] {
    return [...this.#nodes.keys()];
  }

  client<Methods>(options: ClientOptions = {}): Client<Methods> {
    const client = new Client<Methods>(endpoint, this.#clientOptions(options));
    return this.#kept(client);
  }

  later<Methods>(options: ClientOptions = {}): AsyncClient<Methods> {
    const client = new AsyncClient<Methods>(endpoint, { closeTimeoutMs: 0, ...this.#clientOptions(options) });
    return this.#kept(client);
  }

  async addNode(options: NodeOptions = {}): Promise<Node> {
    this.#checkOpen();
    const process = this.#process("node");
    const asked = { ...this.#options.node, ...options };
    const node = new Node({
      dispatcher: this.#dispatcher,
      drainMs: 0,
      ...(!isIsolating(asked) && { workers: 0 }),
      ...asked,
      runtime: process,
      dial: this.#network.dialOf(process),
      listen: this.#network.listenOf(process),
    });
    this.#starting.add(node);
    try {
      await this.#start(node);
      this.#nodes.set(node, process);
    } finally {
      this.#starting.delete(node);
    }
    this.#checkOpen();
    return node;
  }

  async #start(node: Node): Promise<void> {
    node.addBroker(endpoint);
    for (const module of this.#options.modules ?? []) await configureBy(module, node);
    await this.#options.configure?.(node);
    this.#checkOpen();
    await node.start();
  }

  #checkOpen(): void {
    if (this.#closing === undefined) return;
    throw new Error("Expected a cluster that is open, got one that was closed");
  }

  killNode(which: number | Node = 0): void {
    const node = typeof which === "number" ? this.nodes[which] : which;
    const process = node && this.#nodes.get(node);
    if (node === undefined || process === undefined) {
      throw new OptionError("which", `a node of this cluster, or its place below ${this.#nodes.size}`, which);
    }
    this.#nodes.delete(node);
    process.kill();
    this.#realTime.forget(process);
    this.#network.cutOff(process, 0);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const closed = this.#stopAll();
    if (this.clock !== undefined) await passUntil(closed, this.clock);
    await closed;
    this.clock?.end();
    this.#realTime.end();
  }

  async #stopAll(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.$close()));
    await Promise.all([...this.#starting, ...this.nodes].map((node) => node.stop()));
    await this.broker.stop();
  }

  /** What a client is asked that came too late is refused at once. */
  #kept<C extends Closable>(client: C): C {
    if (this.#closing === undefined) this.#clients.push(client);
    else void client.$close();
    return client;
  }

  #clientOptions(options: ClientOptions): ClientOptions {
    const process = this.#process("client");
    return {
      ...(this.clock !== undefined && { keepAliveMs: virtualHeartbeatMs }),
      ...options,
      runtime: process,
      dial: this.#network.dialOf(process),
      listen: this.#network.listenOf(process),
    };
  }

  #process(kind: string): SimulatedProcess {
    return new SimulatedProcess(this.#time, `${kind}${++this.#processes}`);
  }
}

/** Workers load modules from files: whoever wants them has to say which. */
function isIsolating({ isolate, modules, workers }: NodeOptions): boolean {
  return isolate !== undefined || modules !== undefined || workers !== undefined;
}

/** A node that drains may wait for its time, and so would the test. */
async function passUntil(closed: Promise<void>, clock: Clock): Promise<void> {
  let isClosed = false;
  const close = (): void => {
    isClosed = true;
  };
  closed.then(close, close);
  for (;;) {
    // What takes real time, as the end of a connection, comes first.
    await new Promise((resolve) => genuineTimeout(resolve, 1));
    if (isClosed) return;
    await clock.advance(10);
  }
}

// Also where a test has put its own clock in place of the timers.
const genuineTimeout = setTimeout;

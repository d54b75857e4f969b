// Where each method of a node runs: in its own thread, or in one of its pools. They are planned once, when it starts.
import {
  type BatchRule,
  type Dispatcher,
  type Isolation,
  isBrokerTask,
  OptionError,
  type Params,
  type Runtime,
} from "zerotask-core";
import type { Run } from "../run.ts";
import type { Done, Executor } from "./executor.ts";
import { InlineExecutor } from "./inline.ts";
import { Pool } from "./pool.ts";
import type { PoolHost } from "./pool-host.ts";
import { startProcess } from "./process-worker.ts";
import { startThread } from "./thread-worker.ts";

export interface ExecutorsOptions {
  readonly dispatcher: Dispatcher;
  readonly runtime: Runtime;
  /** For methods that don't say otherwise. */
  readonly isolate: Isolation;
  readonly maxMemoryMb: number | undefined;
  readonly workers: number;
  readonly modules: readonly string[];
  readonly captureConsole: boolean;
}

/** The slots of a pool, which brokers count apart. */
export interface PoolRoom {
  readonly name: string;
  readonly slots: number;
  readonly methods: readonly string[];
}

interface Plan {
  readonly kind: "thread" | "process";
  readonly maxMemoryMb: number | undefined;
  readonly methods: Map<string, BatchRule | undefined>;
}

const starters = { thread: startThread, process: startProcess };

export class Executors implements Executor {
  readonly #options: ExecutorsOptions;
  readonly #inline: InlineExecutor;
  /** By the names of their rooms. */
  readonly #pools = new Map<string, Pool>();
  readonly #roomOfMethod = new Map<string, string>();

  constructor(options: ExecutorsOptions) {
    this.#options = options;
    this.#inline = new InlineExecutor(options.dispatcher, options.runtime);
  }

  /**
   * Makes the pools that the methods ask for; `open` starts them.
   * @throws OptionError when there are any, but no modules for them
   */
  plan(host: PoolHost): PoolRoom[] {
    const { workers, modules, captureConsole } = this.#options;
    const rooms: PoolRoom[] = [];
    if (workers === 0) return rooms;
    for (const [key, { kind, maxMemoryMb, methods }] of this.#plans()) {
      const names = [...methods.keys()];
      if (modules.length === 0) {
        const expected = `paths of the modules that serve ${names.join(", ")}, for isolated workers to load`;
        throw new OptionError("modules", expected, modules);
      }
      const startWorker = starters[kind];
      const own = roomsOf(key, workers, methods);
      const options = {
        ...{ kind, startWorker, workers, maxMemoryMb, modules, captureConsole, methods },
        rooms: own.map(({ name }) => name),
      };
      const pool = new Pool(options, host);
      for (const room of own) {
        this.#pools.set(room.name, pool);
        for (const method of room.methods) this.#roomOfMethod.set(method, room.name);
      }
      rooms.push(...own);
    }
    return rooms;
  }

  /** Starts the workers. @throws Error when they can't be started */
  async open(): Promise<void> {
    await Promise.all(this.#distinct().map((pool) => pool.open()));
  }

  /** The pool of a method; nothing for those that run in the node's own thread. */
  roomOf(method: string): string | undefined {
    return this.#pools.size === 0 ? undefined : this.#roomOfMethod.get(method);
  }

  start(run: Run, done: Done): void {
    this.#of(run).start(run, done);
  }

  abort(run: Run): void {
    this.#of(run).abort(run);
  }

  kill(run: Run): boolean {
    return this.#of(run).kill(run);
  }

  recall(run: Run): void {
    this.#of(run).recall(run);
  }

  onStream(run: Run, method: string, params: Params | undefined): void {
    this.#of(run).onStream(run, method, params);
  }

  resumeStreams(run: Run): void {
    this.#of(run).resumeStreams(run);
  }

  flush(): void {
    this.#inline.flush();
    for (const pool of this.#distinct()) pool.flush();
  }

  async end(): Promise<void> {
    await Promise.all(this.#distinct().map((pool) => pool.end()));
  }

  async close(): Promise<void> {
    await Promise.all(this.#distinct().map((pool) => pool.close()));
  }

  #distinct(): Pool[] {
    return [...new Set(this.#pools.values())];
  }

  #of({ room }: Run): Executor {
    return room === undefined ? this.#inline : (this.#pools.get(room) ?? this.#inline);
  }

  /** One pool for each kind of worker: of threads or processes, with so much memory. */
  #plans(): Map<string, Plan> {
    const { dispatcher } = this.#options;
    const plans = new Map<string, Plan>();
    for (const { name, batch } of dispatcher.methods()) {
      if (isBrokerTask(name)) continue;
      const own = dispatcher.isolationOf(name);
      const kind = own.isolate ?? this.#options.isolate;
      if (kind === "none") continue;
      const maxMemoryMb = own.maxMemoryMb ?? this.#options.maxMemoryMb;
      const key = maxMemoryMb === undefined ? kind : `${kind}-${maxMemoryMb}`;
      const plan = plans.get(key) ?? { kind, maxMemoryMb, methods: new Map() };
      plans.set(key, plan);
      plan.methods.set(name, batch);
    }
    return plans;
  }
}

/**
 * A run of a batch takes up as many slots as it has tasks. Methods with batches of other sizes share the workers, but no
 * slots: a node must not take many tasks that run one by one since there is room for many of a batch.
 */
function roomsOf(
  key: string,
  workers: number,
  methods: ReadonlyMap<string, BatchRule | undefined>,
): PoolRoom[] {
  const bySize = new Map<number, string[]>();
  for (const [method, rule] of methods) {
    const size = rule?.max ?? 1;
    bySize.set(size, [...(bySize.get(size) ?? []), method]);
  }
  return Array.from(bySize, ([size, names]) => ({
    name: size === 1 ? key : `${key}, ${size} at once`,
    slots: workers * size,
    methods: names,
  }));
}

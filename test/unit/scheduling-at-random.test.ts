// Everything at once, at random: whatever comes, fails, leaves and comes back, no rule of order is broken, every
// task ends, and nothing is left.
import fc from "fast-check";
import { expect, it } from "vitest";
import type { Effect } from "../../packages/broker/src/state/effect.ts";
import { answer, call, type Machine, type MachineOptions, machine } from "../support/broker-machine.ts";
import { ask, begun, failed, stop, submit } from "../support/scheduled.ts";

const methods = [
  { name: "plain" },
  { name: "limited", concurrency: 2, per_group: { concurrency: 1 }, rate: "20/s" },
  { name: "one", singleton: { by: "method", mode: "queue" } },
  { name: "stopped", singleton: { by: "method", mode: "stop" } },
  { name: "named", singleton: { by: "params", mode: "queue" } },
  { name: "equal", coalesce: true },
  { name: "collected", batch: { max: 3, wait_ms: 5 } },
];
const nodes = ["n", "m"];

const step = fc.oneof(
  {
    weight: 14,
    arbitrary: fc.record({
      what: fc.constantFrom("submit" as const, "submit" as const, "call" as const),
      method: fc.constantFrom(...methods.map(({ name }) => name)),
      param: fc.constantFrom("a", "b"),
      group: fc.constantFrom(undefined, "g", "h"),
      priority: fc.constantFrom(undefined, 1, 3),
      delay: fc.constantFrom(undefined, 0, 50, 3_000),
      batch: fc.constantFrom(undefined, undefined, true),
      expires: fc.constantFrom(undefined, undefined, 200),
      retries: fc.constantFrom(0, 2),
      memory: fc.boolean(),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ what: fc.constant("answer" as const), which: fc.nat(), how: fc.nat(9) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ what: fc.constant("pass" as const), ms: fc.constantFrom(1, 40, 500, 6_000) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ what: fc.constant("lose" as const), node: fc.constantFrom(...nodes) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ what: fc.constant("come" as const), node: fc.constantFrom(...nodes) }),
  },
  { weight: 1, arbitrary: fc.record({ what: fc.constant("stop" as const), which: fc.nat() }) },
  {
    weight: 1,
    arbitrary: fc.record({ what: fc.constantFrom("hold" as const, "release" as const, "restart" as const) }),
  },
);

type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

interface Run {
  readonly node: string;
  readonly method: string;
  readonly param: string;
}

class World {
  readonly options: MachineOptions = { hasDisk: true, redeliveries: 1_000, maxResults: 100_000 };
  broker: Machine = this.#start({});
  readonly submitted = new Map<string, { readonly isBatch: boolean; readonly level: "memory" | "disk" }>();
  readonly here = new Set<string>();
  readonly running = new Map<string, Run>();
  now = 1_000;
  #number = 0;
  #lostMemory = false;

  #start(more: MachineOptions): Machine {
    const broker = machine({ ...this.options, ...more });
    broker.client("c");
    return broker;
  }

  do(step: Step): void {
    switch (step.what) {
      case "submit":
      case "call":
        this.#ask(step);
        break;
      case "answer":
        this.#answer(step.which, step.how);
        break;
      case "pass":
        this.pass(step.ms);
        break;
      case "lose":
        this.#lose(step.node);
        break;
      case "come":
        this.come(step.node);
        break;
      case "stop": {
        const ids = [...this.submitted.keys()];
        if (ids.length > 0) this.look(this.broker.from("c", stop(ids[step.which % ids.length] as string)));
        break;
      }
      case "hold":
        this.broker.holdStores();
        break;
      case "release":
        this.look(this.broker.storeAll());
        break;
      case "restart":
        this.#restart();
    }
  }

  #ask(step: Extract<Step, { what: "submit" | "call" }>): void {
    const { what, method, param, group, priority, delay, batch, expires, retries, memory } = step;
    const id = String(++this.#number);
    const options = {
      ...{ method, params: [param], retries, backoff: { initial_ms: 100, jitter: 0 } },
      ...(group !== undefined && { group }),
      ...(priority !== undefined && { priority }),
      ...(delay !== undefined && { delay_ms: delay }),
      ...(expires !== undefined && { expires_ms: expires }),
    };
    if (what === "call") {
      this.look(this.broker.from("c", ask(id, options)));
      return;
    }
    const isBatch = batch !== undefined && !["one", "stopped", "named"].includes(method);
    const more = { ...(isBatch && { batch }), ...(memory && { durability: "memory" }) };
    this.submitted.set(`c-${id}`, { isBatch, level: memory && !isBatch ? "memory" : "disk" });
    this.look(this.broker.from("c", submit(id, { ...options, ...more })));
  }

  #answer(which: number, how: number): void {
    const ids = [...this.running.keys()];
    const id = ids[which % Math.max(1, ids.length)];
    const run = id === undefined ? undefined : this.running.get(id);
    if (id === undefined || run === undefined) return;
    this.running.delete(id);
    const message = how === 0 ? failed(id) : how === 1 ? failed(id, -32001, { delay_ms: 70 }) : answer(id, 0);
    this.look(this.broker.from(run.node, message));
  }

  pass(ms: number): void {
    this.now += ms;
    this.look(this.broker.after(ms));
  }

  #lose(node: string): void {
    if (!this.here.delete(node)) return;
    for (const [id, run] of this.running) if (run.node === node) this.running.delete(id);
    this.look(this.broker.lost(node));
  }

  come(node: string): void {
    if (this.here.has(node)) return;
    this.here.add(node);
    this.look(this.broker.node(node, methods, 4));
  }

  /** The nodes go on with what they run, as far as they may. */
  #restart(): void {
    this.look(this.broker.storeAll());
    const { disk } = this.broker.stores;
    this.#lostMemory = true;
    const { memory } = machine().stores;
    this.broker = this.#start({ stores: { disk, memory }, startAt: this.now });
    for (const node of this.here) {
      const running = [...this.running].filter(([, run]) => run.node === node).map(([id]) => id);
      const effects = this.broker.node(node, methods, 4, { running });
      for (const effect of effects) {
        const { result } = (effect as { message?: { result?: { abort?: string[] } } }).message ?? {};
        for (const id of result?.abort ?? []) this.running.delete(id);
      }
      this.look(effects);
    }
  }

  look(effects: readonly Effect[]): void {
    const later: Effect[] = [];
    for (const effect of effects) {
      if (effect.type !== "send" || !nodes.includes(effect.peer)) continue;
      const message = effect.message as {
        method?: string;
        id?: string;
        params?: { id?: string; params?: string[] };
      };
      if (message.method === "zerotask.node.task_abort") this.running.delete(message.params?.id ?? "");
      else if (message.method === "zerotask.node.name_instance") {
        const name = message.params?.params?.[0];
        later.push(...this.broker.from(effect.peer, answer(message.id ?? "", { name })));
      } else if (begun([effect]).length > 0) {
        const [param = ""] = message.params as unknown as string[];
        this.running.set(message.id ?? "", { node: effect.peer, method: message.method ?? "", param });
      }
    }
    if (later.length > 0) this.look(later);
    else this.#check();
  }

  #check(): void {
    const runs = [...this.running.values()];
    const count = (condition: (run: Run) => boolean): number => runs.filter(condition).length;
    expect(count(({ method }) => method === "limited")).toBeLessThanOrEqual(2);
    for (const name of ["one", "stopped"]) {
      expect(
        count(({ method }) => method === name),
        name,
      ).toBeLessThanOrEqual(1);
    }
    for (const name of ["a", "b"]) {
      const isSame = ({ method, param }: Run): boolean => method === "named" && param === name;
      expect(count(isSame), name).toBeLessThanOrEqual(1);
    }
    const tasks = [...this.running.keys()].map((id) => id.slice(0, id.indexOf("#")));
    expect(new Set(tasks).size).toBe(tasks.length);
    const batches = [...this.running].flatMap(([id, { method, param }]) => {
      const task = this.submitted.get(id.slice(0, id.indexOf("#")));
      return task?.isBatch === true ? [`${method} ${param}`] : [];
    });
    expect(new Set(batches).size).toBe(batches.length);
    for (const node of nodes) expect(count((run) => run.node === node)).toBeLessThanOrEqual(4);
    expect(this.broker.counts.assignable).toBe(0);
  }

  /** Lets everything end. */
  finish(): void {
    this.look(this.broker.storeAll());
    for (const node of nodes) this.come(node);
    for (let i = 0; i < 2_000; i++) {
      this.pass(100);
      for (const [id, { node }] of [...this.running]) {
        if (!this.running.delete(id)) continue;
        this.look(this.broker.from(node, answer(id, 0)));
      }
      if (i > 60 && this.broker.counts.unsettled === 0) break;
    }
    this.broker.from("c", call("zerotask.broker.client_ack", "ack", [100_000]));
    expect(this.broker.counts).toMatchObject({ tasks: 0, unsettled: 0, assignable: 0 });
    for (const [id, { level }] of this.submitted) {
      if (level === "memory" && this.#lostMemory) continue;
      const [task] = this.broker.stores[level].get([id]);
      // A submission that joined a batch made no task of its own.
      if (task !== undefined) expect(task.settledAt, id).toBeDefined();
    }
  }
}

it("whatever happens, every rule of order holds, every task ends, and nothing is left", {
  timeout: 60_000,
}, () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 5, maxLength: 120, size: "max" }), (steps) => {
      const world = new World();
      for (const node of nodes) world.come(node);
      for (const one of steps) world.do(one);
      world.finish();
    }),
    { numRuns: 100 },
  );
});

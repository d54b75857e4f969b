// Stops, starts and reloads at random, while nodes, connections, stores and brokers come and go: no two runs of a task
// go on at once, what is answered is so, every request gets its answer, and everything ends.
// `RUNS=5000 npx vitest run --testTimeout 600000 test/unit/stops-at-random.test.ts` looks for what is rare.
import fc from "fast-check";
import { expect, it } from "vitest";
import { isReservedMethod, isSettled, type TaskStatus } from "zerotask-core";
import type { Effect } from "../../packages/broker/src/state/effect.ts";
import { answer, call, type Machine, type MachineOptions, machine } from "../support/broker-machine.ts";
import { methods, nodes, type Step, step } from "../support/random-stops.ts";

interface Run {
  readonly node: string;
  /** Nobody waits for its end. */
  isAborted: boolean;
  /** It was told to end. */
  isStopping: boolean;
}

interface Asked {
  readonly message: object;
  readonly taskId: string;
  readonly method: string;
  /** How a stop was answered. */
  how?: string;
}

interface Sent {
  readonly id?: string;
  readonly method?: string;
  readonly params?: { readonly id: string; readonly params: readonly unknown[] };
  readonly result?: {
    readonly how?: string;
    readonly status: TaskStatus;
    readonly abort?: readonly string[];
  };
}

const taskOf = (attemptId: string): string => attemptId.slice(0, attemptId.lastIndexOf("#"));
const isQuiet = (how: string): boolean => ["cooperative", "killed", "never-started"].includes(how);

class World {
  readonly #options: MachineOptions = {
    hasDisk: true,
    redeliveries: 1_000,
    maxResults: 100_000,
    maxWaiters: 1_000,
  };
  #broker: Machine = machine(this.#options);
  #now = 1_000;
  /** Connections, the client's and those of the nodes that are there. */
  #connections = 0;
  #client = "";
  readonly #here = new Map<string, { readonly peer: string; isWelcome: boolean }>();
  readonly #gone = new Set<string>();
  /** What goes on, by attempt. */
  readonly #running = new Map<string, Run>();
  /** What was asked for, and not answered. */
  readonly #asked = new Map<string, Asked>();
  readonly #names: { readonly peer: string; readonly id: string; readonly name: string }[] = [];
  readonly #tasks: string[] = [];
  /** What was wanted last of each task's run, as long as nothing was sent again: then that may come between. */
  readonly #last = new Map<string, Asked>();
  #requests = 0;
  #sentAgain = 0;

  constructor() {
    this.#connectClient();
    this.#come("n");
  }

  do(one: Step): void {
    switch (one.what) {
      case "submit":
        this.#submit(one);
        break;
      case "answer":
        this.#answer(one);
        break;
      case "name":
        this.#name(one.which);
        break;
      case "pass":
        this.#pass(one.ms);
        break;
      case "die":
        this.#die(one.node);
        break;
      case "come":
        this.#come(one.node);
        break;
      case "cut client":
        this.#look(this.#broker.lost(this.#client));
        this.#connectClient();
        break;
      case "hold":
        this.#broker.holdStores();
        break;
      case "release":
        this.#look(this.#broker.storeAll());
        break;
      case "restart":
        this.#restart();
        break;
      default:
        this.#ask(one.what, one.which, one.more);
    }
    this.#noticeLost();
    expect(this.#broker.counts.assignable).toBe(0);
  }

  #submit({ method, param, options }: Extract<Step, { what: "submit" }>): void {
    const id = `t${this.#tasks.length}`;
    this.#tasks.push(`c-${id}`);
    const backoff = { initial_ms: 10, jitter: 0 };
    const params = { method, params: [param], task_id: id, options: { ...given(options), backoff } };
    this.#request("client_new_task", `c-${id}`, params);
  }

  #ask(what: string, back: number, more: object): void {
    const recent = this.#tasks.slice(-6);
    const all = back < 6 ? recent : this.#tasks;
    const id = all[back % Math.max(1, all.length)];
    if (id !== undefined) this.#request(what, id, { task_id: id, ...given(more) });
  }

  #request(method: string, taskId: string, params: object): void {
    const id = `q${++this.#requests}`;
    const message = call(`zerotask.broker.${method}`, id, params);
    const asked = { message, taskId, method };
    this.#asked.set(id, asked);
    if (method !== "client_task_wait" && this.#sentAgain === 0) this.#last.set(taskId, asked);
    this.#look(this.#broker.from(this.#client, message));
  }

  /** A node tells of one of its runs. */
  #answer({ which, how, end }: Extract<Step, { what: "answer" }>): void {
    const [id, run] = [...this.#running][which % Math.max(1, this.#running.size)] ?? [];
    const node = run && this.#here.get(run.node);
    if (id === undefined || run === undefined || node?.isWelcome !== true) return;
    const tell = (message: object): void => this.#look(this.#broker.from(node.peer, message));
    const settle = (message: object): void => {
      this.#running.delete(id);
      tell(message);
    };
    const report = (method: string, params: object): void =>
      tell(call(`zerotask.broker.${method}`, "r", params));
    if (run.isAborted) settle(ended(id, "cooperative"));
    else if (run.isStopping && end !== undefined) settle(ended(id, end));
    else if (run.isStopping && how === "unstoppable") report("node_task_unstoppable", { task_id: id });
    else if (how === "result") settle(answer(id, 1));
    else if (how === "failure") settle(failed(id, -32000));
    else if (how === "again") settle(failed(id, -32011, { delay_ms: 10 }));
    else if (how === "hand-back" && !run.isStopping) {
      this.#running.delete(id);
      report("node_task_status", { task_id: id, status: "QUEUED" });
      report("node_fetch", { capacity: 3 });
    } else report("node_task_status", { task_id: id, status: "RUNNING" });
  }

  #name(which: number): void {
    const [asked] = this.#names.splice(which % Math.max(1, this.#names.length), 1);
    const isHere = [...this.#here.values()].some(({ peer }) => peer === asked?.peer);
    if (asked !== undefined && isHere)
      this.#look(this.#broker.from(asked.peer, answer(asked.id, { name: asked.name })));
  }

  #pass(ms: number): void {
    this.#now += ms;
    this.#look(this.#broker.after(ms));
  }

  #connectClient(): void {
    this.#client = `c${++this.#connections}`;
    const params = { protocol: 2, client_id: "c", token: "c's" };
    this.#look(this.#broker.from(this.#client, call("zerotask.broker.client_connect", "hi", params)));
    for (const { message } of [...this.#asked.values()]) {
      this.#sentAgain++;
      this.#last.clear();
      this.#look(this.#broker.from(this.#client, message));
    }
  }

  /** It comes for the first time, or on another connection, with what it runs. */
  #come(node: string): void {
    const peer = `${node}${++this.#connections}`;
    this.#here.set(node, { peer, isWelcome: false });
    const running = [...this.#running]
      .filter(([, run]) => run.node === node && !run.isAborted)
      .map(([id]) => id);
    const params = { protocol: 2, node_id: node, token: `${node}'s`, methods, slots: 3, running };
    this.#look(this.#broker.from(peer, call("zerotask.broker.node_connect", "hi", params)));
  }

  #die(node: string): void {
    const here = this.#here.get(node);
    if (here === undefined) return;
    this.#here.delete(node);
    this.#gone.add(here.peer);
    for (const [id, run] of this.#running) if (run.node === node) this.#running.delete(id);
    this.#look(this.#broker.lost(here.peer));
  }

  /** What was in memory only is gone; nodes go on with what they run, as far as they may. */
  #restart(): void {
    this.#now++;
    const stores = { disk: this.#broker.stores.disk, memory: machine().stores.memory };
    this.#broker = machine({ ...this.#options, stores, startAt: this.#now });
    this.#names.length = 0;
    this.#connectClient();
    for (const node of [...this.#here.keys()]) this.#come(node);
  }

  #look(effects: readonly Effect[]): void {
    for (const effect of effects) {
      if (effect.type !== "send" && effect.type !== "reply") continue;
      const message = effect.message as Sent;
      const [node, here] = [...this.#here].find(([, { peer }]) => peer === effect.peer) ?? [];
      if (here !== undefined && node !== undefined) this.#lookAsNode(node, here, message);
      else if (effect.peer === this.#client) this.#lookAsClient(message);
      // It is found to be gone by sending to it.
      else if (nodes.some((name) => effect.peer.startsWith(name))) this.#gone.add(effect.peer);
    }
  }

  #lookAsNode(node: string, here: { readonly peer: string; isWelcome: boolean }, message: Sent): void {
    const { id = "", method, params, result } = message;
    if (method === "zerotask.node.name_instance") {
      this.#names.push({ peer: here.peer, id, name: String(params?.params[0]) });
    } else if (method === "zerotask.node.task_abort") this.#mark(params?.id, { isAborted: true });
    else if (method === "zerotask.node.task_stop") this.#mark(params?.id, { isStopping: true });
    else if (method === undefined && id === "hi") {
      here.isWelcome = true;
      for (const aborted of result?.abort ?? []) this.#mark(aborted, { isAborted: true });
    } else if (method !== undefined && !isReservedMethod(method)) {
      expect(this.#goingOn(taskOf(id)), `beside ${id}`).toEqual([]);
      this.#running.set(id, { node, isAborted: false, isStopping: false });
    }
  }

  #mark(id: string | undefined, change: Partial<Run>): void {
    Object.assign(this.#running.get(id ?? "") ?? {}, change);
  }

  /** Runs of a task that nobody has told to end. */
  #goingOn(taskId: string): string[] {
    const all = [...this.#running].filter(([id]) => taskOf(id) === taskId);
    return all.filter(([, { isAborted, isStopping }]) => !isAborted && !isStopping).map(([id]) => id);
  }

  #lookAsClient({ id = "", method, result }: Sent): void {
    if (method !== undefined || id === "hi") return;
    const asked = this.#asked.get(id);
    expect(asked, `asked for by ${id}`).toBeDefined();
    this.#asked.delete(id);
    if (asked === undefined || typeof result?.how !== "string") return;
    const { how, status } = result;
    asked.how = how;
    if (isQuiet(how)) {
      expect(status).toBe("STOPPED");
      expect(this.#goingOn(asked.taskId), `${how}, as ${id} was answered`).toEqual([]);
    }
    if (how === "finished-first") expect(isSettled(status) && status !== "STOPPED").toBe(true);
    const isWanted = [...this.#asked.values()].some(({ taskId }) => taskId === asked.taskId);
    if (isSettled(status) && !isWanted) this.#checkStored(asked.taskId);
  }

  #checkStored(taskId: string): void {
    const { disk, memory } = this.#broker.stores;
    const [task] = [...disk.get([taskId]), ...memory.get([taskId])];
    if (task !== undefined) expect(isSettled(task.status), `${taskId} is ${task.status}`).toBe(true);
  }

  #noticeLost(): void {
    for (const peer of this.#gone) {
      this.#gone.delete(peer);
      this.#look(this.#broker.lost(peer));
    }
  }

  /** Lets everything end: stores answer, nodes are there, and their runs end. */
  finish(): void {
    this.#look(this.#broker.storeAll());
    for (const node of nodes) if (!this.#here.has(node)) this.#come(node);
    for (let i = 0; i < 300 && (i < 20 || !this.#isOver); i++) {
      while (this.#names.length > 0) this.#name(0);
      for (const id of [...this.#running.keys()]) this.#end(id);
      this.#pass(1_000);
      this.#noticeLost();
    }
    expect([...this.#asked.values()], "asked for, and not answered").toEqual([]);
    expect(this.#broker.counts).toMatchObject({ unsettled: 0, waiters: 0, tasks: 0 });
    for (const id of this.#tasks) this.#checkStored(id);
    for (const { taskId, how } of this.#last.values()) {
      if (how === undefined || !isQuiet(how)) continue;
      const [stored] = this.#broker.stores.disk.get([taskId]);
      if (stored !== undefined) expect(stored.status, `${taskId}, stopped last: ${how}`).toBe("STOPPED");
    }
  }

  #end(id: string): void {
    const run = this.#running.get(id);
    const node = run && this.#here.get(run.node);
    if (run === undefined || node?.isWelcome !== true) return;
    this.#running.delete(id);
    const isToEnd = run.isStopping || run.isAborted;
    this.#look(this.#broker.from(node.peer, isToEnd ? ended(id, "cooperative") : answer(id, 1)));
  }

  get #isOver(): boolean {
    return this.#broker.counts.unsettled === 0 && this.#running.size === 0 && this.#names.length === 0;
  }
}

/** Without what is not there. */
function given(options: object): object {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

function failed(id: string, code: number, data?: object): object {
  return { jsonrpc: "2.0", id, error: { code, message: "no", ...(data !== undefined && { data }) } };
}

/** What a node answers for a run that it was told to end. */
function ended(id: string, how: string): object {
  return failed(id, -32040, { how });
}

it("runs no task twice at once, answers truly and ends everything, whatever is stopped, started and reloaded when", {
  timeout: 300_000,
}, () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 60, maxLength: 250, size: "max" }), (steps) => {
      const world = new World();
      for (const one of steps) world.do(one);
      world.finish();
    }),
    { numRuns: Number(process.env.RUNS ?? 150) },
  );
});

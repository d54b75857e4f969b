// Clients that stop, start and reload tasks at any time: their own, and others'.
import type { AsyncClient, StopOptions, TaskHandle } from "zerotask-client";
import type { Params } from "zerotask-core";
import type { StoreChange } from "../../packages/broker/src/state/storage/stored-task.ts";
import type { History } from "./history.ts";
import { type Intervention, type InterventionKind, markAt } from "./interventions.ts";
import type { SimulatedProcess, Simulator } from "./simulator.ts";

interface Target {
  readonly id: string;
  readonly method: string;
  readonly params: readonly unknown[];
  /** As its own client has it. */
  readonly handle: TaskHandle | undefined;
}

const mostTargets = 30;
const latest = 6;
const graces = [0, 20, 300, 2_000];

export class Meddling {
  readonly #simulator: Simulator;
  readonly #history: History;
  /** The latest ones, of all clients. */
  readonly #stored: Target[] = [];
  readonly #own = new Map<AsyncClient, Target[]>();

  constructor(simulator: Simulator, history: History) {
    this.#simulator = simulator;
    this.#history = history;
  }

  /** A client has submitted something. */
  onSubmitted(client: AsyncClient, handle: TaskHandle, method: string): void {
    const own = this.#own.get(client) ?? [];
    this.#own.set(client, own);
    own.push({ id: "", method, params: [], handle });
    if (own.length > mostTargets) own.shift();
  }

  onChange(change: StoreChange): void {
    if (change.type !== "add") return;
    const { id, method, params } = change.task;
    const given = JSON.parse(params ?? "[]") as unknown[];
    this.#stored.push({ id, method, params: given, handle: undefined });
    if (this.#stored.length > mostTargets) this.#stored.shift();
  }

  /** A node runs a task for itself. */
  onLocal(id: string): void {
    this.#stored.push({ id, method: "local", params: [], handle: undefined });
  }

  /**
   * Does something to one task, or several things to one.
   * @param handle of the task. @default any
   * @param watch is given each answer, and each handle whose task begins again
   */
  meddle(
    process: SimulatedProcess,
    client: AsyncClient,
    watch: (what: string, answer: Promise<unknown>, again?: TaskHandle) => void,
    handle?: TaskHandle,
  ): void {
    const simulator = this.#simulator;
    const given = handle && { id: handle.id, method: "obeying", params: [], handle };
    const target = given ?? this.#pick(client);
    if (target === undefined) return;
    const times = simulator.chance(0.4) ? 2 : 1;
    let before: InterventionKind | undefined;
    for (let i = 0; i < times; i++) {
      const isStopped = before === "stop" && target.method !== "tick" && target.method !== "local";
      const kind = isStopped && simulator.chance(0.5) ? "start" : this.#kind(target);
      before = kind;
      // Until then that of a batch is but a proposal.
      const act = (): void =>
        void (target.handle?.accepted ?? Promise.resolve()).then(
          () => this.#do(kind, client, target, watch),
          () => undefined,
        );
      simulator.after(i * simulator.between(0, 400), act, process);
    }
  }

  #pick(client: AsyncClient): Target | undefined {
    const simulator = this.#simulator;
    const own = this.#own.get(client) ?? [];
    const targets = simulator.chance(0.6) && own.length > 0 ? own : this.#stored;
    if (targets.length === 0) return undefined;
    // Those that were asked for a moment ago are those that wait or run.
    return simulator.pick(simulator.chance(0.7) ? targets.slice(-latest) : targets);
  }

  #kind({ method }: Target): InterventionKind {
    if (method === "tick") return "stop";
    if (method === "local") return this.#simulator.pick(["stop", "reload", "reload"]);
    return this.#simulator.pick(["stop", "stop", "start", "reload"]);
  }

  #do(
    kind: InterventionKind,
    client: AsyncClient,
    target: Target,
    watch: (what: string, answer: Promise<unknown>, again?: TaskHandle) => void,
  ): void {
    const handle = target.handle ?? client.$handle(target.id);
    const { interventions } = this.#history;
    const { id } = handle;
    const known = target.handle === undefined ? target : this.#stored.find((stored) => stored.id === id);
    const mayChange = known !== undefined && !isKnownByParams(known) && this.#simulator.chance(0.6);
    const mark = kind === "reload" && mayChange ? interventions.nextMark() : undefined;
    const asked = interventions.ask(kind, id, mark);
    const answer = this.#ask(
      kind,
      handle,
      mark === undefined ? undefined : marked(known?.params ?? [], mark),
    );
    const note = answer.then(
      (how) => interventions.onDone(asked, how ?? undefined),
      (error: Error) => interventions.onFailed(asked, error.name),
    );
    const isAgain = kind !== "stop" && target.handle !== undefined;
    watch(`${kind} of ${id} at ${asked.requested}`, note, isAgain ? handle : undefined);
  }

  async #ask(
    kind: InterventionKind,
    handle: TaskHandle,
    params: Params | undefined,
  ): Promise<Intervention["how"]> {
    if (kind === "start") return void (await handle.start());
    const graceMs = this.#simulator.pick(graces);
    const options: StopOptions = this.#simulator.chance(0.2) ? { force: true } : { graceMs };
    if (kind === "stop") return handle.stop(options);
    return void (await handle.reload(params, options));
  }
}

/** Whoever submits it once more gives the params that it had. */
function isKnownByParams({ id, method }: Target): boolean {
  return ["batched", "shared", "local"].includes(method) || id.startsWith("key:");
}

function marked(params: readonly unknown[], mark: number): Params {
  return [...Array.from({ length: markAt }, (_, i) => params[i] ?? null), mark];
}

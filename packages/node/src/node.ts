// The shell of the node: connects to brokers, and performs the effects of the pure state machine.
import {
  encodeResponse,
  endpointOption,
  isBrokerTask,
  type MethodDescription,
  OptionError,
  type Response,
  type Timer,
} from "zerotask-core";
import { BrokerLink } from "./broker-link.ts";
import { type NodeOptions, type ResolvedNodeOptions, resolveNodeOptions } from "./options.ts";
import { Run } from "./run.ts";
import { type Assignment, type NodeEffect, type NodeEvent, NodeState } from "./state/node-state.ts";

/** Runs tasks: serves the methods of its dispatcher to the brokers it is told of. */
export class Node {
  readonly #options: ResolvedNodeOptions;
  readonly #state: NodeState;
  readonly #links: BrokerLink[] = [];
  /** Those of the running tasks whose handlers asked what they run. */
  readonly #runs = new Map<Assignment, Run>();
  readonly #events: NodeEvent[] = [];
  #isHandling = false;
  #life: "new" | "started" | "stopped" = "new";
  #tick: Timer | undefined;
  #stopping: Promise<void> | undefined;
  /** Called when the first broker has welcomed the node, or it was stopped before. */
  #onReady: (() => void) | undefined;
  /** Called when nothing runs any more. */
  #onIdle: (() => void) | undefined;

  /** @throws OptionError for an option that is unknown or out of range */
  constructor(options: NodeOptions = {}) {
    this.#options = resolveNodeOptions(options);
    this.#state = new NodeState(this.#options);
  }

  /** The names of the methods that it serves. */
  get methods(): string[] {
    return this.#served().map(({ name }) => name);
  }

  /**
   * Adds a broker to take tasks from; a started node connects at once.
   * @param endpoint such as `tcp://127.0.0.1:5555`
   * @throws OptionError when it is no endpoint, or was added before
   */
  addBroker(endpoint: string): void {
    endpointOption("endpoint", endpoint);
    if (this.#links.some((link) => link.endpoint === endpoint)) {
      throw new OptionError("endpoint", "a broker that was not added yet", endpoint);
    }
    const number = this.#links.length;
    const { slots, dial, dispatcher, logger, runtime } = this.#options;
    const link = new BrokerLink(
      { number, endpoint, slots, dial, logger, runtime, methods: () => this.#served() },
      {
        running: () => this.#state.runningOf(number),
        onAssigned: (assignment) => this.#handle({ type: "assigned", assignment }),
        onAborted: (id) => this.#handle({ type: "aborted", link: number, id }),
        nameInstance: (method, params) => dispatcher.instanceOf(method, params),
        onLost: () => this.#handle({ type: "lost", link: number }),
        onWelcome: () => {
          this.#handle({ type: "welcomed", link: number });
          this.#onReady?.();
        },
      },
    );
    this.#links.push(link);
    if (this.#life === "started") link.open();
  }

  /**
   * Connects, and goes on connecting for as long as it takes. Resolves when the first broker has welcomed it.
   * @throws Error when it has no broker, or was started before
   */
  async start(): Promise<void> {
    if (this.#life !== "new") throw new Error("Expected a new node, got one that was started before");
    if (this.#links.length === 0)
      throw new Error("Expected a node with a broker, got none: call addBroker(endpoint)");
    this.#life = "started";
    const ready = new Promise<void>((resolve) => {
      this.#onReady = resolve;
    });
    for (const link of this.#links) link.open();
    await ready;
  }

  /** Takes no more tasks, gives back what has not begun, and waits up to `drainMs` for what runs. */
  stop(): Promise<void> {
    this.#stopping ??= this.#drain();
    return this.#stopping;
  }

  async #drain(): Promise<void> {
    this.#handle({ type: "drain" });
    // Nothing more will come for it to wait for.
    this.#options.dispatcher.flush();
    if (this.#state.runningCount > 0) {
      await new Promise<void>((resolve) => {
        const timer = this.#options.runtime.after(this.#options.drainMs, resolve);
        this.#onIdle = () => {
          timer.cancel();
          resolve();
        };
      });
    }
    this.#life = "stopped";
    this.#tick?.cancel();
    for (const run of this.#runs.values()) run.abort();
    for (const link of this.#links) link.close();
    this.#onReady?.();
    this.#options.logger.info({}, "node is stopped");
  }

  #served(): MethodDescription[] {
    return this.#options.dispatcher.methods().filter(({ name }) => !isBrokerTask(name));
  }

  /** Events that come up while effects are performed wait for their turn. */
  #handle(event: NodeEvent): void {
    if (this.#life === "stopped") return;
    this.#events.push(event);
    if (this.#isHandling) return;
    this.#isHandling = true;
    for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
      for (const effect of this.#state.handle(next, this.#options.runtime.now())) this.#tryToPerform(effect);
    }
    this.#isHandling = false;
    if (this.#state.runningCount === 0) this.#onIdle?.();
  }

  /** One effect that fails must not take the node down with it. */
  #tryToPerform(effect: NodeEffect): void {
    try {
      this.#perform(effect);
    } catch (error) {
      this.#options.logger.error({ error }, `could not perform ${effect.type}`);
    }
  }

  #perform(effect: NodeEffect): void {
    switch (effect.type) {
      case "start":
        this.#run(effect.assignment);
        break;
      case "answer":
        this.#answer(effect.assignment, effect.response);
        break;
      case "report-running":
        this.#links[effect.assignment.link]?.reportRunning(effect.assignment.id);
        break;
      case "abort":
        this.#runs.get(effect.assignment)?.abort();
        break;
      case "hand-back":
        this.#links[effect.assignment.link]?.handBack(effect.assignment.id);
        break;
      case "fetch":
        this.#links[effect.link]?.fetch(effect.capacity);
        break;
      case "wake":
        this.#wakeAt(effect.at);
        break;
    }
  }

  #run(assignment: Assignment): void {
    const onEnd = (response: Response | undefined): void => {
      if (this.#runs.size > 0) this.#runs.delete(assignment);
      if (response !== undefined) this.#handle({ type: "ended", assignment, response });
    };
    const { dispatcher, runtime } = this.#options;
    dispatcher.dispatch(assignment.request, onEnd, () => this.#contextOf(assignment), runtime);
  }

  /** Made for the handlers that ask for it: most don't. */
  #contextOf(assignment: Assignment): Run {
    let run = this.#runs.get(assignment);
    if (run === undefined) {
      run = new Run(assignment);
      this.#runs.set(assignment, run);
    }
    return run;
  }

  #answer({ link, id }: Assignment, response: Response): void {
    this.#links[link]?.answer(id, encodeResponse(response));
  }

  #wakeAt(at: number): void {
    this.#tick?.cancel();
    const tick = (): void => this.#handle({ type: "tick" });
    const { runtime } = this.#options;
    this.#tick = runtime.after(Math.max(1, Math.ceil(at - runtime.now())), tick);
  }
}

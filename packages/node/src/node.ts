// The shell of the node: connects to brokers, and performs the effects of the pure state machine.
import {
  encodeResponse,
  endpointOption,
  isBrokerTask,
  type MethodDescription,
  NameTakenError,
  OptionError,
  type Params,
  type Timer,
} from "zerotask-core";
import { BrokerLink } from "./broker-link.ts";
import { captureConsole } from "./capture-console.ts";
import { type ExceptionListener, Exceptions } from "./exceptions.ts";
import { Executors, type PoolRoom } from "./executors/executors.ts";
import type { PoolHost } from "./executors/pool-host.ts";
import { Leaving, type StopOptions } from "./leaving.ts";
import { checkServed, isLocalAttempt, LocalTasks } from "./local-tasks.ts";
import { NestedCalls } from "./nested-calls.ts";
import { type NodeOptions, type ResolvedNodeOptions, resolveNodeOptions } from "./options.ts";
import type { Middleware } from "./pipeline/middleware.ts";
import { Pipeline } from "./pipeline/pipeline.ts";
import type { Resolver } from "./pipeline/resolvers.ts";
import type { NodeSetup } from "./pipeline/setup.ts";
import { Reports } from "./reports.ts";
import { Run } from "./run.ts";
import type { RunHost } from "./run-context.ts";
import { type Answer, type NodeEffect, type NodeEvent, NodeState } from "./state/node-state.ts";
import { NodeStreams } from "./streams/node-streams.ts";
import { linksOver, type StreamLinks, streamsOver } from "./streams/stream-links.ts";

/** Runs tasks: serves the methods of its dispatcher to the brokers it is told of. */
export class Node implements NodeSetup {
  readonly #options: ResolvedNodeOptions;
  readonly #state: NodeState<Run>;
  readonly #links: BrokerLink[] = [];
  readonly #exceptions: Exceptions;
  readonly #pipeline: Pipeline;
  readonly #executor: Executors;
  #rooms: readonly PoolRoom[] = [];
  readonly #nested: NestedCalls;
  readonly #streams: NodeStreams<Run>;
  readonly #streamLinks: StreamLinks;
  readonly #host: RunHost;
  readonly #events: NodeEvent<Run>[] = [];
  #isHandling = false;
  #life: "new" | "opening" | "started" | "stopped" = "new";
  #tick: Timer | undefined;
  readonly #leaving: Leaving;
  /** Called when the first broker has welcomed the node, or it was stopped before; or with why it can't start. */
  #onReady: ((refusal?: Error) => void) | undefined;
  /** Its id at its brokers. */
  readonly #id: string;
  readonly #locals: LocalTasks;
  /** Tasks of its own that go on though nobody wants them to, and can't be ended: it leaves without them. */
  readonly #unstoppable = new Set<Run>();
  #endCapture: (() => void) | undefined;

  /** @throws OptionError for an option that is unknown or out of range */
  constructor(options: NodeOptions = {}) {
    this.#options = resolveNodeOptions(options);
    this.#state = new NodeState(this.#options);
    const { logger, runtime, dial, listen, name } = this.#options;
    this.#id = name ?? runtime.id();
    this.#locals = new LocalTasks(this.#id);
    this.#exceptions = new Exceptions(logger);
    this.#pipeline = new Pipeline({ logger, runtime });
    this.#executor = new Executors(this.#options);
    this.#nested = new NestedCalls({
      optionsFor: (link) => ({ endpoint: this.#endpointOf(link), runtime, dial, listen, logger }),
      onWaiting: (run, change) => this.#handle({ type: "waiting", assignment: run, change }),
    });
    this.#streams = new NodeStreams(this.#executor);
    this.#streamLinks = linksOver((link) => this.#links[link], runtime);
    this.#host = {
      runtime,
      reports: new Reports(runtime, ({ link }, ...report) => this.#links[link]?.report(...report) ?? false),
      clientOf: (run) => this.#nested.clientOf(run),
      pipeline: this.#pipeline,
      streamsOf: (link, id, shape) => streamsOver(this.#streamLinks, link, id, shape),
      maxResultBytes: (link) => this.#streamLinks.limits(link).bytes,
      onThrown: (run, error) => this.#exceptions.onThrown(run, error),
    };
    this.#leaving = new Leaving(
      {
        links: () => (this.#life === "started" ? this.#links.map((link, i) => [i, link.isReady]) : []),
        ask: ({ link, wait }) => this.#links[link]?.askEmpty(wait),
        drain: () => {
          this.#handle({ type: "drain" });
          // Nothing more will come for it to wait for.
          this.#executor.flush();
        },
        isIdle: () => this.#isIdle,
        close: () => this.#close(),
      },
      this.#options,
    );
  }

  // What is set up here counts in this process: isolated workers do what `configure` of their modules does.

  use(middleware: Middleware): () => void {
    return this.#pipeline.use(middleware);
  }

  provide<T>(name: string, open: () => T | PromiseLike<T>, close?: (resource: T) => unknown): void {
    this.#pipeline.provide(name, open, close);
  }

  resolve(scheme: string, resolver: Resolver): () => void {
    return this.#pipeline.resolve(scheme, resolver);
  }

  onException(listener: ExceptionListener): () => void {
    return this.#exceptions.listen(listener);
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
    const { name, slots, dial, dispatcher, logger, runtime } = this.#options;
    const link = new BrokerLink(
      {
        ...{ id: this.#id, name, endpoint, slots, dial, logger, runtime },
        methods: () => this.#served(),
        rooms: () => this.#rooms,
      },
      {
        running: () => this.#state.runningOf(number),
        onAssigned: (id, request) => {
          const assignment = new Run(number, id, request, this.#host, this.#executor.roomOf(request.method));
          this.#handle({ type: "assigned", assignment });
        },
        onForgotten: (id) => {
          // The broker is about to be told of what this node runs for itself.
          if (!isLocalAttempt(id)) this.#handle({ type: "aborted", link: number, id });
        },
        onAborted: (id) => this.#handle({ type: "aborted", link: number, id }),
        onStop: (id, graceMs, again) => {
          this.#locals.onStop(id, again);
          this.#handle({ type: "stop", link: number, id, graceMs });
        },
        onStream: (method, params) => this.#streams.onPush(number, method, params),
        nameInstance: (method, params) => dispatcher.instanceOf(method, params),
        onLost: () => {
          this.#handle({ type: "lost", link: number });
          this.#leaving.lost(number);
        },
        onNameTaken: () => this.#onNameTaken(name ?? ""),
        onEmpty: (answer) => this.#leaving.answered(number, answer),
        onWelcome: () => {
          this.#handle({ type: "welcomed", link: number });
          if (number === 0) for (const request of this.#locals.wanted()) link.runLocal(request);
          this.#leaving.welcomed(number);
          this.#streams.resume(number);
          this.#onReady?.();
        },
      },
    );
    this.#links.push(link);
    if (this.#life === "started") link.open();
  }

  /**
   * Runs a task on this node, and on no other, from when it starts: its first broker knows of it as of any other. It
   * takes up no slot, and is run again when it fails, after a backoff as the method's, for as long as the node is there.
   * @param params by position or by name
   * @returns the id of the task, for `$handle` of a client
   * @throws OptionError for params that are none, and for a method that the node does not serve: at `start`, before that
   */
  runLocal(method: string, params: Params = []): string {
    if (this.#life === "started") checkServed(method, this.#served());
    const request = this.#locals.add(method, params);
    if (this.#life === "started") this.#links[0]?.runLocal(request);
    return this.#locals.idOf(request);
  }

  /**
   * Opens what is provided, starts its workers and connects, and goes on connecting for as long as it takes. Resolves when
   * the first broker has welcomed it.
   * @throws Error when it has no broker, or was started before; and when a resource can't be opened, or its modules can't
   * be loaded by its workers: then it is stopped
   * @throws OptionError when a method is to be isolated, and it was told no `modules`
   * @throws NameTakenError when another node has been connected under its name for 3 s
   */
  async start(): Promise<void> {
    if (this.#life !== "new") throw new Error("Expected a new node, got one that was started before");
    if (this.#links.length === 0)
      throw new Error("Expected a node with a broker, got none: call addBroker(endpoint)");
    this.#locals.check(this.#served());
    this.#rooms = this.#executor.plan(this.#poolHost());
    for (const { name, slots } of this.#rooms) this.#state.addPool(name, slots);
    this.#life = "opening";
    await this.#open();
    if (this.#life !== "opening") return;
    this.#life = "started";
    if (this.#options.captureConsole) this.#endCapture = captureConsole();
    const ready = new Promise<void>((resolve, reject) => {
      this.#onReady = (refusal) => {
        this.#onReady = undefined;
        if (refusal === undefined) resolve();
        else reject(refusal);
      };
    });
    for (const link of this.#links) link.open();
    await ready;
  }

  /**
   * Takes no more tasks, gives back what has not begun, and waits up to `drainMs` for what runs. May be called again to
   * leave sooner than was said before.
   * @throws OptionError for an option that is unknown or out of range
   * @throws ZeroTaskError when a broker does not know how to tell whether it is empty: the node goes on serving
   */
  async stop(options: StopOptions = {}): Promise<void> {
    await this.#leaving.begin(options);
  }

  /** What is provided is opened where handlers run: if all of them are isolated, that is not here. */
  async #open(): Promise<void> {
    const isolated = this.#rooms.reduce((count, { methods }) => count + methods.length, 0);
    try {
      if (isolated === 0 || isolated < this.#served().length) await this.#pipeline.open();
      if (this.#life === "opening") await this.#executor.open();
    } catch (error) {
      this.#life = "stopped";
      await Promise.all([this.#executor.close(), this.#pipeline.close()]);
      throw error;
    }
  }

  async #close(): Promise<void> {
    this.#life = "stopped";
    this.#tick?.cancel();
    for (const run of this.#state.running()) this.#abort(run);
    // Brokers that hear that it is gone give what runs to others at once: it must not run here beside that.
    if (this.#rooms.length > 0) await this.#executor.end();
    for (const link of this.#links) link.close();
    this.#endCapture?.();
    this.#onReady?.();
    const closing = this.#nested.close().then(() => this.#pipeline.close());
    await Promise.all([this.#executor.close(), closing]);
    this.#options.logger.info({}, "node is stopped");
  }

  /** Once it was welcomed by any broker, it goes on trying to be by all. */
  #onNameTaken(name: string): void {
    const refusal = new NameTakenError(name);
    if (this.#onReady === undefined) {
      this.#options.logger.error({ name }, refusal.message);
      return;
    }
    this.#onReady(refusal);
    void this.stop({ drainMs: 0 });
  }

  #poolHost(): PoolHost {
    const { runtime, logger, dial } = this.#options;
    return {
      runtime,
      logger,
      dial,
      endpoint: (link) => this.#endpointOf(link),
      ...this.#streamLinks,
      report: (link, method, params) => void this.#links[link]?.report(method, params, true),
      isBehind: (link) => this.#links[link]?.isBehind === true,
      onThrown: (run, error) => this.#exceptions.onThrown(run, error),
      onWaiting: (run, change) => this.#handle({ type: "waiting", assignment: run, change }),
      onBegan: (run) => this.#handle({ type: "began", assignment: run }),
      onRecalled: (run) => {
        this.#streams.remove(run);
        this.#handle({ type: "recalled", assignment: run });
      },
      onUp: (rooms) => {
        for (const room of rooms) this.#handle({ type: "up", room });
      },
    };
  }

  #endpointOf(link: number): string {
    return this.#links[link]?.endpoint ?? "";
  }

  #served(): MethodDescription[] {
    return this.#options.dispatcher.methods().filter(({ name }) => !isBrokerTask(name));
  }

  /** Events that come up while effects are performed wait for their turn. */
  #handle(event: NodeEvent<Run>): void {
    if (this.#life === "stopped") return;
    this.#events.push(event);
    if (this.#isHandling) return;
    this.#isHandling = true;
    for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
      for (const effect of this.#state.handle(next, this.#options.runtime.now())) this.#tryToPerform(effect);
    }
    this.#isHandling = false;
    if (this.#isIdle) this.#leaving.idle();
  }

  get #isIdle(): boolean {
    return this.#state.runningCount === this.#unstoppable.size;
  }

  /** One effect that fails must not take the node down with it. */
  #tryToPerform(effect: NodeEffect<Run>): void {
    try {
      this.#perform(effect);
    } catch (error) {
      this.#options.logger.error({ err: error }, `could not perform ${effect.type}`);
    }
  }

  #perform(effect: NodeEffect<Run>): void {
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
        this.#abort(effect.assignment);
        break;
      case "kill":
        if (!this.#executor.kill(effect.assignment)) this.#onUnstoppable(effect.assignment);
        break;
      case "report-unstoppable":
        this.#links[effect.assignment.link]?.reportUnstoppable(effect.assignment.id);
        break;
      case "hand-back":
        this.#links[effect.assignment.link]?.handBack(effect.assignment.id);
        break;
      case "recall":
        this.#executor.recall(effect.assignment);
        break;
      case "fetch":
        this.#links[effect.link]?.fetch(effect.capacity, effect.room);
        break;
      case "wake":
        this.#wakeAt(effect.at);
        break;
    }
  }

  #run(run: Run): void {
    this.#locals.onStarted(run);
    this.#streams.add(run);
    this.#executor.start(run, (response, tookMs) => {
      this.#streams.remove(run);
      if (run.isLocal) this.#unstoppable.delete(run);
      run.end();
      this.#locals.onEnded(run, response);
      if (tookMs === undefined) this.#handle({ type: "ended", assignment: run, response });
      else this.#handle({ type: "ended", assignment: run, response, tookMs });
    });
  }

  #onUnstoppable(run: Run): void {
    if (run.isLocal) this.#unstoppable.add(run);
    this.#handle({ type: "unstoppable", assignment: run });
  }

  #abort(run: Run): void {
    run.abort();
    this.#executor.abort(run);
  }

  #answer({ link, id }: Run, response: Answer): void {
    this.#links[link]?.answer(id, typeof response === "string" ? response : encodeResponse(response));
  }

  #wakeAt(at: number): void {
    this.#tick?.cancel();
    const tick = (): void => this.#handle({ type: "tick" });
    const { runtime } = this.#options;
    this.#tick = runtime.after(Math.max(1, Math.ceil(at - runtime.now())), tick);
  }
}

// Calls with streams: what their handlers yield is read as it comes, and async iterables among their params are sent.
import {
  BrokerMethod,
  BrokerUnavailableError,
  batchText,
  defaultWindow,
  type InputKey,
  notification,
  optionsToWire,
  type Params,
  Push,
  type StreamBatch,
  StreamConsumer,
  type StreamGrant,
  StreamProducer,
  type StreamShape,
  type StreamWindow,
  type Timer,
} from "zerotask-core";
import { boundBy, type Nesting } from "../nesting.ts";
import type { CallOptions } from "../options.ts";
import { checkParams } from "../params.ts";
import type { Session } from "../session.ts";
import { late } from "../timeout.ts";
import { checkFit } from "./fit.ts";
import { splitParams } from "./inputs.ts";

/** What is asked. */
interface Asked {
  readonly method: string;
  readonly params: Params;
  readonly options: CallOptions;
  readonly nesting: Nesting | undefined;
}

interface Input {
  readonly producer: StreamProducer;
  readonly items: AsyncIterable<unknown>;
  hasStarted: boolean;
}

/** A call that has no outcome yet. */
interface Open {
  readonly id: number;
  readonly output: StreamConsumer | undefined;
  readonly inputs: ReadonlyMap<InputKey, Input>;
  readonly nesting: Nesting | undefined;
  timer: Timer | undefined;
}

export class StreamCalls {
  readonly #session: Session;
  readonly #open = new Map<number, Open>();
  /** Calls that are being stopped. */
  readonly #stopping = new Set<number>();

  constructor(session: Session) {
    this.#session = session;
    session.onPush(Push.StreamItems, (params) => this.#onItems(params as unknown as StreamBatch & Named));
    session.onPush(Push.InputGrant, (params) => this.#onGrant(params as unknown as StreamGrant & Named));
    session.onReady(() => this.#resume());
  }

  /**
   * What the handler yields. Each iteration is a call of its own, made when the first item is asked for.
   * @throws OptionError for options that calls with streams can't have
   */
  read(asked: Asked): AsyncIterable<unknown> {
    checkFit(asked.options);
    return { [Symbol.asyncIterator]: () => this.#iterate(asked) };
  }

  /** A call with streams among its params. @throws OptionError as `read` does */
  async call(asked: Asked): Promise<unknown> {
    checkFit(asked.options);
    return this.#begin(asked, undefined).outcome;
  }

  #iterate(asked: Asked): StreamConsumer {
    let open: Open | undefined;
    const output: StreamConsumer = new StreamConsumer({
      window: windowOf(asked.options),
      endsByItself: false,
      onStart: () => {
        try {
          const begun = this.#begin(asked, output);
          open = begun.open;
          begun.outcome.then(
            () => output.finish(),
            (error) => output.finish(error),
          );
        } catch (error) {
          output.finish(error);
        }
      },
      onLeft: () => {
        if (open !== undefined) this.#stop(open);
      },
      grant: (grant) => {
        // Once it has an outcome, there is nobody to tell.
        if (open === undefined || !this.#open.has(open.id)) return;
        this.#session.notify(
          JSON.stringify(notification(BrokerMethod.ClientStreamGrant, { id: open.id, ...grant })),
        );
      },
    });
    return output;
  }

  #begin(asked: Asked, output: StreamConsumer | undefined): { open: Open; outcome: Promise<unknown> } {
    const { method, nesting } = asked;
    checkParams(asked.params);
    const options = nesting === undefined ? asked.options : boundBy(nesting, asked.options);
    const { timeoutMs, whenBusy } = options;
    const { params, inputs } = splitParams(asked.params);
    const id = this.#session.nextId();
    const window = windowOf(options);
    const open: Open = { id, output, inputs: this.#inputs(id, inputs, window), nesting, timer: undefined };
    const stream: StreamShape = {
      ...window,
      ...(output !== undefined && { output: true }),
      ...(inputs.size > 0 && { inputs: [...inputs.keys()] }),
    };
    const trace = nesting && { trace: nesting.trace };
    const wire = optionsToWire({ ...options, ...trace, stream });
    this.#open.set(id, open);
    nesting?.onWaiting(1);
    const answer = this.#session.request(BrokerMethod.ClientCall, [method, params, wire], {
      id,
      waitsWhenBusy: whenBusy === "wait",
      again: (text) => (hasBegun(open) ? resumed(text) : text),
    });
    const outcome = new Promise((resolve, reject) => {
      answer.then(resolve, (error) => {
        if (error instanceof BrokerUnavailableError && hasBegun(open)) this.#stop(open);
        reject(error);
      });
      if (timeoutMs === undefined) return;
      open.timer = this.#session.runtime.after(timeoutMs, () => {
        this.#stop(open);
        reject(late(method, timeoutMs));
      });
    });
    return { open, outcome: outcome.finally(() => this.#close(open)) };
  }

  #inputs(
    id: number,
    inputs: ReadonlyMap<InputKey, AsyncIterable<unknown>>,
    window: StreamWindow,
  ): Map<InputKey, Input> {
    const made = new Map<InputKey, Input>();
    for (const [input, items] of inputs) {
      const producer = new StreamProducer({
        window,
        errors: "sent",
        limits: () => this.#session.limits,
        now: () => this.#session.runtime.now(),
        send: (batch) =>
          this.#session.notify(batchText(BrokerMethod.ClientStreamInput, { id, input }, batch)),
      });
      made.set(input, { producer, items, hasStarted: false });
    }
    return made;
  }

  /** Nobody reads any more: so nobody is to write. */
  #stop(open: Open): void {
    if (!this.#close(open)) return;
    this.#session.abandon(open.id);
    this.#stopTask(open.id);
  }

  #stopTask(id: number): void {
    if (this.#stopping.has(id)) return;
    this.#stopping.add(id);
    const params = { task_id: `${this.#session.clientId}-${id}` };
    // What it was told before is lost where the broker is away: it is told when it is back.
    this.#session
      .request(BrokerMethod.ClientTaskStop, params, { isPatient: true })
      .catch(() => undefined)
      .finally(() => this.#stopping.delete(id));
  }

  /** @returns false when it was closed before */
  #close(open: Open): boolean {
    if (!this.#open.delete(open.id)) return false;
    open.timer?.cancel();
    open.nesting?.onWaiting(-1);
    for (const input of open.inputs.values()) {
      input.producer.stop();
      // One that nobody has read is closed, too.
      if (!input.hasStarted) input.producer.run(input.items).catch(() => undefined);
    }
    return true;
  }

  #onItems(params: StreamBatch & Named): void {
    const open = this.#open.get(params.id);
    if (open?.output !== undefined) open.output.onBatch(params);
    // Its handler goes on, though its consumer was told otherwise.
    else this.#stopTask(params.id);
  }

  #onGrant(params: StreamGrant & Named): void {
    const input =
      params.input === undefined ? undefined : this.#open.get(params.id)?.inputs.get(params.input);
    if (input === undefined) return;
    input.producer.onGrant(params);
    if (input.hasStarted) return;
    input.hasStarted = true;
    // What the iterable throws is sent to the handler; what its closing throws is nobody's.
    input.producer.run(input.items).catch(() => undefined);
  }

  #resume(): void {
    for (const { output, inputs } of this.#open.values()) {
      output?.resume();
      for (const { producer } of inputs.values()) producer.resume();
    }
  }
}

interface Named {
  readonly id: number;
  readonly input?: InputKey;
}

/** Whether items may have gone by, so that a call that is made anew would repeat them. */
function hasBegun({ output, inputs }: Open): boolean {
  if (output !== undefined && output.received > 0) return true;
  for (const { hasStarted } of inputs.values()) if (hasStarted) return true;
  return false;
}

/** Made of the text: the user may have changed the params since. */
function resumed(text: string): string {
  const message = JSON.parse(text) as { params: [string, Params, { stream: object }] };
  Object.assign(message.params[2].stream, { resumed: true });
  return JSON.stringify(message);
}

function windowOf({ window }: CallOptions): StreamWindow {
  return { items: window?.items ?? defaultWindow.items, bytes: window?.bytes ?? defaultWindow.bytes };
}

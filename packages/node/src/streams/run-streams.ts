// The streams of one run: what its handler yields, and the inputs that it reads. Whatever carries them is handed in.
import {
  type EncodedBatch,
  ErrorCode,
  errorObject,
  failure,
  type InputKey,
  type ItemLimits,
  type Params,
  Push,
  type Request,
  type Response,
  runUnwanted,
  type StreamBatch,
  StreamConsumer,
  type StreamGrant,
  StreamProducer,
  type StreamShape,
} from "zerotask-core";

/** What carries the streams of a run to the broker. Anything may get lost: then `resume` is called. */
export interface StreamCarrier {
  readonly limits: () => ItemLimits;
  readonly now?: (() => number) | undefined;
  items(batch: EncodedBatch): void;
  inputGrant(input: InputKey, grant: StreamGrant): void;
}

export class RunStreams {
  readonly #output: StreamProducer | undefined;
  readonly #inputs = new Map<InputKey, StreamConsumer>();
  #hasYielded = false;
  #filled: Request | undefined;

  constructor(shape: StreamShape, carrier: StreamCarrier) {
    const { output = false, inputs = [], ...window } = shape;
    if (output) {
      const { limits, now } = carrier;
      const send = (batch: EncodedBatch): void => carrier.items(batch);
      this.#output = new StreamProducer({ window, limits, now, errors: "thrown", send });
    }
    for (const input of inputs) {
      const consumer = new StreamConsumer({
        window,
        endsByItself: true,
        // The client begins to read it now, and sends again what it had sent to an earlier attempt.
        onStart: () => carrier.inputGrant(input, { taken: 0, received: 0, again: true }),
        grant: (grant) => carrier.inputGrant(input, grant),
      });
      this.#inputs.set(input, consumer);
    }
  }

  /** Whether what the handler yields is to be sent, rather than collected. */
  get hasOutput(): boolean {
    return this.#output !== undefined;
  }

  /** The request of its run as its handler is to get it: with streams in the places of its inputs. Always the same one. */
  withInputs(request: Request): Request {
    if (this.#inputs.size === 0) return request;
    this.#filled ??= this.#fill(request);
    return this.#filled;
  }

  #fill(request: Request): Request {
    const { params = [] } = request;
    const filled = (Array.isArray(params) ? [...params] : { ...params }) as { [key: InputKey]: unknown };
    for (const [input, consumer] of this.#inputs) filled[input] = consumer;
    return { ...request, params: filled as unknown as Params };
  }

  /** Sends what the handler yields. Resolves when the client has it all, or the run was aborted. */
  async send(items: AsyncIterable<unknown>): Promise<void> {
    this.#hasYielded = true;
    await this.#output?.run(items);
  }

  /** The response of its handler: one that yielded nothing where items are awaited is a failure. */
  checked(response: Response): Response {
    if (this.#output === undefined || this.#hasYielded || "error" in response) return response;
    const message = "Expected a handler that returns an async iterable, got one that returns something else";
    const data = { name: "TypeError", message };
    return failure(response.id, errorObject(ErrorCode.TaskFailed, message, data));
  }

  /** Takes what a broker pushed. */
  onPush(method: string, params: Params | undefined): void {
    const { input, ...message } = params as { readonly input?: InputKey };
    if (method === Push.StreamGrant) this.#output?.onGrant(message as StreamGrant);
    else if (input !== undefined) this.#inputs.get(input)?.onBatch(message as StreamBatch);
  }

  /** The connection is there again. */
  resume(): void {
    this.#output?.resume();
    for (const input of this.#inputs.values()) input.resume();
  }

  /** Nobody wants what it yields any more, and nothing more comes for it to read. */
  abort(): void {
    this.#output?.stop();
    for (const input of this.#inputs.values()) {
      input.finish(runUnwanted());
    }
  }
}

import { expect, it } from "vitest";
import {
  type Batch,
  current,
  Dispatcher,
  type HandlerOptions,
  InvalidParamsError,
  type Params,
  type Request,
  type Response,
  type Results,
  RetryError,
  type Runtime,
  type Scope,
  systemRuntime,
  type TaskContext,
  task,
} from "zerotask-core";

/** A clock that goes on when it is told to. */
class Clock {
  #now = 0;
  readonly #timers = new Map<object, { readonly at: number; readonly callback: () => void }>();
  readonly runtime: Runtime = {
    ...systemRuntime,
    now: () => this.#now,
    after: (ms, callback) => {
      const timer = { cancel: () => void this.#timers.delete(timer) };
      this.#timers.set(timer, { at: this.#now + ms, callback });
      return timer;
    },
  };

  get pending(): number {
    return this.#timers.size;
  }

  advance(ms: number): void {
    this.#now += ms;
    for (const [timer, { at, callback }] of [...this.#timers]) {
      if (at <= this.#now && this.#timers.delete(timer)) callback();
    }
  }
}

type Handling = (calls: Batch<[number]>) => unknown;

interface Collected {
  readonly clock: Clock;
  readonly dispatcher: Dispatcher;
  /** The params of each run. */
  readonly runs: unknown[];
  call(params?: Params, signal?: AbortSignal): Response[];
}

function collect(
  options: HandlerOptions,
  handle: Handling = (calls) => calls.map(([n]) => n * 2),
): Collected {
  const clock = new Clock();
  const dispatcher = new Dispatcher();
  const runs: unknown[] = [];
  dispatcher.add(
    "work",
    (calls: Batch<[number]>) => {
      runs.push(calls);
      return handle(calls);
    },
    options,
  );
  let id = 0;
  const call = (params?: Params, signal = new AbortController().signal): Response[] => {
    const answers: Response[] = [];
    const request: Request = { jsonrpc: "2.0", method: "work", id: ++id, ...(params && { params }) };
    const scope: Scope = { context: () => ({ signal }) as TaskContext };
    dispatcher.dispatch(request, (answer) => answer && answers.push(answer), scope, clock.runtime);
    return answers;
  };
  return { clock, dispatcher, runs, call };
}

/** Results as they are, and errors as `{error}`. */
const results = (answers: readonly Response[][]): unknown[] =>
  answers.flat().map((answer) => ("error" in answer ? { error: answer.error } : answer.result));
const failed = (error: object): object => ({ error: expect.objectContaining(error) });

/** All that is under way without a timer comes to an end. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const batch = { max: 3, waitMs: 5 };

it("makes one run of the calls that come while the first waits, and gives each its own result", () => {
  const { clock, runs, call } = collect({ batch });
  const first = call([1]);
  clock.advance(4);
  const second = call([2]);
  expect(runs).toEqual([]);
  clock.advance(1);
  expect(runs).toEqual([[[1], [2]]]);
  expect([first, second]).toEqual([
    [{ jsonrpc: "2.0", id: 1, result: 2 }],
    [{ jsonrpc: "2.0", id: 2, result: 4 }],
  ]);
});

it("runs at once when there are as many as it takes, and begins anew", () => {
  const { clock, runs, call } = collect({ batch });
  const answers = [1, 2, 3, 4].map((n) => call([n]));
  expect(runs).toEqual([[[1], [2], [3]]]);
  clock.advance(4);
  expect(results(answers)).toEqual([2, 4, 6]);
  clock.advance(1);
  expect(results(answers)).toEqual([2, 4, 6, 8]);
  expect(clock.pending).toBe(0);
});

it("makes one run of what came in one turn where there is no time to wait", async () => {
  const { clock, runs, call } = collect({ batch: { max: 10 } });
  const answers = [call([1]), call([2])];
  expect(runs).toEqual([]);
  await settle();
  answers.push(call([3]));
  await settle();
  expect(runs).toEqual([[[1], [2]], [[3]]]);
  expect(results(answers)).toEqual([2, 4, 6]);
  expect(clock.pending).toBe(0);
});

it("makes an error among the results the failure of its caller alone", async () => {
  const items = [
    1,
    new RangeError("no"),
    new RetryError({ delay: "2s" }),
    new InvalidParamsError("odd"),
    undefined,
  ];
  for (const handle of [() => items, () => Promise.resolve(items)]) {
    const { call } = collect({ batch: { max: 5 } }, handle);
    const answers = items.map(() => call([1]));
    await settle();
    expect(results(answers)).toEqual([
      1,
      failed({ code: -32000, message: "no" }),
      failed({ code: -32001, data: { delay_ms: 2_000 } }),
      failed({ code: -32602, message: "odd" }),
      null,
    ]);
  }
});

it("waits for results that are promises, each for its own caller", async () => {
  const { call } = collect({ batch: { max: 4 } }, (calls) =>
    calls.map(async ([n]) => {
      if (n === 2) throw new RangeError("no");
      return n === 3 ? new RetryError() : n;
    }),
  );
  const answers = [1, 2, 3, 4].map((n) => call([n]));
  await settle();
  expect(results(answers)).toEqual([1, failed({ message: "no" }), failed({ code: -32001 }), 4]);
});

it("gives every caller what the handler throws", async () => {
  for (const thrown of [new RangeError("no"), new RetryError()]) {
    const throwing = (): never => {
      throw thrown;
    };
    for (const handle of [throwing, () => Promise.reject(thrown)]) {
      const { call } = collect({ batch: { max: 2 } }, handle);
      const answers = [call([1]), call([2])];
      await settle();
      const error = failed({ message: thrown.message });
      expect(results(answers)).toEqual([error, error]);
    }
  }
});

it.each<[string, unknown]>([
  ["1", [7]],
  ["3", [7, 8, 9]],
  ["undefined", undefined],
  ["7", 7],
  ["'ab'", "ab"],
])("tells every caller that %s came where two results were expected", async (got, returned) => {
  const { call } = collect({ batch: { max: 2 } }, () => returned);
  const answers = [call([1]), call([2])];
  const message = `Expected the batch handler of work to return an array of 2 results, got ${got}`;
  const error = { error: { code: -32000, message, data: { name: "TypeError", message } } };
  expect(results(answers)).toEqual([error, error]);
});

it("turns params by name into positions for each call, and leaves out the call whose names are wrong", () => {
  const { clock, runs, call } = collect({ batch, params: ["n", "kind"] });
  const answers = [call({ kind: "a", n: 1 }), call({ m: 1 }), call([2]), call()];
  clock.advance(5);
  expect(runs).toEqual([[[1, "a"], [2], []]]);
  expect(results(answers)).toEqual([
    2,
    failed({ code: -32602, message: 'Expected the params n, kind, got "m"' }),
    4,
    Number.NaN,
  ]);
});

it("leaves out a call that was aborted while it was collected", () => {
  const { clock, runs, call } = collect({ batch });
  const stop = new AbortController();
  const answers = [call([1]), call([2], stop.signal), call([3])];
  expect(runs).toHaveLength(1);
  const later = [call([4]), call([5], stop.signal)];
  stop.abort();
  later.push(call([6]));
  clock.advance(5);
  expect(runs).toEqual([
    [[1], [2], [3]],
    [[4], [6]],
  ]);
  expect(results(answers)).toEqual([2, 4, 6]);
  expect(results(later)).toEqual([8, failed({ code: -32040 }), 12]);
});

it("waits anew when all that was collected has been aborted", async () => {
  for (const waitMs of [0, 5]) {
    const { clock, runs, call } = collect({ batch: { max: 3, waitMs } });
    const stop = new AbortController();
    const answers = call([1], stop.signal);
    stop.abort();
    expect(clock.pending).toBe(0);
    expect(answers).toHaveLength(1);
    await settle();
    clock.advance(4);
    call([2]);
    clock.advance(4);
    expect(runs).toEqual([]);
    clock.advance(1);
    await settle();
    expect(runs).toEqual([[[2]]]);
  }
});

it("goes on for all others when a call is aborted while it runs", async () => {
  const { call } = collect({ batch: { max: 2 } }, async (calls) => calls.map(([n]) => n));
  const stop = new AbortController();
  const answers = [call([1], stop.signal), call([2])];
  stop.abort();
  await settle();
  expect(results(answers)).toEqual([1, 2]);
});

it("runs what is collected when it is told to wait no longer", () => {
  const { clock, dispatcher, runs, call } = collect({ batch });
  dispatcher.flush();
  const answers = [call([1]), call([2])];
  dispatcher.flush();
  expect([runs, results(answers), clock.pending]).toEqual([[[[1], [2]]], [2, 4], 0]);
});

it("has no current task", () => {
  const { call } = collect({ batch: { max: 1 } }, () => [current().id]);
  expect(results([call([1])])).toEqual([
    failed({
      message: "A batch handler runs many tasks at once: current() can't tell which is meant",
    }),
  ]);
});

it("answers a null id, and no notification", async () => {
  const { dispatcher, runs } = collect({ batch: { max: 10 } });
  const answers: unknown[] = [];
  for (const id of [{ id: null }, {}]) {
    dispatcher.dispatch({ jsonrpc: "2.0", method: "work", params: [1], ...id }, (given) =>
      answers.push(given),
    );
  }
  await settle();
  expect([runs, answers]).toEqual([[[[1], [1]]], [{ jsonrpc: "2.0", id: null, result: 2 }, undefined]]);
});

it("collects the calls of functions and of decorated methods, with their `this`", () => {
  const dispatcher = new Dispatcher();
  task({ name: "double", dispatcher, batch: { max: 1 } }, (calls: Batch<[n: number]>) =>
    calls.map(([n]) => n * 2),
  );
  class Multiplier {
    readonly factor: number = 3;
    @task({ batch: { max: 1 } }) triple(calls: Batch<[n: number]>): Results<number> {
      return calls.map(([n]) => n * this.factor);
    }
  }
  dispatcher.addObject(new Multiplier());
  const answers: unknown[] = [];
  for (const method of ["double", "triple"]) {
    dispatcher.dispatch({ jsonrpc: "2.0", method, params: [7], id: method }, (given) => answers.push(given));
  }
  expect(answers).toMatchObject([{ result: 14 }, { result: 21 }]);
});

it("takes no call that was stopped before it came", () => {
  const { clock, runs, call } = collect({ batch });
  const answers = [call([1], AbortSignal.abort()), call([2])];
  clock.advance(5);
  expect(runs).toEqual([[[2]]]);
  expect(results(answers)).toEqual([failed({ message: "Stopped before it began to run" }), 4]);
  expect(clock.pending).toBe(0);
});

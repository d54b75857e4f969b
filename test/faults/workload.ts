// The methods of the load, and what may come of each: so that a wrong outcome shows.

/** What came of a task, as a client or a record tells it. */
export interface Told {
  readonly result?: unknown;
  readonly error?: { readonly name: string; readonly message: string };
}

/** What handlers give back: the answer follows from the params, and the run is another each time. */
export interface Answer {
  readonly n: number;
  readonly square: number;
  readonly run: string;
}

export const methods = [
  ...(["echo", "slow", "flaky", "fail", "unserialisable", "block", "poison"] as const),
  ...(["thread", "process", "crash", "watch", "deaf", "rows", "remoteRows", "sum"] as const),
];
export type Method = (typeof methods)[number];

/** Handlers that run in a worker process, which may be killed by itself. */
const inProcesses: readonly Method[] = ["process", "crash", "deaf", "remoteRows"];

/** What is read item by item, or reads its param so. */
export const streamed = ["rows", "remoteRows", "sum"] as const;
/** What runs until it is stopped, or for some seconds. */
export const endless = ["watch", "deaf"] as const;

/** How often a client asks for which. */
export const methodWeights: { readonly [method in Method]: number } = {
  echo: 6_000,
  slow: 2_000,
  flaky: 500,
  fail: 600,
  unserialisable: 400,
  block: 5,
  poison: 4,
  thread: 300,
  process: 300,
  crash: 20,
  watch: 150,
  deaf: 30,
  rows: 100,
  remoteRows: 50,
  sum: 100,
};

/** How often a task loses its node before it fails: the broker's default. */
export const redeliveries = 3;

/** Says what is wrong with an outcome of the task, or nothing. */
export function findFault(method: Method, n: number, told: Told): string | undefined {
  const { result, error } = told;
  // A task whose node is lost again and again fails, whatever it is. That it was is for the record to tell.
  if (error?.name === "NodeLostError") return undefined;
  const isWorkerDead = error?.name === "TaskFailedError" && error.message.startsWith("Its worker process ");
  if (isWorkerDead && inProcesses.includes(method)) return undefined;
  if (method === "crash") return `expected the end of its worker, got ${JSON.stringify(told)}`;
  if (method === "poison") return `expected NodeLostError, got ${JSON.stringify(told)}`;
  if (method === "fail" || method === "unserialisable") {
    const expected = method === "fail" ? `${n} is no good` : "The result can't be sent as JSON";
    if (error?.name === "TaskFailedError" && error.message.includes(expected)) return undefined;
    return `expected TaskFailedError "${expected}", got ${JSON.stringify(told)}`;
  }
  const answer = result as Partial<Answer> | undefined;
  if (answer?.n === n && answer.square === n * n && typeof answer.run === "string") return undefined;
  return `expected the square of ${n}, got ${JSON.stringify(told)}`;
}

// All that clients asked for and were told, and the check of it afterwards: nothing lost, nothing double, nothing hung.
import type { AcceptLine, Kind, ReportLine, SubmitLine } from "./report-lines.ts";
import { findFault, type Method, redeliveries, type Told } from "./workload.ts";

/** One thing that one client asked for. */
export interface Asked {
  readonly client: string;
  readonly id: string | undefined;
  readonly kind: Kind;
  readonly method: Method;
  readonly n: number;
  accepted?: AcceptLine["level"];
  refused?: string;
  /** How its stop was answered. */
  halted?: string;
  readonly told: Told[];
}

/** What the broker says of a task by its id, when everything is healed. */
export interface Look {
  /** What `client_task_wait` answers; nothing when it is unknown, or was not settled in time. */
  readonly waited?: Told;
  /** What `client_task_get` answers after that. */
  readonly got?: Told;
  readonly attempt?: number;
}

export interface Verdict {
  readonly submits: number;
  readonly calls: number;
  readonly acceptedOnDisk: number;
  readonly acceptedInMemory: number;
  /** How often clients were told which outcome. */
  readonly outcomes: ReadonlyMap<string, number>;
  /** How often stops were answered how. */
  readonly halts: ReadonlyMap<string, number>;
  /** What was asked for by clients that were killed. */
  readonly orphans: number;
  readonly lost: readonly string[];
  readonly double: readonly string[];
  readonly hung: readonly string[];
  /** An outcome that can't be the task's. */
  readonly wrong: readonly string[];
}

export class History {
  readonly #asked = new Map<string, Asked>();
  readonly #killed = new Set<string>();

  /** Takes down what a client told. */
  add(client: string, line: ReportLine): void {
    if (line.event === "submit") this.#submit(client, line);
    else if (line.event !== "done") {
      const asked = this.#asked.get(`${client}/${line.serial}`);
      if (asked === undefined) throw new Error(`${client} told of ${line.serial}, which it never asked for`);
      if (line.event === "accept") asked.accepted = line.level;
      else if (line.event === "refuse") asked.refused = line.reason;
      else if (line.event === "halt") asked.halted = line.how;
      else asked.told.push(line.told);
    }
  }

  /** From now on it can be told nothing. */
  kill(client: string): void {
    this.#killed.add(client);
  }

  get size(): number {
    return this.#asked.size;
  }

  /** Every task that has an id. */
  ids(): string[] {
    return [...new Set([...this.#asked.values()].flatMap(({ id }) => (id === undefined ? [] : [id])))];
  }

  /** What the promises are worth, given what the broker says of each id now. */
  check(looks: ReadonlyMap<string, Look>): Verdict {
    const all = [...this.#asked.values()];
    const isOrphan = ({ client }: Asked): boolean => this.#killed.has(client);
    return {
      submits: all.filter(({ kind }) => !isCall(kind)).length,
      calls: all.filter(({ kind }) => isCall(kind)).length,
      acceptedOnDisk: all.filter(({ accepted }) => accepted === "disk").length,
      acceptedInMemory: all.filter(({ accepted }) => accepted === "memory").length,
      outcomes: count(all.flatMap(({ told }) => told.map(({ error }) => error?.name ?? "result"))),
      halts: count(all.flatMap(({ halted }) => (halted === undefined ? [] : [halted]))),
      orphans: all.filter(isOrphan).length,
      lost: all.filter((asked) => isLost(asked, lookAt(looks, asked))).map(describe),
      double: all.filter((asked) => isDouble(asked, lookAt(looks, asked))).map(describe),
      hung: all.filter((asked) => !isOrphan(asked) && isHung(asked)).map(describe),
      wrong: all.flatMap((asked) => findWrong(asked, lookAt(looks, asked))),
    };
  }

  #submit(client: string, { serial, id, kind, method, n }: SubmitLine): void {
    this.#asked.set(`${client}/${serial}`, { client, id, kind, method, n, told: [] });
  }
}

export function isGood({ lost, double, hung, wrong }: Verdict): boolean {
  return lost.length + double.length + hung.length + wrong.length === 0;
}

const nothing: Look = {};

function lookAt(looks: ReadonlyMap<string, Look>, { id }: Asked): Look {
  return (id === undefined ? undefined : looks.get(id)) ?? nothing;
}

/** What was acknowledged as on disk has an outcome in the end. */
function isLost({ accepted }: Asked, { waited }: Look): boolean {
  return accepted === "disk" && waited === undefined;
}

/** All that anybody is ever told of a task is the same; every run answers differently. */
function isDouble({ told }: Asked, { waited, got }: Look): boolean {
  if (told.length > 1) return true;
  const all = [...told, waited, got].flatMap((one) => (one === undefined ? [] : [JSON.stringify(one)]));
  return new Set(all).size > 1;
}

function isHung({ kind, accepted, refused, halted, told }: Asked): boolean {
  const isAnswered = isCall(kind) || accepted !== undefined || refused !== undefined;
  const isStopping = kind === "halted" && refused === undefined && halted === undefined;
  return !isAnswered || isStopping || told.length === 0;
}

/** It has no id that its client knows. */
function isCall(kind: Kind): boolean {
  return kind === "call" || kind === "stream";
}

function findWrong(asked: Asked, { waited, attempt }: Look): string[] {
  const { kind, method, n, refused, halted } = asked;
  const faults: string[] = refused === undefined ? [] : [`was refused with ${refused}`];
  if (halted !== undefined && !isTrue(halted, asked.told))
    faults.push(`its stop was answered with ${halted}`);
  for (const told of [...asked.told, ...(waited === undefined ? [] : [waited])]) {
    if (isAllowed(kind, told)) continue;
    const fault = findFault(method, n, told);
    if (fault !== undefined) faults.push(fault);
    const isGivenUp = told.error?.name === "NodeLostError";
    if (isGivenUp && attempt !== undefined && attempt <= redeliveries)
      faults.push(`was given up after attempt ${attempt}`);
  }
  return [...new Set(faults)].map((fault) => `${describe(asked)}: ${fault}`);
}

/** Whether what was answered to a stop goes with what became of the task. */
function isTrue(halted: string, told: readonly Told[]): boolean {
  const isStopped = told.some(({ error }) => error?.name === "TaskStoppedError");
  if (halted === "finished-first") return !isStopped;
  return told.length === 0 || (isStopped && stops.includes(halted));
}

const stops = ["never-started", "cooperative", "killed", "unstoppable"];

/** What may also come of a task, for how it was asked for. */
function isAllowed(kind: Kind, { error }: Told): boolean {
  if (kind === "stopped" || kind === "halted") return error?.name === "TaskStoppedError";
  // What has begun to flow is not begun again behind its reader's back.
  if (kind === "stream" && error?.name === "StreamLostError") return true;
  // A call waits 5 s for a node that serves its method, and no longer.
  return isCall(kind) && error?.name === "MethodNotFoundError";
}

function count(names: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}

function describe({ client, id, kind, method, n, accepted, halted, told }: Asked): string {
  const tale = [`accepted=${accepted}`, ...(halted === undefined ? [] : [`halted=${halted}`])].join(" ");
  return `${client} ${id ?? "call"} ${kind} ${method}(${n}) ${tale} told=${JSON.stringify(told)}`;
}

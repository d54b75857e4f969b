// What a node and its workers say to each other: lines of text, many in one message, the same over ports and pipes.
//
// A line is one letter, numbers, and the rest, divided by blanks. Requests and responses are JSON, which has no line
// breaks: a worker's response goes to the broker as the very text that the worker made.
import type { ItemLimits, Params } from "zerotask-core";

/** From the node. */
export const ToWorker = {
  /** `I <Init>`: once, before all others. */
  Init: "I",
  /** `L <link> <LinkInfo>`: a broker that tasks come from. */
  Link: "L",
  /** `T <unit> <link> <request>`: a task, to run when all before it have ended. */
  Task: "T",
  /** `U <unit> <link> <request>`: a task, to run though others wait there for tasks that they called. */
  TaskBeside: "U",
  /** `B <unit> <[link, request][]>`: the tasks of one batch. */
  Batch: "B",
  BatchBeside: "C",
  /** `A <unit> <index>`: nobody wants its outcome any more. What has not begun is given back. */
  Abort: "A",
  /** `M <connection> <text>`: came over a connection that the worker asked for. */
  Message: "M",
  /** `X <connection>`: it was lost. */
  Lost: "X",
  /** `Z`: nothing more comes, and it will be ended. What it has opened is to be closed. */
  Leave: "Z",
  /** `V`: what has not begun is given back. */
  Revoke: "V",
  /** `S <unit> <index> <StreamPush>`: for the streams of a run; `null`: the connection to its broker is there again. */
  Stream: "S",
} as const;

/** From a worker. */
export const FromWorker = {
  /** `R <names of methods>`: its modules are loaded. */
  Ready: "R",
  /** `F <message>`: they can't be. */
  Failed: "F",
  /** `D <unit> <µs> <response>`: done. */
  Done: "D",
  /** `P <unit> <index> <response>`: the outcome of one task of a batch; after the last one comes a `D` without any. */
  Part: "P",
  /** `G <unit>`: it had not begun, and never will. */
  GivenBack: "G",
  /** `V`: all that had not begun is given back. */
  Revoked: "V",
  /** `W <unit> <1 or 0> <index>`: it waits for tasks that it called, or for none any more. */
  Waiting: "W",
  /** `N <link> <[method, params]>`: what a task tells the broker while it runs. */
  Report: "N",
  /** `S <link> <text>`: what streams send to the broker; it may get lost. */
  Stream: "S",
  /** `E <unit> <index> <Thrown>`: what its handler threw, before its outcome. */
  Thrown: "E",
  /** `O <connection> <link>`: connect to the broker. */
  Open: "O",
  /** `M <connection> <text>`: send it there. */
  Message: "M",
  /** `Q <connection> <entries> <bytes>`: no message may have more. */
  Limit: "Q",
  /** `X <connection>`: close it. */
  Close: "X",
  /** `L <LogRecord>`: for the node's log. */
  Log: "L",
  /** `Z`: it can be ended. */
  Left: "Z",
} as const;

/** How a worker begins. */
export interface Init {
  readonly modules: readonly string[];
  readonly captureConsole: boolean;
}

/** Longest line of a worker, beside what the largest message of a broker takes up. */
export const lineSlack: number = 1024 * 1024;

/** What is known of a broker: told again when it has other limits. */
export interface LinkInfo {
  readonly endpoint: string;
  readonly limits: ItemLimits;
}

/** What a broker pushed: method and params. */
export type StreamPush = readonly [method: string, params: Params | undefined];

/** A line, read from its start: each call takes what comes up to the next blank. */
export class Line {
  readonly #text: string;
  #at = 2;

  constructor(text: string) {
    this.#text = text;
  }

  get letter(): string {
    return this.#text.charAt(0);
  }

  number(): number {
    const end = this.#text.indexOf(" ", this.#at);
    const word = end < 0 ? this.#text.slice(this.#at) : this.#text.slice(this.#at, end);
    this.#at = end < 0 ? this.#text.length : end + 1;
    return Number(word);
  }

  rest(): string {
    return this.#text.slice(this.#at);
  }
}

/** Nothing runs. */
export const noUnit = 0;

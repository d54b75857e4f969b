// Streams between clients and the handlers of their calls: passed on, never kept, and never beyond what was granted.
import {
  ErrorCode,
  errorObject,
  type InputKey,
  notification,
  type Params,
  Push,
  type StreamBatch,
  type StreamGrant,
} from "zerotask-core";
import type { NodeSession } from "../peers/node-session.ts";
import type { Task } from "../tasks/task.ts";
import type { Turn } from "../turn.ts";

/** What is known of the streams of one call. */
interface Progress {
  /** Items of it went by: another attempt would repeat them. */
  hasBegun: boolean;
  /** How far each stream was taken. The output has no key. */
  readonly taken: Map<InputKey | undefined, number>;
  /** The token of the node that was lost with it, and may bring it back. */
  holder: string | undefined;
}

export class Streams {
  readonly #turn: Turn;
  readonly #progress = new WeakMap<Task, Progress>();

  constructor(turn: Turn) {
    this.#turn = turn;
  }

  /** Whether items of the task's streams went by, so that it can't be run again. */
  hasBegun(task: Task): boolean {
    return task.options.stream !== undefined && this.#progress.get(task)?.hasBegun === true;
  }

  /** The task's node was lost: if it comes back before long, it goes on with it. */
  hold(task: Task): void {
    this.#of(task).holder = task.node?.token;
  }

  /** Whether this node may go on with an attempt that it was lost with. */
  mayGoOn(task: Task, attempt: number, { token }: NodeSession): boolean {
    const holder = this.#progress.get(task)?.holder;
    const isHeld = task.settled === undefined && task.node === undefined && task.attempt === attempt;
    return isHeld && holder !== undefined && holder === token;
  }

  /** Items that the handler yielded go to the client. @returns false where nobody had asked for so many */
  passOutput(task: Task, batch: StreamBatch): boolean {
    if (!this.#isGranted(task, undefined, batch)) return false;
    const isSent = this.#sendTo(task.caller?.peer, Push.StreamItems, { id: task.requestId, ...batch });
    if (isSent && hasContent(batch)) this.#of(task).hasBegun = true;
    return true;
  }

  /** Items of an input go to the handler. @returns false where nobody had asked for so many */
  passInput(task: Task, input: InputKey, batch: StreamBatch): boolean {
    if (!this.#isGranted(task, input, batch)) return false;
    const isSent = this.#sendTo(task.node?.peer, Push.StreamInput, { id: task.attemptId, input, ...batch });
    if (isSent && hasContent(batch)) this.#of(task).hasBegun = true;
    return true;
  }

  /** The client tells how far it has read. */
  grantOutput(task: Task, grant: StreamGrant): void {
    this.#note(task, undefined, grant);
    this.#sendTo(task.node?.peer, Push.StreamGrant, { id: task.attemptId, ...grant });
  }

  /** The handler's node tells how far it has read. */
  grantInput(task: Task, input: InputKey, grant: StreamGrant): void {
    this.#note(task, input, grant);
    this.#sendTo(task.caller?.peer, Push.InputGrant, { id: task.requestId, input, ...grant });
  }

  #isGranted(task: Task, key: InputKey | undefined, { seq, items }: StreamBatch): boolean {
    const { stream } = task.options;
    const taken = this.#progress.get(task)?.taken.get(key) ?? 0;
    return stream !== undefined && seq + items.length <= taken + stream.items;
  }

  #note(task: Task, key: InputKey | undefined, { taken, closed }: StreamGrant): void {
    const progress = this.#of(task);
    // What was closed for one attempt stays closed: another one would wait for its items for ever.
    if (closed === true) progress.hasBegun = true;
    const all = progress.taken;
    if (taken > (all.get(key) ?? 0)) all.set(key, taken);
  }

  #of(task: Task): Progress {
    let progress = this.#progress.get(task);
    if (progress === undefined) {
      progress = { hasBegun: false, taken: new Map(), holder: undefined };
      this.#progress.set(task, progress);
    }
    return progress;
  }

  /** What is sent while a peer is away gets lost: it asks for it again. */
  #sendTo(peer: string | undefined, method: string, params: object): boolean {
    if (peer === undefined) return false;
    this.#turn.send(peer, notification(method, params as Params));
    return true;
  }
}

/** A batch with nothing in it only asks how far the consumer is. */
function hasContent({ items, end }: StreamBatch): boolean {
  return items.length > 0 || end === true;
}

/** Why a call whose streams have begun can't go on. */
export function streamLost(): ReturnType<typeof errorObject> {
  return errorObject(
    ErrorCode.StreamLost,
    "The broker does not know this stream any more, of which items went by: it was restarted, or the client was away for too long",
  );
}

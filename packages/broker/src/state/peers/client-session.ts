// A client that introduced itself: where it is now, and which answers it may not have received.
import { Deque, IndexedSet, type Response } from "zerotask-core";
import type { Tally } from "../load.ts";
import type { Durability } from "../storage/stored-task.ts";
import type { Task } from "../tasks/task.ts";
import type { Turn } from "../turn.ts";
import { type Addressee, nobody } from "./addressee.ts";

interface Delivery {
  readonly task: Task;
  readonly number: number;
  readonly at: number;
}

export class ClientSession {
  readonly kind = "client";
  readonly id: string;
  /** Proves who it is; a client that introduced itself without a protocol has none. */
  readonly token: string | undefined;
  /** The connection it is on now. */
  peer: string | undefined = undefined;
  /** Who is owed the answers to what is asked on this connection: after another one has begun, nobody is. */
  addressee: Addressee = nobody;
  lastSeen: number;
  /** Whether the disk knows it, so that it can come back after a restart. */
  isSaved = false;
  /** Where it has submitted tasks to. */
  readonly levels: Set<Durability> = new Set();
  /** Its unsettled tasks, and their bytes. */
  readonly load: Tally = { tasks: 0, bytes: 0 };
  /** Forgotten: should it come back, that is a new session. */
  isGone = false;
  /** Its calls that are not settled. */
  readonly calls: IndexedSet<"ownerIndex", Task> = new IndexedSet("ownerIndex");
  readonly #turn: Turn;
  readonly #deliveries = new Deque<Delivery>();
  /** Responses sent so far, and as many as had been sent when this connection began. */
  #sent = 0;
  #base = 0;
  /** Bytes of the answers that are kept. */
  #bytes = 0;

  constructor(id: string, token: string | undefined, turn: Turn) {
    this.id = id;
    this.token = token;
    this.#turn = turn;
    this.lastSeen = turn.now;
  }

  attach(peer: string): void {
    this.peer = peer;
    this.#base = this.#sent;
    const addressee: Addressee = {
      deliver: (response) => {
        if (this.addressee === addressee) this.#deliver(response);
      },
    };
    this.addressee = addressee;
  }

  /**
   * Delivers the answer to a call, whose record is kept until the client says that it has it. A call that was
   * made on an earlier connection is answered when it is made again.
   */
  deliverAnswer(task: Task, response: Response): void {
    if (task.addressee === this.addressee) this.#deliver(response);
    this.#deliveries.push({ task, number: this.#sent, at: this.#turn.now });
    task.deliveryNumber = this.#sent;
    this.#bytes += task.settled?.bytes ?? 0;
  }

  /**
   * The client has received `count` responses on this connection. It asked again for all that it missed
   * before, so what was sent on earlier connections is settled too.
   * @returns the records that are not needed any more
   */
  acknowledge(count: number): Task[] {
    return this.#release(({ number }) => number <= this.#base + count);
  }

  /** Gives up answers from before `time`, and the oldest over a number or a size. */
  expireAnswers(time: number, most: number, mostBytes: number): Task[] {
    return this.#release(({ at }) => at < time || this.#deliveries.size > most || this.#bytes > mostBytes);
  }

  /** Gives up all answers that it may not have received. */
  dropAnswers(): Task[] {
    return this.#release(() => true);
  }

  #deliver(response: Response): void {
    if (this.peer === undefined) return;
    this.#sent++;
    this.#turn.send(this.peer, response);
  }

  #release(condition: (delivery: Delivery) => boolean): Task[] {
    const released: Task[] = [];
    for (let first = this.#deliveries.peek(); first && condition(first); first = this.#deliveries.peek()) {
      this.#deliveries.shift();
      this.#bytes -= first.task.settled?.bytes ?? 0;
      // One that was delivered again stands further back in the queue, too.
      if (first.task.deliveryNumber === first.number) released.push(first.task);
    }
    return released;
  }
}

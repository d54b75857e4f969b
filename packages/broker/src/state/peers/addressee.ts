// Who is owed a response: the peer of a session, as answers come, or a plain peer, one reply to each message.
import type { Message, Response, Shape } from "zerotask-core";
import type { Turn } from "../turn.ts";

export interface Addressee {
  /** Takes the response to one of its requests. */
  deliver(response: Response): void;
}

/** Of a notification nobody wants a response. */
export const nobody: Addressee = { deliver: () => undefined };

/** Collects the responses to one message of a peer without a session, and replies once (JSON-RPC 2.0, section 6). */
export class ReplyGroup implements Addressee {
  readonly #turn: Turn;
  readonly #peer: string;
  readonly #shape: Shape;
  readonly #batch: boolean;
  readonly #responses: Message[] = [];
  #owed = 0;
  #sealed = false;

  constructor(turn: Turn, peer: string, shape: Shape, batch: boolean) {
    this.#turn = turn;
    this.#peer = peer;
    this.#shape = shape;
    this.#batch = batch;
  }

  /** One more response will come. */
  expect(): void {
    this.#owed++;
  }

  deliver(response: Response): void {
    this.#owed--;
    this.#responses.push(response);
    this.#replyIfComplete();
  }

  /** The whole message has been read: nothing more is expected. */
  seal(): void {
    this.#sealed = true;
    this.#replyIfComplete();
  }

  #replyIfComplete(): void {
    if (!this.#sealed || this.#owed > 0) return;
    const [first] = this.#responses;
    const nothing = first === undefined;
    if (nothing && this.#shape === "dealer") return;
    const message = nothing ? null : this.#batch ? this.#responses : first;
    this.#turn.emit({ type: "reply", peer: this.#peer, shape: this.#shape, message });
  }
}

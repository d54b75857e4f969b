// The connections that workers ask for: their sockets are here, on the main thread.
import type { Connection, Dial } from "zerotask-core";
import { FromWorker, type Line, ToWorker } from "../worker/protocol.ts";

/** Most connections of one worker. It needs one to each broker. */
const maxConnections = 1_000;

export class WorkerSockets {
  readonly #dial: Dial;
  readonly #endpoint: (link: number) => string;
  readonly #send: (line: string) => void;
  readonly #open = new Map<number, Connection>();

  constructor(dial: Dial, endpoint: (link: number) => string, send: (line: string) => void) {
    this.#dial = dial;
    this.#endpoint = endpoint;
    this.#send = send;
  }

  take(line: Line): void {
    const id = line.number();
    const connection = this.#open.get(id);
    switch (line.letter) {
      case FromWorker.Open:
        this.#connect(id, this.#endpoint(line.number()));
        break;
      case FromWorker.Message:
        connection?.send(line.rest());
        break;
      case FromWorker.Limit:
        connection?.limit({ entries: line.number(), bytes: line.number() });
        break;
      case FromWorker.Close:
        connection?.close();
        this.#open.delete(id);
        break;
    }
  }

  close(): void {
    for (const connection of this.#open.values()) connection.close();
    this.#open.clear();
  }

  #connect(id: number, endpoint: string): void {
    if (this.#open.size >= maxConnections) {
      this.#send(`${ToWorker.Lost} ${id}`);
      return;
    }
    const connection = this.#dial(endpoint, {
      // JSON has line breaks where somebody put them, for their own eyes.
      onMessage: (bytes) =>
        this.#send(`${ToWorker.Message} ${id} ${Buffer.from(bytes).toString().replaceAll("\n", " ")}`),
      onLost: () => {
        this.#open.delete(id);
        this.#send(`${ToWorker.Lost} ${id}`);
      },
    });
    this.#open.set(id, connection);
  }
}

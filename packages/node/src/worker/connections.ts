// A worker's connections to brokers: the node's main thread has the sockets, and passes on what comes and goes.
import type { Connection, ConnectionHandlers } from "zerotask-core";
import type { Lines } from "./port.ts";
import { FromWorker } from "./protocol.ts";

export class WorkerConnections {
  readonly #lines: Lines;
  readonly #open = new Map<number, ConnectionHandlers>();
  #last = 0;

  constructor(lines: Lines) {
    this.#lines = lines;
  }

  dial(link: number, handlers: ConnectionHandlers): Connection {
    const id = ++this.#last;
    this.#open.set(id, handlers);
    const say = (letter: string, rest: string | number = ""): void => {
      if (this.#open.has(id)) this.#lines.send(`${letter} ${id} ${rest}`);
    };
    say(FromWorker.Open, link);
    return {
      send: (text) => say(FromWorker.Message, text),
      limit: ({ entries, bytes }) => say(FromWorker.Limit, `${entries} ${bytes}`),
      close: () => {
        say(FromWorker.Close);
        this.#open.delete(id);
      },
    };
  }

  onMessage(id: number, text: string): void {
    this.#open.get(id)?.onMessage(Buffer.from(text));
  }

  onLost(id: number): void {
    const handlers = this.#open.get(id);
    this.#open.delete(id);
    handlers?.onLost();
  }
}

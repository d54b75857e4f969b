// What handlers share for as long as the node lives: opened in order before the first task, closed in reverse after the last.
import { type Logger, nameOption, OptionError, type Runtime } from "zerotask-core";

interface Provided {
  readonly name: string;
  readonly open: () => unknown;
  readonly close: ((resource: never) => unknown) | undefined;
}

interface Opened extends Provided {
  readonly resource: unknown;
}

const checkName = nameOption(200);
/** A connection that does not come to an end must not keep a node from ending. */
const closeMs = 5_000;
/** What all together have: those whose turn comes later are closed, but not waited for. */
export const closeAllMs = 10_000;

export class Resources {
  readonly #logger: Logger;
  readonly #runtime: Runtime;
  readonly #provided = new Map<string, Provided>();
  readonly #opened = new Map<string, Opened>();
  #wasOpened = false;
  #isClosed = false;

  constructor(logger: Logger, runtime: Runtime) {
    this.#logger = logger;
    this.#runtime = runtime;
  }

  provide<T>(
    name: string,
    open: () => T | PromiseLike<T>,
    close: ((resource: T) => unknown) | undefined,
  ): void {
    checkName("name", name);
    if (typeof open !== "function") throw new OptionError("open", "a function", open);
    if (close !== undefined && typeof close !== "function") {
      throw new OptionError("close", "a function", close);
    }
    if (this.#wasOpened) throw new OptionError("name", "provided before the node is started", name);
    if (this.#provided.has(name)) throw new OptionError("name", "a name that is not provided yet", name);
    this.#provided.set(name, { name, open, close });
  }

  get(name: string): unknown {
    const opened = this.#opened.get(name);
    if (opened !== undefined) return opened.resource;
    const names = [...this.#opened.keys()].map((known) => JSON.stringify(known)).join(", ") || "nothing";
    throw new Error(`Expected the name of a resource that is open (${names}), got ${JSON.stringify(name)}`);
  }

  /**
   * Nothing more can be provided from here on.
   * @returns undefined where there is nothing to open. Rejects when one can't be opened; then none is open.
   */
  open(): Promise<void> | undefined {
    this.#wasOpened = true;
    return this.#provided.size === 0 ? undefined : this.#openAll();
  }

  async #openAll(): Promise<void> {
    for (const provided of this.#provided.values()) {
      const { name, open } = provided;
      try {
        this.#opened.set(name, { ...provided, resource: await open() });
      } catch (error) {
        await this.close();
        const why = error instanceof Error ? error.message : String(error);
        throw new Error(`Can't open the resource ${JSON.stringify(name)}: ${why}`, { cause: error });
      }
      // It was closed while this one opened.
      if (this.#isClosed) return this.close();
    }
  }

  /** In reverse order, one after the other, within `closeAllMs`. What can't be closed is logged. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const endsAt = this.#runtime.now() + closeAllMs;
    for (const { name, close, resource } of [...this.#opened.values()].reverse()) {
      this.#opened.delete(name);
      if (close === undefined) continue;
      try {
        const left = Math.max(0, endsAt - this.#runtime.now());
        await this.#inTime(async () => close(resource as never), Math.min(closeMs, left));
      } catch (error) {
        this.#logger.error({ err: error, resource: name }, "could not close a resource");
      }
    }
  }

  #inTime(close: () => Promise<unknown>, ms: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = this.#runtime.after(ms, () =>
        reject(new Error(`Expected it to be closed within ${Math.round(ms)} ms`)),
      );
      close()
        .then(() => resolve(), reject)
        .finally(() => timer.cancel());
    });
  }
}

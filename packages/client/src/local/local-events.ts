// What happens to all tasks of one process, for loops that follow it.
import { knownOptions, OptionError } from "zerotask-core";
import type { EventFilter } from "../events/feeds.ts";
import { isFinal, type TaskEvent } from "../events/task-event.ts";

interface Loop {
  readonly filter: EventFilter<unknown>;
  readonly events: TaskEvent[];
  /** How many were dropped, as the loop was too slow. */
  missed: number;
  wake: (() => void) | undefined;
}

const mostWaiting = 100_000;
const filterNames = ["method", "task", "event"] as const;

export class LocalEvents {
  readonly #loops = new Set<Loop>();
  #hasEnded = false;

  /** Tells every loop. */
  tell(event: TaskEvent): void {
    for (const loop of this.#loops) {
      if (!isWanted(loop.filter, event)) continue;
      loop.events.push(event);
      if (loop.events.length > mostWaiting) {
        loop.events.shift();
        loop.missed++;
      }
      loop.wake?.();
    }
  }

  /** Nothing more happens. */
  end(): void {
    this.#hasEnded = true;
    for (const loop of this.#loops) loop.wake?.();
  }

  /** What happens from now on; of one task until it is settled. @throws OptionError */
  follow(filter: EventFilter<unknown> = {}): AsyncIterable<TaskEvent> {
    knownOptions("event", filter, filterNames);
    for (const name of filterNames) {
      const value = filter[name];
      if (value !== undefined && (typeof value !== "string" || value === "")) {
        throw new OptionError(name, "a string", value);
      }
    }
    return { [Symbol.asyncIterator]: () => this.#loop(filter) };
  }

  #loop(filter: EventFilter<unknown>): AsyncGenerator<TaskEvent> {
    const loop: Loop = { filter, events: [], missed: 0, wake: undefined };
    this.#loops.add(loop);
    return this.#read(loop);
  }

  async *#read(loop: Loop): AsyncGenerator<TaskEvent> {
    try {
      for (;;) {
        const event = loop.events.shift();
        if (event !== undefined) {
          if (loop.missed > 0) yield { ...event, event: "gap", data: undefined };
          loop.missed = 0;
          yield event;
          if (loop.filter.task !== undefined && isFinal(event)) return;
        } else if (this.#hasEnded) return;
        else {
          await new Promise<void>((resolve) => {
            loop.wake = resolve;
          });
          loop.wake = undefined;
        }
      }
    } finally {
      this.#loops.delete(loop);
    }
  }
}

function isWanted({ method, task, event }: EventFilter<unknown>, told: TaskEvent): boolean {
  if (method !== undefined && told.method !== method) return false;
  if (task !== undefined && told.taskId !== task) return false;
  return event === undefined || told.event === event;
}

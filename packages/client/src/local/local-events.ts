// What happens to all tasks of one process: its numbers, and the loops that follow it.
import { Deque, EventName, knownOptions, OptionError } from "zerotask-core";
import type { EventFilter } from "../events/feeds.ts";
import type { TaskEvent } from "../events/task-event.ts";
import type { Journal } from "./journal.ts";
import { LocalLoop, type LoopSource, picked } from "./local-loop.ts";

/** A loop over all tasks. */
interface Listener {
  readonly filter: EventFilter<unknown>;
  readonly events: Deque<TaskEvent>;
  /** The last one of those that were dropped, as the loop was too slow. */
  missed: TaskEvent | undefined;
  readonly wake: () => void;
}

const mostWaiting = 100_000;
const filterNames = ["method", "task", "event"] as const;

export class LocalEvents {
  readonly #listeners = new Set<Listener>();
  readonly #loops = new Set<{ fail(error: Error): void }>();
  #seq = 0;
  #closed: Error | undefined;

  /** The number of what happens next. */
  nextSeq(): number {
    return ++this.#seq;
  }

  /** Tells every loop. */
  tell(event: TaskEvent): void {
    for (const listener of this.#listeners) {
      if (!isWanted(listener.filter, event)) continue;
      listener.events.push(event);
      if (listener.events.size > mostWaiting) listener.missed = listener.events.shift();
      listener.wake();
    }
  }

  /** Nobody hears of anything any more: all loops throw this, also those that begin now. */
  close(error: Error): void {
    this.#closed = error;
    for (const loop of this.#loops) loop.fail(error);
  }

  /**
   * What happens from now on; of one task what is kept and what comes, until it is settled.
   * @param journalOf what happened to the task of an id
   * @throws OptionError
   */
  follow(
    filter: EventFilter<unknown> = {},
    journalOf: (id: string) => Journal<TaskEvent>,
  ): AsyncIterable<TaskEvent> {
    knownOptions("event", filter, filterNames);
    for (const name of filterNames) {
      const value = filter[name];
      if (value !== undefined && (typeof value !== "string" || value === "")) {
        throw new OptionError(name, "a string that is not empty", value);
      }
    }
    const { task } = filter;
    if (task === undefined) return this.loop((wake) => this.#listen(filter, wake));
    const pick = (event: TaskEvent): TaskEvent | undefined => (isWanted(filter, event) ? event : undefined);
    return this.loop((wake) => picked(journalOf(task).read(true, wake), pick));
  }

  /** What can be looped over, each time from its beginning, until the client is closed. */
  loop<Item>(open: (wake: () => void) => LoopSource<Item>): AsyncIterable<Item> {
    return {
      [Symbol.asyncIterator]: () => {
        const loop: LocalLoop<Item> = new LocalLoop(open, () => void this.#loops.delete(loop));
        if (this.#closed === undefined) this.#loops.add(loop);
        else loop.fail(this.#closed);
        return loop;
      },
    };
  }

  #listen(filter: EventFilter<unknown>, wake: () => void): LoopSource<TaskEvent> {
    const listener: Listener = { filter, events: new Deque(), missed: undefined, wake };
    this.#listeners.add(listener);
    return {
      take: () => {
        const { missed, events } = listener;
        listener.missed = undefined;
        return missed === undefined ? events.shift() : gapAfter(missed);
      },
      end: () => undefined,
      leave: () => void this.#listeners.delete(listener),
    };
  }
}

/** Stands for events that are kept no longer. */
export function gapAfter(event: TaskEvent): TaskEvent {
  return { ...event, event: EventName.Gap, data: undefined };
}

function isWanted({ method, task, event }: EventFilter<unknown>, told: TaskEvent): boolean {
  if (method !== undefined && told.method !== method) return false;
  if (task !== undefined && told.taskId !== task) return false;
  return event === undefined || told.event === event || told.event === EventName.Gap;
}

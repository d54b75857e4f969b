// Timers that end with the task that they are of, for times of any length.
import { maxTimerMs, type Runtime, type Timer } from "zerotask-core";

export class TaskTimers {
  readonly #runtime: Runtime;
  readonly #timers = new Map<object, Set<Timer>>();

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /** Calls `callback` in `ms` milliseconds, unless it or all of its task's are cancelled before. */
  arm(task: object, ms: number, callback: () => void): Timer {
    const timers = this.#timers.get(task) ?? new Set();
    this.#timers.set(task, timers);
    let inner: Timer;
    const timer = {
      cancel: () => {
        inner.cancel();
        timers.delete(timer);
        if (timers.size === 0 && this.#timers.get(task) === timers) this.#timers.delete(task);
      },
    };
    // Longer times than a timer takes are waited for in parts.
    const wait = (left: number): void => {
      const part = Math.min(left, maxTimerMs);
      inner = this.#runtime.after(Math.ceil(part), () => {
        if (left > part) {
          wait(left - part);
          return;
        }
        timer.cancel();
        callback();
      });
    };
    wait(ms);
    timers.add(timer);
    return timer;
  }

  /** Cancels all that a task has. */
  cancel(task: object): void {
    for (const timer of [...(this.#timers.get(task) ?? [])]) timer.cancel();
  }
}

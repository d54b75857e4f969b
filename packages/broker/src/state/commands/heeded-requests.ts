// Requests that stop tasks or begin them anew happen once: who was not told sends them again on its next connection.
import type { Outcome } from "zerotask-core";
import type { Durability } from "../storage/stored-task.ts";
import { type Command, Refusal } from "./command.ts";
import type { Treatment } from "./task-finder.ts";

/** What a client asks for, and the connection that it came on. */
export interface Asked {
  /** None where it is not sent again: of a notification. */
  readonly name: string | undefined;
  readonly peer: string;
}

/** So many are known again when they are sent once more. */
const mostHeeded = 10_000;

/** Answers when all is stored that the outcome goes by, as far as it is. */
export type Answer = (command: Command, level: Durability | undefined, outcome: Outcome) => void;

export class HeededRequests {
  readonly #answer: Answer;
  /** By request, the oldest first: on which connection it came, and what became of it. */
  readonly #heeded = new Map<string, { readonly peer: string; readonly outcome: Outcome }>();

  constructor(answer: Answer) {
    this.#answer = answer;
  }

  /**
   * Tells what became of a request that was heeded on another connection, rather than heed it once more. Whether it was
   * is asked when its turn comes: what was sent before may still wait for a store when this arrives.
   */
  once(command: Command, taskId: string, { held, settled }: Treatment): Treatment {
    const asked = askedBy(command, taskId);
    const unlessHeeded = (level: Durability | undefined, act: () => void): void => {
      const before = asked.name === undefined ? undefined : this.#heeded.get(asked.name);
      if (before !== undefined && before.peer !== asked.peer) this.#answer(command, level, before.outcome);
      else this.#try(asked, act);
    };
    return {
      held: (task) => unlessHeeded(task.level, () => held(task)),
      // What is settled is stored, and so is what it was asked before.
      settled: (task, level) => unlessHeeded(undefined, () => settled(task, level)),
    };
  }

  /** This is what becomes of it, however often it is sent. */
  note({ name, peer }: Asked, outcome: Outcome): void {
    if (name === undefined) return;
    this.#heeded.delete(name);
    this.#heeded.set(name, { peer, outcome });
    const [oldest] = this.#heeded.keys();
    if (this.#heeded.size > mostHeeded && oldest !== undefined) this.#heeded.delete(oldest);
  }

  #try(asked: Asked, act: () => void): void {
    try {
      act();
    } catch (error) {
      if (error instanceof Refusal) this.note(asked, error.error);
      throw error;
    }
  }
}

/** Strangers have no other connection to ask on again. */
export function askedBy({ session, requestId, peer }: Command, taskId: string): Asked {
  const name = requestId === null ? undefined : JSON.stringify([session?.id ?? peer, requestId, taskId]);
  return { name, peer };
}

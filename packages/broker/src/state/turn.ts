// One turn of the state machine: the time it happens at, and the effects it gathers.
import type { Message } from "zerotask-core";
import type { Effect } from "./effect.ts";

/** The peer under which the broker's own process runs `broker.*` tasks. No routing id is empty. */
export const LOCAL_PEER = "";

export class Turn {
  #now = 0;
  #number = 0;
  #effects: Effect[] = [];

  get now(): number {
    return this.#now;
  }

  /** Which one it is, counted from the first. */
  get number(): number {
    return this.#number;
  }

  begin(now: number): void {
    this.#number++;
    this.#now = now;
  }

  end(): Effect[] {
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  emit(effect: Effect): void {
    this.#effects.push(effect);
  }

  send(peer: string, message: Message): void {
    this.#effects.push({ type: "send", peer, message });
  }

  announce(method: string, params: { readonly [name: string]: unknown }): void {
    this.#effects.push({ type: "announce", method, params });
  }
}

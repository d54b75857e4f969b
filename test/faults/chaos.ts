// Faults at random moments: which, when and to whom follows from the seed.
import type { ProxiedConnection, Side } from "./proxy.ts";
import type { Seeded } from "./seeded.ts";
import type { Seat, System } from "./system.ts";

const weights = {
  "kill broker": 10,
  "kill node": 18,
  "kill client": 8,
  "kill broker and clients": 5,
  "stop node": 10,
  "kill worker": 10,
  cut: 20,
  "cut all": 4,
  stall: 12,
  "stall all": 4,
  "half-open": 14,
} as const;

export type Fault = keyof typeof weights;

/** Between two faults, in ms. */
const pauseMs = [50, 900] as const;
/** Beyond the 2 s after which a silent peer is gone, and not. */
const silenceMs = [500, 4_500] as const;
const sides: readonly Side[] = ["peer", "broker"];

export class Chaos {
  readonly counts: Map<Fault, number> = new Map();
  readonly #system: System;
  readonly #chance: Seeded;
  /** Faults that go on, as long as they do. */
  readonly #going = new Set<Promise<void>>();

  constructor(system: System, chance: Seeded) {
    this.#system = system;
    this.#chance = chance;
  }

  /** Disturbs the system until `end` (of `performance.now()`), and resolves when no fault goes on any more. */
  async run(end: number): Promise<void> {
    while (performance.now() < end) {
      const fault = this.#chance.weighted(weights);
      const going = this.#cause(fault);
      if (going !== undefined) {
        this.counts.set(fault, (this.counts.get(fault) ?? 0) + 1);
        this.#going.add(going);
        void going.then(() => this.#going.delete(going));
      }
      await pause(this.#chance.int(...pauseMs));
    }
    await Promise.all(this.#going);
  }

  /** Returns nothing when nobody is there to whom it could be done just now. */
  #cause(fault: Fault): Promise<void> | undefined {
    const { broker, nodes, clients, proxy } = this.#system;
    const connection = this.#chance.pick(proxy.connections);
    switch (fault) {
      case "kill broker":
        return broker.part === undefined ? undefined : this.#system.killBroker();
      case "kill broker and clients":
        return broker.part === undefined ? undefined : this.#killBrokerAndClients();
      case "kill node":
        return this.#to(nodes, (seat) => this.#system.killNode(seat));
      case "kill client":
        return this.#to(clients, (seat) => this.#system.killClient(seat));
      case "kill worker":
        return this.#killWorker();
      case "stop node":
        return this.#to(nodes, (seat) => this.#stopNode(seat));
      case "cut":
        return connection === undefined ? undefined : cut([connection]);
      case "cut all":
        return cut(proxy.connections);
      case "stall":
        return connection === undefined ? undefined : this.#stall([connection]);
      case "stall all":
        return this.#stall(proxy.connections);
      case "half-open":
        return connection === undefined ? undefined : this.#halfOpen(connection);
    }
  }

  /** On Linux; elsewhere nobody knows who a process's children are. */
  #killWorker(): Promise<void> | undefined {
    const worker = this.#chance.pick(this.#system.nodes.flatMap(({ part }) => part?.children ?? []));
    if (worker === undefined) return undefined;
    process.kill(worker, "SIGKILL");
    return Promise.resolve();
  }

  #to(seats: readonly Seat[], act: (seat: Seat) => Promise<void>): Promise<void> | undefined {
    const seat = this.#chance.pick(seats.filter(({ part }) => part !== undefined && !part.isStopped));
    return seat === undefined ? undefined : act(seat);
  }

  /** Nobody is left who could submit again what was acknowledged: it is on disk, or lost. */
  async #killBrokerAndClients(): Promise<void> {
    const clients = this.#system.clients.filter(({ part }) => part !== undefined);
    await Promise.all([
      this.#system.killBroker(),
      ...clients.map((client) => this.#system.killClient(client)),
    ]);
  }

  async #stopNode({ part }: Seat): Promise<void> {
    part?.stop();
    await pause(this.#chance.int(...silenceMs));
    part?.continue();
  }

  async #stall(connections: readonly ProxiedConnection[]): Promise<void> {
    const ends = connections.map((connection) => connection.stall());
    await pause(this.#chance.int(...silenceMs));
    for (const end of ends) end();
  }

  async #halfOpen(connection: ProxiedConnection): Promise<void> {
    connection.halfOpen(this.#chance.pick(sides) ?? "peer");
  }
}

async function cut(connections: readonly ProxiedConnection[]): Promise<void> {
  for (const connection of connections) connection.cut();
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

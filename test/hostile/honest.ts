// Those beside the outlaws: a client and a node that keep to the protocol, and tasks that nobody else may touch.
import { expect } from "vitest";
import type { AsyncClient, Client, TaskHandle } from "zerotask-client";
import { current } from "zerotask-node";
import { connect, connectAsync, gate, startNode } from "../support/cluster.ts";
import { until } from "../support/wait.ts";
import type { Stolen } from "./vocabulary.ts";

const held = 3;
const get = "zerotask.broker.client_task_get";

export class Honest {
  readonly #client: Client;
  readonly #later: AsyncClient;
  readonly #release: (value: string) => void;
  readonly #handles: { readonly [status in "RUNNING" | "QUEUED" | "FINISHED"]: readonly TaskHandle[] };
  readonly #calls: readonly Promise<unknown>[];
  readonly stolen: Stolen;
  #count = 0;

  private constructor(
    parts: Pick<Parts, "client" | "later" | "release" | "handles" | "calls">,
    stolen: Stolen,
  ) {
    this.#client = parts.client;
    this.#later = parts.later;
    this.#release = parts.release;
    this.#handles = parts.handles;
    this.#calls = parts.calls;
    this.stolen = stolen;
  }

  /** Connects, and makes tasks that run, that wait, and that are settled. */
  static async start(endpoint: string): Promise<Honest> {
    const { opened, open } = gate<string>();
    const running: string[] = [];
    await startNode(endpoint, (dispatcher) => {
      dispatcher.add("honest.echo", (...params: unknown[]) => params);
      dispatcher.add("honest.hold", () => {
        running.push(current().id);
        return opened;
      });
    });
    const client = connect(endpoint);
    const later = connectAsync(endpoint);
    const calls = Array.from({ length: held }, () => client.$call("honest.hold"));
    await until("the calls to run", () => running.length === held);
    const callIds = [...running];
    const submit = (method: string): TaskHandle[] =>
      Array.from({ length: held }, (_, i) => later.$call(method, [i]));
    const key = "the-honest-one";
    const handles = {
      RUNNING: submit("honest.hold"),
      QUEUED: submit("honest.parked"),
      FINISHED: [...submit("honest.echo"), later.$with({ idempotencyKey: key }).$call("honest.echo", [7])],
    };
    await Promise.all(handles.FINISHED.map((handle) => handle.wait()));
    const parts = { client, later, release: open, handles, calls };
    const [first] = handles.RUNNING;
    await until("the tasks to run", async () => (await first?.status()) === "RUNNING");
    const { node_id: nodeId } = (await client.$call(get, [first?.id])) as { node_id: string };
    const idsOf = (some: readonly TaskHandle[]): string[] => some.map(({ id }) => id);
    return new Honest(parts, {
      clientId: (callIds[0] ?? "").replace(/-\d+$/, ""),
      nodeId,
      callIds,
      heldIds: idsOf(handles.RUNNING),
      queuedIds: idsOf(handles.QUEUED),
      settledIds: idsOf(handles.FINISHED),
      idempotencyKey: key,
    });
  }

  /** Calls and submits something, and gets the right answers. */
  async work(): Promise<void> {
    const n = ++this.#count;
    const [called, submitted] = await Promise.all([
      this.#client.$call("honest.echo", [n, "called"]),
      this.#later.$call("honest.echo", [n, "submitted"]).wait(10_000),
    ]);
    expect([called, submitted]).toEqual([
      [n, "called"],
      [n, "submitted"],
    ]);
  }

  /** All tasks are as they were: by their records, and by what comes of them when they may end. */
  async expectUntouched(): Promise<void> {
    for (const [status, handles] of Object.entries(this.#handles)) {
      for (const [i, { id }] of handles.entries()) {
        const record = await this.#client.$call(get, [id]);
        const attempt = status === "QUEUED" ? 0 : 1;
        expect(record).toMatchObject({ status, attempt, failures: 0, params: [i === held ? 7 : i] });
        if (status === "FINISHED") expect(record).toMatchObject({ result: [i === held ? 7 : i] });
      }
    }
    this.#release("released");
    const outcomes = [...this.#calls, ...this.#handles.RUNNING.map((handle) => handle.wait(10_000))];
    expect(new Set(await Promise.all(outcomes))).toEqual(new Set(["released"]));
    for (const { id } of this.#handles.RUNNING)
      expect(await this.#client.$call(get, [id])).toMatchObject({ status: "FINISHED", attempt: 1 });
  }
}

interface Parts {
  readonly client: Client;
  readonly later: AsyncClient;
  readonly release: (value: string) => void;
  readonly handles: { readonly [status in "RUNNING" | "QUEUED" | "FINISHED"]: readonly TaskHandle[] };
  readonly calls: readonly Promise<unknown>[];
}

// What the broker's shell does besides passing on messages.
import { expect, it, onTestFinished, vi } from "vitest";
import { Broker, memoryStore } from "zerotask-broker";
import { type Logger, type PublishHandlers, silentLogger, zeromqTransport } from "zerotask-core";
import { stopOnSignals } from "../../packages/core/src/command-line.ts";
import { until } from "../support/wait.ts";

interface Logged {
  readonly logger: Logger;
  readonly errors: { readonly data: object; readonly message: string }[];
}

function logged(): Logged {
  const errors: Logged["errors"] = [];
  return {
    errors,
    logger: { ...silentLogger, error: (data, message) => void errors.push({ data, message }) },
  };
}

it("says hello when announcements were dropped, so that subscribers ask for them", async () => {
  const published: string[] = [];
  let handlers: PublishHandlers = {};
  const broker = new Broker({
    address: "127.0.0.1",
    requestPort: 0,
    publishPort: 0,
    transport: {
      ...zeromqTransport,
      announcements: (given = {}) => {
        handlers = given;
        return {
          bind: async () => "tcp://127.0.0.1:1",
          hasListeners: () => true,
          publish: (text) => void published.push(text),
          close: async () => undefined,
        };
      },
    },
  });
  onTestFinished(() => broker.stop());
  await broker.start();
  published.length = 0;
  handlers.onDropped?.();
  expect(published.map((text) => JSON.parse(text).method)).toEqual(["zerotask.broker.hello"]);
});

it("logs errors under the name that loggers write them out by", async () => {
  const { logger, errors } = logged();
  const error = new Error("no");
  const store = memoryStore();
  store.close = () => Promise.reject(error);
  const broker = new Broker({ address: "127.0.0.1", requestPort: 0, publishPort: 0, store, logger });
  await broker.start();
  await broker.stop();
  expect(errors).toEqual([{ data: { err: error }, message: "could not close the store" }]);
});

it("logs so of what ends badly, and ends", async () => {
  const { logger, errors } = logged();
  const error = new Error("no");
  const exit = vi.spyOn(process, "exit").mockImplementation((() => undefined) as never);
  const before = process.listeners("SIGTERM");
  onTestFinished(() => {
    exit.mockRestore();
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      for (const added of process.listeners(signal)) {
        if (!before.includes(added) && added.name === "onSignal") process.off(signal, added);
      }
    }
  });
  stopOnSignals(() => Promise.reject(error), logger);
  process.emit("SIGTERM", "SIGTERM");
  await until("the exit", () => exit.mock.calls.length > 0);
  expect(errors).toEqual([{ data: { err: error }, message: "could not stop cleanly" }]);
});

import { expect, it } from "vitest";
import {
  checkTraits,
  errorToWire,
  limitsTable,
  type MethodTraits,
  optionsToWire,
  RetryError,
  traitsFromWire,
  traitsToWire,
  wireOptionsFromWire,
} from "zerotask-core";

const traits: MethodTraits = {
  maxRetries: 5,
  backoff: { initialMs: 10, maxMs: 20 },
  perGroup: { rate: "5/s" },
  singleton: { by: "params", mode: "queue" },
  batch: { max: 4, waitMs: 5 },
};
const wire = {
  max_retries: 5,
  backoff: { initial_ms: 10, max_ms: 20 },
  per_group: { rate: "5/s" },
  singleton: { by: "params", mode: "queue" },
  batch: { max: 4, wait_ms: 5 },
};

it("gives traits the names of the wire, and back", () => {
  expect(traitsToWire(traits)).toEqual(wire);
  expect(traitsFromWire(wire)).toEqual(traits);
});

it("passes over what is not set, and what is no option of the table", () => {
  expect(traitsToWire({ priority: undefined, name: "work" } as object)).toEqual({});
  expect(traitsFromWire({ priority: null, retries: undefined })).toEqual({});
  expect(() => checkTraits({ name: "work" } as MethodTraits)).not.toThrow();
});

it.each<[{ [name: string]: unknown }, string]>([
  [{ maxRetries: 5 }, "Expected `option of a method` to be one of retries, max_retries,"],
  [{ constructor: 1 }, "Expected `option of a method` to be one of"],
  [{ max_retries: -1 }, "Expected `max_retries` to be an integer of 0 or more, got -1"],
  [{ batch: { max: 2, waitMs: 5 } }, "Expected `option of a batch` to be one of max, wait_ms, got 'waitMs'"],
  [{ batch: 5 }, "Expected `batch` to be an object, got 5"],
  [{ singleton: { by: "name" } }, 'Expected `by` to be "method" or "params", got \'name\''],
])("refuses %o from the wire", (given, message) => {
  expect(() => traitsFromWire(given)).toThrow(message);
});

it("names the whole way to an option that is wrong", () => {
  expect(() => checkTraits({ backoff: { factor: 0 } })).toThrow(
    "Expected `backoff.factor` to be a number from 1 to 100",
  );
  expect(() => checkTraits({ batch: { wait: 5 } } as never)).toThrow(
    "Expected `batch option` to be one of max, waitMs",
  );
  expect(() => limitsTable.check({ perGroup: { concurrency: 0 } })).toThrow(
    "Expected `perGroup.concurrency`",
  );
});

it("tells the wire of a time as the broker's clock has it, or as a delay", () => {
  expect(optionsToWire({ at: new Date(17), priority: 3 })).toEqual({ at: 17, priority: 3 });
  expect(optionsToWire({ at: "2 s", batch: true, group: "a" })).toEqual({
    delay_ms: 2_000,
    batch: true,
    group: "a",
  });
  expect(wireOptionsFromWire({ delay_ms: 2_000 })).toEqual({ delayMs: 2_000 });
});

it("lets a handler ask for another run in words, and refuses a delay that is none", () => {
  expect(errorToWire(new RetryError({ delay: "1 min", message: "not yet" }))).toEqual({
    code: -32001,
    message: "not yet",
    data: { delay_ms: 60_000 },
  });
  expect(new RetryError().delayMs).toBe(0);
  expect(() => new RetryError({ delay: "soon" })).toThrow("Expected `delay` to be milliseconds, or words");
  expect(() => new RetryError({ dely: "30s" } as object)).toThrow(
    "Expected `retry option` to be one of delay, message, got 'dely'",
  );
  for (const wrong of ["30s", 30_000, null, []]) {
    expect(() => new RetryError(wrong as object)).toThrow(
      "Expected `retry options` to be an object with any of delay, message, got ",
    );
  }
});

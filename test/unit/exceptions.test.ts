// What is made of what handlers throw, whatever that is.
import { expect, it } from "vitest";
import { Dispatcher, encodeResponse, InvalidParamsError, type Response, silentLogger } from "zerotask-core";
import { Exceptions } from "../../packages/node/src/exceptions.ts";
import type { Run } from "../../packages/node/src/run.ts";

/** Can't be looked at. */
const hostile = new Proxy(
  {},
  {
    getPrototypeOf: () => {
      throw new Error("no prototype");
    },
    has: () => {
      throw new Error("has nothing");
    },
  },
);

it("answers whatever handlers throw or return, also what can't be looked at", async () => {
  const dispatcher = new Dispatcher();
  dispatcher.add("throws", () => {
    throw hostile;
  });
  dispatcher.add("rejects", async () => {
    throw hostile;
  });
  const circular: unknown[] = [];
  circular.push(circular);
  dispatcher.add("refuses", () => {
    throw new InvalidParamsError("odd", circular);
  });
  dispatcher.add("returns", () => hostile);
  dispatcher.add("resolves", async () => hostile);
  const answer = (method: string): Promise<Response | undefined> =>
    new Promise((resolve) => dispatcher.dispatch({ jsonrpc: "2.0", method, id: 1 }, resolve));
  for (const [method, message] of [
    ["throws", "A handler threw something that can't be looked at"],
    ["rejects", "A handler threw something that can't be looked at"],
    ["returns", "has nothing"],
    ["resolves", "has nothing"],
  ] as const)
    expect(await answer(method)).toMatchObject({ error: { code: -32000, message } });
  const refused = await answer("refuses");
  expect(refused && JSON.parse(encodeResponse(refused))).toMatchObject({
    error: { code: -32602, message: "odd" },
  });
});

it("logs what listeners for exceptions throw, now or later, and takes functions only", async () => {
  const errors: unknown[] = [];
  const exceptions = new Exceptions({ ...silentLogger, error: (data: object) => void errors.push(data) });
  expect(() => exceptions.listen(5 as never)).toThrow("Expected `listener` to be a function, got 5");
  const heard: unknown[] = [];
  exceptions.listen(async () => {
    throw new Error("later");
  });
  exceptions.listen(() => {
    throw new Error("now");
  });
  exceptions.listen((error) => heard.push(error));
  const run = { context: () => ({ id: "task", attempt: 1, method: "work" }), isAborted: false };
  exceptions.onThrown(run as unknown as Run, "thrown");
  expect(heard).toEqual(["thrown"]);
  await new Promise(setImmediate);
  expect(errors.slice(1)).toMatchObject([{ err: { message: "now" } }, { err: { message: "later" } }]);
});

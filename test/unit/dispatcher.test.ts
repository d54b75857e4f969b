import { expect, it } from "vitest";
import {
  addModule,
  Dispatcher,
  encodeResponse,
  lifecycle,
  type Params,
  type RequestId,
  type Response,
  task,
} from "zerotask-core";

function dispatch(
  dispatcher: Dispatcher,
  method: string,
  params?: Params,
  id: RequestId = 1,
): Promise<Response | undefined> {
  const request = { jsonrpc: "2.0", method, id, ...(params && { params }) } as const;
  return new Promise((resolve) => dispatcher.dispatch(request, resolve));
}

it("answers at once where the handler returns no promise", () => {
  const dispatcher = new Dispatcher();
  dispatcher.add("add", (a: number, b: number) => a + b);
  let response: Response | undefined;
  dispatcher.dispatch({ jsonrpc: "2.0", method: "add", params: [5, 6], id: "x" }, (given) => {
    response = given;
  });
  expect(response).toEqual({ jsonrpc: "2.0", id: "x", result: 11 });
});

it("answers a request with a null id, and no notification", async () => {
  const dispatcher = new Dispatcher();
  let runs = 0;
  dispatcher.add("run", () => ++runs);
  expect(await dispatch(dispatcher, "run", undefined, null)).toEqual({ jsonrpc: "2.0", id: null, result: 1 });
  const silent = await new Promise((resolve) =>
    dispatcher.dispatch({ jsonrpc: "2.0", method: "run" }, resolve),
  );
  expect([silent, runs]).toEqual([undefined, 2]);
});

it("turns whatever a handler throws into an error response", async () => {
  const dispatcher = new Dispatcher();
  const thrown: Record<string, unknown> = {
    error: new RangeError("no"),
    systemError: Object.assign(new Error("no file"), { code: "ENOENT" }),
    text: "just text",
    nothing: undefined,
    object: { a: 1 },
    unsendable: Object.assign(new Error("loop"), { data: 1n }),
  };
  for (const [name, value] of Object.entries(thrown)) {
    dispatcher.add(name, () => {
      throw value;
    });
    dispatcher.add(`${name}.later`, () => Promise.reject(value));
  }
  for (const later of ["", ".later"]) {
    expect(await dispatch(dispatcher, `error${later}`)).toMatchObject({
      error: { code: -32000, message: "no", data: { name: "RangeError", stack: expect.any(String) } },
    });
    expect(await dispatch(dispatcher, `systemError${later}`)).toMatchObject({
      error: { message: "no file" },
    });
    expect(await dispatch(dispatcher, `text${later}`)).toMatchObject({ error: { message: "just text" } });
    expect(await dispatch(dispatcher, `nothing${later}`)).toMatchObject({ error: { code: -32000 } });
    expect(await dispatch(dispatcher, `object${later}`)).toMatchObject({
      error: { data: { data: { a: 1 } } },
    });
    expect(await dispatch(dispatcher, `unsendable${later}`)).toMatchObject({ error: { message: "loop" } });
  }
});

it.each(["__proto__", "constructor", "toString", "hasOwnProperty", "nobody"])(
  "knows no %s",
  async (method) => {
    expect(await dispatch(new Dispatcher(), method)).toMatchObject({ error: { code: -32601 } });
  },
);

it("serves a method called __proto__ like any other", async () => {
  const dispatcher = new Dispatcher();
  dispatcher.add("__proto__", () => "served");
  expect(await dispatch(dispatcher, "__proto__")).toMatchObject({ result: "served" });
  expect(Object.prototype).not.toHaveProperty("served");
});

it.each<[string, string]>([
  ["", "1 to 256 characters"],
  ["rpc.discover", "outside of rpc.* and zerotask.*"],
  ["zerotask.x", "outside of rpc.* and zerotask.*"],
  ["taken", "a name that is not registered yet"],
])("refuses the name %j", (name, expected) => {
  const dispatcher = new Dispatcher();
  dispatcher.add("taken", () => 1);
  expect(() => dispatcher.add(name, () => 1)).toThrow(expected);
});

it("registers functions by name, with the default dispatcher or another", async () => {
  const dispatcher = new Dispatcher();
  const double = task({ name: "double", dispatcher }, (n: number) => n * 2);
  expect(double(2)).toBe(4);
  expect(await dispatch(dispatcher, "double", [21])).toMatchObject({ result: 42 });
  task("dispatcher.test.default", () => "here");
  expect(await dispatch(Dispatcher.instance(), "dispatcher.test.default")).toMatchObject({ result: "here" });
  expect(() => task("dispatcher.test.default", () => "again")).toThrow("not registered yet");
  expect(() => task({ dispatcher } as never, () => 1)).toThrow("Expected `name` to be a string");
  expect(() => task("name", 5 as never)).toThrow("Expected `handler` to be a function, got 5");
});

it("refuses classes of which it can't make a handler, when they are registered", () => {
  const dispatcher = new Dispatcher();
  class Arrow {
    start = async (): Promise<number> => 1;
  }
  class Work {
    start(): number {
      return 1;
    }
  }
  expect(() => task({ name: "arrow", dispatcher }, Arrow)).toThrow(
    "Expected `handler` to be a function, or a class with a method `start() {…}` " +
      "(a property `start = () => …` is none), got [class Arrow]",
  );
  expect(() => dispatcher.add("work", Work as never)).toThrow("lifecycle(Class)");
  for (const wrong of [5, class {}, Arrow, () => 1]) {
    expect(() => lifecycle(wrong as never)).toThrow(
      "Expected `Class` to be a class with a method `start() {…}`",
    );
  }
  expect(dispatcher.methods()).toEqual([]);
  task({ name: "work", dispatcher }, class extends Work {});
  dispatcher.add("text", String);
  expect(dispatcher.methods()).toEqual([{ name: "work" }, { name: "text" }]);
});

it("makes one instance of each exported class, however often it is exported, and keeps its `this`", async () => {
  let instances = 0;
  class Base {
    readonly greeting: string = "hello";
    constructor() {
      instances++;
    }
    @task hello(name: string): string {
      return `${this.greeting} ${name}`;
    }
    @task overridden(): string {
      return "base";
    }
    plain(): string {
      return "not served";
    }
  }
  class Derived extends Base {
    override overridden(): string {
      return "derived";
    }
    @task({ name: "other.name" }) own(): number {
      return 1;
    }
  }
  const dispatcher = new Dispatcher();
  addModule({ Derived, default: Derived, helper: () => 1, value: 5, none: null }, dispatcher);
  expect(instances).toBe(1);
  expect(
    dispatcher
      .methods()
      .map(({ name }) => name)
      .sort(),
  ).toEqual(["hello", "other.name"]);
  expect(await dispatch(dispatcher, "hello", ["you"])).toMatchObject({ result: "hello you" });
});

it("decorates public instance methods only, and only with standard decorators", () => {
  const legacy = task as unknown as (target: object, name: string, descriptor: object) => void;
  expect(() => legacy({}, "add", {})).toThrow();
  expect(() => {
    // biome-ignore lint/complexity/noStaticOnlyClass: that it is refused is what is tested
    class Wrong {
      @task static add(): number {
        return 1;
      }
    }
    return Wrong;
  }).toThrow("@task expects a public instance method");
});

it("sends a result that JSON can't hold as the task's failure", () => {
  const circular: { self?: unknown } = {};
  circular.self = circular;
  for (const result of [1n, circular, () => 1, Symbol("s"), { toJSON: () => undefined }]) {
    const response = JSON.parse(encodeResponse({ jsonrpc: "2.0", id: "x", result }));
    expect(response).toMatchObject({
      id: "x",
      error: { code: -32000, data: { message: expect.any(String) } },
    });
  }
});

// What compiles and what doesn't, of batch handlers and singletons. The assertions are made by the type checker.
import { expectTypeOf, it } from "vitest";
import { AsyncClient, Client, type TaskHandle } from "zerotask-client";
import { type Batch, Dispatcher, type MethodsOf, type Results, RetryError, task } from "zerotask-core";

const dispatcher = new Dispatcher();
const batch = { max: 64, waitMs: 5 };

const embed = task({ name: "embed", dispatcher, batch }, async (calls: Batch<[text: string]>) =>
  calls.map(([text]) => (text === "" ? new RetryError() : [text.length])),
);
const plainArray = task(
  { name: "texts.plain", dispatcher, batch },
  (calls: [text: string][]): Promise<(number[] | Error)[]> => Promise.resolve(calls.map(() => [1])),
);
const readonlyArray = task(
  { name: "texts.readonly", dispatcher, batch },
  (calls: readonly (readonly [id: number, label?: string])[]) =>
    calls.map(([id]) => ({ id, name: "", message: "" })),
);
const declared = task(
  { name: "texts.declared", dispatcher, batch },
  (calls: Batch<[text: string]>): Results<{ name: string; message: string }> =>
    calls.map(() => new Error("no")),
);
const promises = task({ name: "texts.promises", dispatcher, batch }, (calls: Batch<[n: number]>) =>
  calls.map(async ([n]) => n * 2),
);
const anything = task({ name: "anything", dispatcher }, (_value: unknown[]) => 1);
// biome-ignore lint/suspicious/noExplicitAny: that it is no batch handler is what is tested
const any = task({ name: "any", dispatcher }, (_value: any) => 1);
const never = task({ name: "never", dispatcher }, (_value: never) => 1);

class Embedder {
  @task({ name: "byMethod", batch }) byMethod(calls: Batch<[text: string]>): Promise<Results<number[]>> {
    return Promise.resolve(calls.map(() => [1]));
  }

  @task plain(text: string): string {
    return text;
  }
}

const tasks = {
  embed,
  plainArray,
  readonlyArray,
  declared,
  promises,
  anything,
  any,
  never,
  Embedder,
};

const neverRun = (_check: () => unknown): void => undefined;

it("types a batch handler by one of its calls, for clients of all kinds", () => {
  const client = new Client<typeof tasks>();
  const later = new AsyncClient<typeof tasks>();
  neverRun(() => {
    expectTypeOf(client.embed("a")).toEqualTypeOf<Promise<number[]>>();
    expectTypeOf(client.embed).parameters.toEqualTypeOf<[text: string]>();
    expectTypeOf(later.embed("a")).toEqualTypeOf<TaskHandle<number[], readonly [text: string]>>();
    expectTypeOf(client.byMethod("a")).toEqualTypeOf<Promise<number[]>>();
    expectTypeOf(client.plain("a")).toEqualTypeOf<Promise<string>>();
    expectTypeOf(client.texts.plain("a")).toEqualTypeOf<Promise<number[]>>();
    expectTypeOf(client.texts.readonly(1, "x").then(({ id }) => id)).toEqualTypeOf<Promise<number>>();
    expectTypeOf(client.texts.readonly(1)).toEqualTypeOf<
      Promise<{ id: number; name: string; message: string }>
    >();
    expectTypeOf(client.texts.promises(1)).toEqualTypeOf<Promise<number>>();
    // @ts-expect-error one call has no array
    client.embed([["a"]]);
    // @ts-expect-error a number is no string
    client.embed(5);
    // @ts-expect-error nor is it of a method
    client.byMethod(5);
    // @ts-expect-error one parameter is missing
    client.texts.plain();
  });
});

it("takes a result that looks like an error for a result", () => {
  const client = new Client<typeof tasks>();
  neverRun(() => {
    expectTypeOf(client.texts.declared("a")).toEqualTypeOf<Promise<{ name: string; message: string }>>();
  });
});

it("leaves the types of all other handlers alone", () => {
  expectTypeOf<MethodsOf<typeof tasks>["anything"]>().parameters.toEqualTypeOf<[_value: unknown[]]>();
  // biome-ignore lint/suspicious/noExplicitAny: see above
  expectTypeOf<MethodsOf<typeof tasks>["any"]>().parameters.toEqualTypeOf<[_value: any]>();
  expectTypeOf<MethodsOf<typeof tasks>["never"]>().parameters.toEqualTypeOf<[_value: never]>();
  const client = new Client<typeof tasks>();
  neverRun(() => expectTypeOf(client.anything([1])).toEqualTypeOf<Promise<number>>());
});

it("lets a batch handler be called with an array, as a test of it would", () => {
  neverRun(() => expectTypeOf(embed([["a"], ["b"]])).resolves.items.toEqualTypeOf<number[] | RetryError>());
});

it("refuses handlers that don't fit the option `batch`, and batch handlers without it", () => {
  neverRun(() => {
    // @ts-expect-error it takes no array
    task({ name: "wrong", batch }, (text: string) => [text]);
    // @ts-expect-error it takes an array of what is no params
    task({ name: "wrong", batch }, (texts: string[]) => texts);
    // @ts-expect-error it takes two arrays
    task({ name: "wrong", batch }, (calls: [string][], _more: [string][]) => calls);
    // @ts-expect-error it returns no array
    task({ name: "wrong", batch }, (calls: Batch<[string]>) => calls.length);
    // @ts-expect-error it promises no array
    task({ name: "wrong", batch }, async (calls: Batch<[string]>) => calls.length);
    // @ts-expect-error the option is missing
    task("wrong", (calls: Batch<[string]>) => calls.map(() => 1));
    // @ts-expect-error here, too
    task({ name: "wrong", retries: 1 }, (calls: Batch<[string]>) => calls.map(() => 1));
  });
});

it("refuses decorated methods whose param does not tell clients that they take a batch", () => {
  neverRun(() => {
    class Wrong {
      // @ts-expect-error clients would take it for a method whose param is an array
      @task({ batch }) unmarked(calls: [string][]): number[] {
        return calls.map(() => 1);
      }
      // @ts-expect-error it takes no array
      @task({ batch }) single(text: string): string[] {
        return [text];
      }
      // @ts-expect-error it returns no array
      @task({ batch }) noArray(calls: Batch<[string]>): number {
        return calls.length;
      }
      // @ts-expect-error the option is missing
      @task({ retries: 1 }) noOption(calls: Batch<[string]>): number[] {
        return calls.map(() => 1);
      }
      // @ts-expect-error here, too
      @task bare(calls: Batch<[string]>): number[] {
        return calls.map(() => 1);
      }
    }
    return Wrong;
  });
});

it("types the function that names a singleton's instances by the params of one call", () => {
  neverRun(() => {
    task({ name: "one", singleton: (id: string) => id }, (id: string, n: number) => id.repeat(n));
    task({ name: "one", singleton: (id) => id.toUpperCase() }, (id: string, n: number) => id.repeat(n));
    task(
      { name: "one", singleton: { by: (_id, n) => `${n}`, mode: "queue" } },
      (id: string, n: number) => id + n,
    );
    task({ name: "one", batch, singleton: (id) => id.toUpperCase() }, (calls: Batch<[id: string]>) => calls);
    task({ name: "one", singleton: true, concurrency: 1, rate: "5/s", priority: 3 }, () => 1);
    task({ name: "one", singleton: "queue", perGroup: { concurrency: 1 }, maxRetries: 5 }, () => 1);
    // @ts-expect-error the first param is a string
    task({ name: "one", singleton: (id: number) => `${id}` }, (id: string) => id);
    // @ts-expect-error a name is a string
    task({ name: "one", singleton: (id: string) => id.length }, (id: string) => id);
    // @ts-expect-error there are two ways to go on
    task({ name: "one", singleton: "wait" }, (id: string) => id);
    // @ts-expect-error nor can it be said this way
    task({ name: "one", singleton: { by: (id: string) => id, mode: "wait" } }, (id: string) => id);
    // @ts-expect-error no option at all
    task({ name: "one", importance: 1 }, (id: string) => id);
    // @ts-expect-error what runs one at a time is never collected
    task({ name: "one", batch, singleton: true }, (calls: Batch<[string]>) => calls);
    // @ts-expect-error nor is it where others wait
    task({ name: "one", batch, singleton: "queue" }, (calls: Batch<[string]>) => calls);
    // @ts-expect-error how many is not said
    task({ name: "one", batch: { waitMs: 5 } }, (calls: Batch<[string]>) => calls);
    // @ts-expect-error a number at a time
    task({ name: "one", concurrency: "1" }, (id: string) => id);
  });
});

it("types it for decorated methods, too", () => {
  neverRun(() => {
    class Right {
      @task({ singleton: (shop: string) => shop }) byName(shop: string, n: number): string {
        return shop.repeat(n);
      }
      @task({ singleton: { by: (_shop: string, n: number) => `${n}`, mode: "queue" } }) byNumber(
        shop: string,
        n: number,
      ): string {
        return shop.repeat(n);
      }
      @task({ singleton: (shop) => `${shop}` }) untyped(shop: string): string {
        return shop;
      }
      @task({ singleton: true, retries: 3 }) ofMethod(shop: string): string {
        return shop;
      }
      @task({ batch, singleton: (shop: string) => shop }) many(calls: Batch<[shop: string]>): number[] {
        return calls.map(() => 1);
      }
    }
    class Wrong {
      // @ts-expect-error the shop is a string
      @task({ singleton: (shop: number) => `${shop}` }) byName(shop: string): string {
        return shop;
      }
      // @ts-expect-error there is no second param
      @task({ singleton: { by: (_shop: string, n: number) => `${n}` } }) byNumber(shop: string): string {
        return shop;
      }
      // @ts-expect-error in a batch, too, it is that of one call
      @task({ batch, singleton: (shop: number) => `${shop}` }) many(calls: Batch<[shop: string]>): number[] {
        return calls.map(() => 1);
      }
      // @ts-expect-error what runs one at a time is never collected
      @task({ batch, singleton: true }) one(calls: Batch<[shop: string]>): number[] {
        return calls.map(() => 1);
      }
    }
    return [Right, Wrong];
  });
});

it("types a rate", () => {
  neverRun(() => {
    task({ name: "one", rate: "100/min", perGroup: { rate: "10 / 5 s" } }, () => 1);
    // @ts-expect-error within which time?
    task({ name: "one", rate: "100" }, () => 1);
    // @ts-expect-error how many?
    task({ name: "one", perGroup: { rate: "often" } }, () => 1);
  });
});

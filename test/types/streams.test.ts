// What compiles and what doesn't, of streams.
import { expectTypeOf, it } from "vitest";
import { AsyncClient, Client, type TaskHandle } from "zerotask-client";
import { type Batch, task } from "zerotask-core";

interface Row {
  id: number;
}

const rows = task("rows", async function* (_query: string) {
  yield { id: 1 };
});
const deep = task("deep.down.numbers", async (): Promise<AsyncIterable<number>> => rowsOf(1));
const plain = task("plain", (text: string) => text.length);
const namesake = task("plain.lines", async function* () {
  yield "line";
});
const sum = task("sum", async (numbers: AsyncIterable<number>, _start?: number) => {
  for await (const number of numbers) return number;
  return 0;
});
const double = task("double", async function* (numbers: AsyncIterable<number>) {
  for await (const number of numbers) yield `${number}`;
});
const batched = task({ name: "batched", batch: { max: 2, waitMs: 1 } }, (calls: Batch<[number]>) =>
  calls.map(([n]) => n),
);
class Service {
  @task async *lines(_file: string): AsyncGenerator<string> {
    yield "line";
  }
  @task size(): number {
    return 1;
  }
}
async function* rowsOf<T>(row: T): AsyncGenerator<T> {
  yield row;
}
/** Something that a module may export besides, and that leads back to itself. */
class Knot {
  readonly self: Knot = this;
  readonly when: Date = new Date(0);
  all(): Knot[] {
    return [this];
  }
}
const module = { rows, deep, plain, namesake, sum, double, batched, Service, knot: new Knot(), text: "text" };
type Module = typeof module;

const neverRun = (_check: () => unknown): void => undefined;

it("types what is read item by item", () => {
  const { $stream } = new Client<Module>();
  neverRun(() => {
    expectTypeOf($stream.rows("q")).toEqualTypeOf<AsyncIterable<Row>>();
    expectTypeOf($stream.deep.down.numbers()).toEqualTypeOf<AsyncIterable<number>>();
    expectTypeOf($stream.plain.lines()).toEqualTypeOf<AsyncIterable<string>>();
    expectTypeOf($stream.lines("file")).toEqualTypeOf<AsyncIterable<string>>();
    expectTypeOf($stream.double(rowsOf(1))).toEqualTypeOf<AsyncIterable<string>>();
    // biome-ignore lint/suspicious/noExplicitAny: that it is any is what is tested
    expectTypeOf($stream.$call("rows", ["q"])).toEqualTypeOf<AsyncIterable<any>>();
    // @ts-expect-error a query is a string
    $stream.rows(1);
    // @ts-expect-error it yields nothing
    $stream.plain("text");
    // @ts-expect-error nor does this
    $stream.sum(rowsOf(1));
    // @ts-expect-error nor this
    $stream.size();
    // @ts-expect-error nor this
    $stream.batched(1);
    // @ts-expect-error a stream of numbers
    $stream.double(rowsOf("text"));
  });
});

it("types what is collected, and streams among params", () => {
  const client = new Client<Module>();
  const later = new AsyncClient<Module>();
  neverRun(() => {
    expectTypeOf(client.rows("q")).toEqualTypeOf<Promise<{ id: number }[]>>();
    expectTypeOf(client.deep.down.numbers()).toEqualTypeOf<Promise<number[]>>();
    expectTypeOf(later.rows("q")).toEqualTypeOf<TaskHandle<{ id: number }[], readonly [query: string]>>();
    expectTypeOf(client.sum(rowsOf(1), 5)).toEqualTypeOf<Promise<number>>();
    expectTypeOf(client.batched(1)).toEqualTypeOf<Promise<number>>();
    // @ts-expect-error an array is no stream
    client.sum([1, 2]);
    client.$with({ window: { items: 10, bytes: 1_000 } }).rows("q");
    // @ts-expect-error a number of items
    client.$with({ window: { items: "10" } });
  });
});

it("lets a client without a type argument read anything", () => {
  const client = new Client();
  neverRun(() => {
    const numbers: AsyncIterable<number> = client.$stream.any.thing(1);
    return numbers;
  });
});

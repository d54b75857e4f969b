// What may happen at random to a broker whose tasks are stopped, started and made anew.
import fc from "fast-check";

export const methods: readonly { readonly name: string; readonly [option: string]: unknown }[] = [
  { name: "plain" },
  { name: "equal", coalesce: true },
  { name: "named", singleton: { by: "params", mode: "queue" } },
  { name: "one", singleton: { by: "method", mode: "queue" } },
  { name: "both", singleton: { by: "params", mode: "queue" }, coalesce: true },
];
export const nodes: readonly string[] = ["n", "m"];
const often = <T>(weight: number, arbitrary: fc.Arbitrary<T>): fc.WeightedArbitrary<T> => ({
  weight,
  arbitrary,
});
const maybe = <T>(...values: readonly T[]): fc.Arbitrary<T | undefined> =>
  fc.constantFrom(undefined, undefined, ...values);

/** Half of the time about the tasks that were asked for last. */
const which = fc.nat(11);
export const step = fc.oneof(
  often(
    11,
    fc.record({
      what: fc.constant("submit" as const),
      method: fc.constantFrom(...methods.map(({ name }) => name)),
      param: fc.constantFrom("a", "b"),
      options: fc.record({
        retries: maybe(2),
        timeout_ms: maybe(50, 500),
        deadline_ms: maybe(1_000),
        expires_ms: maybe(200),
        discard: maybe(true),
        delay_ms: maybe(100),
        durability: maybe("memory"),
      }),
    }),
  ),
  often(
    5,
    fc.record({
      what: fc.constant("client_task_stop" as const),
      which,
      more: fc.record({ confirm: fc.boolean(), grace_ms: fc.constantFrom(10, 1_000, 60_000) }),
    }),
  ),
  often(2, fc.record({ what: fc.constant("client_task_start" as const), which, more: fc.constant({}) })),
  often(
    4,
    fc.record({
      what: fc.constant("client_task_reload" as const),
      which,
      more: fc.record({ params: maybe(["a"], ["b"], ["cc"]), grace_ms: fc.constant(100) }),
    }),
  ),
  often(1, fc.record({ what: fc.constant("client_task_wait" as const), which, more: fc.constant({}) })),
  often(
    12,
    fc.record({
      what: fc.constant("answer" as const),
      which: fc.nat(),
      how: fc.constantFrom("result", "failure", "again", "hand-back", "running", "unstoppable"),
      /** How it ended, where it was told to. */
      end: fc.constantFrom("cooperative", "killed", "never-started", undefined),
    }),
  ),
  often(4, fc.record({ what: fc.constant("name" as const), which: fc.nat() })),
  often(5, fc.record({ what: fc.constant("pass" as const), ms: fc.constantFrom(1, 10, 60, 600, 6_000) })),
  often(1, fc.record({ what: fc.constant("die" as const), node: fc.constantFrom(...nodes) })),
  often(2, fc.record({ what: fc.constant("come" as const), node: fc.constantFrom(...nodes) })),
  often(3, fc.record({ what: fc.constantFrom("cut client" as const, "hold" as const, "release" as const) })),
  often(1, fc.record({ what: fc.constantFrom("release" as const, "restart" as const) })),
);

export type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

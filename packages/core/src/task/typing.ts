// From the type of a module (`typeof import("./tasks.ts")`) to the type of what a client can call.
import type { PerCall } from "./batch-typing.ts";
import type { Handler } from "./handler.ts";
import type { NameOf, Task } from "./task.ts";

/**
 * What a module serves, as nested objects of its handlers: `"images.resize"` is `{images: {resize}}`. A batch handler is
 * there as it is called: with the params of one call.
 */
export type MethodsOf<Module> = UnionToIntersection<
  { [Key in keyof Module & string]: MethodsOfExport<Key, Module[Key]> }[keyof Module & string]
>;

type MethodsOfExport<Key extends string, Export> =
  Export extends Task<string, Handler>
    ? Nested<NameOf<Export>, PerCall<Export>>
    : Export extends abstract new (
          ...args: never[]
        ) => infer Instance
      ? Functions<Instance>
      : Export extends Handler | object
        ? { [K in Key]: PerCall<Export> }
        : never;

type Functions<T> = { [Key in keyof T & string as T[Key] extends Handler ? Key : never]: PerCall<T[Key]> };

type Nested<Name extends string, Fn> = Name extends `${infer Head}.${infer Rest}`
  ? { [K in Head]: Nested<Rest, Fn> }
  : { [K in Name]: Fn };

type UnionToIntersection<U> = (U extends unknown ? (value: U) => void : never) extends (
  value: infer I,
) => void
  ? I
  : never;

// Which params stand for live objects: strings that begin with a scheme for which there is a resolver.
import { OptionError, type Params } from "zerotask-core";
import type { TaskContext } from "../run-context.ts";

/** Makes of a param what the handler gets in its place. */
export type Resolver = (url: string, task: TaskContext) => unknown;

const schemePattern = /^[a-z][a-z0-9+.-]{0,99}:$/;
const longestScheme = 101;

export class Resolvers {
  readonly #resolvers = new Map<string, Resolver>();

  get size(): number {
    return this.#resolvers.size;
  }

  add(scheme: string, resolver: Resolver): () => void {
    const key = typeof scheme === "string" ? scheme.toLowerCase() : "";
    if (!schemePattern.test(key)) throw new OptionError("scheme", 'a name and a colon like "redis:"', scheme);
    if (typeof resolver !== "function") throw new OptionError("resolver", "a function", resolver);
    if (this.#resolvers.has(key)) {
      throw new OptionError("scheme", "a scheme that has no resolver yet", scheme);
    }
    this.#resolvers.set(key, resolver);
    return () => {
      if (this.#resolvers.get(key) === resolver) this.#resolvers.delete(key);
    };
  }

  /**
   * @param asked how the task was asked for: params by name that reach the handler as one object are resolved within it
   * @returns `params` itself where there is nothing to resolve
   */
  apply(
    params: readonly unknown[],
    asked: Params | undefined,
    task: () => TaskContext,
  ): readonly unknown[] | Promise<readonly unknown[]> {
    const [only] = params;
    if (params.length === 1 && only === asked && isObject(only)) return this.#applyByName(only, task);
    if (!params.some((param) => this.#of(param) !== undefined)) return params;
    return Promise.all(params.map((param) => this.#resolve(param, task)));
  }

  #applyByName(named: object, task: () => TaskContext): readonly unknown[] | Promise<readonly unknown[]> {
    const entries = Object.entries(named);
    if (!entries.some(([, param]) => this.#of(param) !== undefined)) return [named];
    const resolved = entries.map(async ([name, param]) => [name, await this.#resolve(param, task)] as const);
    return Promise.all(resolved).then((all) => [Object.fromEntries(all)]);
  }

  async #resolve(param: unknown, task: () => TaskContext): Promise<unknown> {
    const resolver = this.#of(param);
    return resolver === undefined ? param : resolver(param as string, task());
  }

  #of(param: unknown): Resolver | undefined {
    if (typeof param !== "string") return undefined;
    const colon = param.indexOf(":");
    if (colon < 1 || colon >= longestScheme) return undefined;
    return this.#resolvers.get(param.slice(0, colon + 1).toLowerCase());
  }
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

// `client.images.resize(…)`: turns property paths into method names, and answers nothing that others probe for.

/** Calls `method` with `args`. */
export type Invoke = (method: string, args: readonly unknown[]) => unknown;

/** `await` asks for `then`, `JSON.stringify` for `toJSON`, templates for `toString`: answering would send a call that nobody made. */
const probed: ReadonlySet<string> = new Set(["then", "toJSON", "toString", "valueOf"]);

/**
 * An object with the members of `controls`, and besides them every method by its name. Names that begin
 * with `$` are kept for controls; a method called so, or like what others probe for, is reached by `$call`.
 */
export function methodProxy(controls: object, invoke: Invoke): object {
  const children = new Map<string, object>();
  return new Proxy(controls, {
    get(target, key) {
      if (Object.hasOwn(target, key)) return Reflect.get(target, key);
      if (!isMethodName(key) || key.startsWith("$")) return undefined;
      return child(children, key, key, invoke);
    },
    set: refuseToSet,
  });
}

function methodNode(path: string, invoke: Invoke): object {
  const children = new Map<string, object>();
  return new Proxy(() => undefined, {
    get: (_target, key) => (isMethodName(key) ? child(children, key, `${path}.${key}`, invoke) : undefined),
    apply: (_target, _this, args) => invoke(path, args),
    set: refuseToSet,
  });
}

function child(children: Map<string, object>, key: string, path: string, invoke: Invoke): object {
  let node = children.get(key);
  if (node === undefined) {
    node = methodNode(path, invoke);
    children.set(key, node);
  }
  return node;
}

function isMethodName(key: string | symbol): key is string {
  return typeof key === "string" && !probed.has(key);
}

function refuseToSet(_target: object, key: string | symbol): never {
  throw new TypeError(`A client's methods can't be set, got ${String(key)}`);
}

// Loads users' modules into this thread, the same way in a node and in its workers.
import { type Dispatcher, loadModules } from "zerotask-core";
import type { NodeSetup } from "./pipeline/setup.ts";

/**
 * @param setup what modules set up by their `configure`: the node, or what stands for it in a worker
 * @throws Error when a path does not exist, or a module can't be loaded
 */
export async function loadNodeModules(
  modules: readonly string[],
  dispatcher: Dispatcher,
  setup: NodeSetup,
): Promise<void> {
  await loadModules(modules, { dispatcher, enableTypeScript, setup });
}

/** Both ways: a .ts file is CommonJS or ESM, by the "type" of the package.json above it. */
async function enableTypeScript(): Promise<void> {
  const [commonJs, esm] = await Promise.all([import("tsx/cjs/api"), import("tsx/esm/api")]);
  commonJs.register();
  esm.register();
}

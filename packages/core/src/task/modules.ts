// Loads users' modules and serves what they export. Tasks made with `task(name, fn)` register themselves.
import { readdir, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { Dispatcher } from "./dispatcher.ts";
import { taskMethods } from "./mark.ts";

export interface LoadOptions {
  readonly dispatcher: Dispatcher;
  /** Called once before the first TypeScript module is imported. */
  readonly enableTypeScript: () => Promise<unknown>;
  /** What a module's `configure` is called with, once, where it exports such a function. @default it is not called */
  readonly setup?: object;
}

const loadable = /\.[cm]?[jt]sx?$/;
const notLoadable = /\.(d\.[cm]?ts|(test|spec)\.[cm]?[jt]sx?)$/;
const typeScript = /\.[cm]?tsx?$/;

/**
 * Imports each module (or each module directly in a directory, by name) and serves its exported classes.
 * @throws Error when a path does not exist, a directory has no modules, or a module can't be loaded
 */
export async function loadModules(paths: readonly string[], options: LoadOptions): Promise<void> {
  const files = (await Promise.all(paths.map(modulesAt))).flat();
  if (files.some((file) => typeScript.test(file))) await options.enableTypeScript();
  for (const file of files) {
    try {
      const exports: object = await import(pathToFileURL(file).href);
      addModule(exports, options.dispatcher);
      if (options.setup !== undefined) await configureBy(exports, options.setup);
    } catch (error) {
      const why = error instanceof Error ? (error.stack ?? error.message) : String(error);
      throw new Error(`Can't load ${file}: ${why}`, { cause: error });
    }
  }
}

/** Makes one instance of every exported class that has `@task` methods, and serves them. */
export function addModule(exports: object, dispatcher: Dispatcher): void {
  // A CommonJS module's exports come as the default export.
  const inner = (exports as { default?: unknown }).default;
  const innerValues = typeof inner === "object" && inner !== null ? Object.values(inner) : [];
  for (const value of new Set<unknown>([...Object.values(exports), ...innerValues])) {
    if (isTaskClass(value)) dispatcher.addObject(new value());
  }
}

/** Calls the module's `configure`, if it has one, and waits for it. */
export async function configureBy(exports: object, setup: object): Promise<void> {
  const { configure, default: inner } = exports as { configure?: unknown; default?: unknown };
  const own = configure ?? (inner as { configure?: unknown } | null | undefined)?.configure;
  if (typeof own === "function") await own(setup);
}

async function modulesAt(path: string): Promise<string[]> {
  const absolute = resolve(path);
  const found = await stat(absolute).catch(() => undefined);
  if (found === undefined)
    throw new Error(`Expected a module or a directory of modules, found nothing at ${path}`);
  if (!found.isDirectory()) return [absolute];
  const names = (await readdir(absolute)).filter((name) => loadable.test(name) && !notLoadable.test(name));
  if (names.length === 0)
    throw new Error(`Expected a directory with modules (.ts, .js, .mjs), got ${path} without any`);
  return names.sort().map((name) => join(absolute, name));
}

function isTaskClass(value: unknown): value is new () => object {
  if (typeof value !== "function" || typeof value.prototype !== "object") return false;
  return value.prototype !== null && !taskMethods(value.prototype).next().done;
}

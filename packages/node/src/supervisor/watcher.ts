// Which files are watched: the sources in and below the folders of the modules, but for packages and hidden folders.
import { stat } from "node:fs/promises";
import { dirname, extname, relative, resolve, sep } from "node:path";
import { type FSWatcher, watch } from "chokidar";

const sources = new Set([...[".js", ".mjs", ".cjs", ".jsx"], ...[".ts", ".mts", ".cts", ".tsx"], ".json"]);

export interface WatchHandlers {
  onChange(path: string): void;
  /** Something can't be watched, such as more files than the system allows. */
  onError(error: unknown): void;
}

/** Resolves when changes from now on are seen. */
export async function watchModules(
  paths: readonly string[],
  { onChange, onError }: WatchHandlers,
): Promise<FSWatcher> {
  const folders = [...new Set(await Promise.all(paths.map(folderOf)))];
  const isIgnored = (path: string, stats?: { isFile(): boolean }): boolean => {
    const below = folders.map((folder) => relative(folder, path)).filter((name) => !name.startsWith(".."));
    if (below.every((name) => name.split(sep).some(isHidden))) return true;
    return stats?.isFile() === true && !sources.has(extname(path));
  };
  const watcher = watch(folders, { ignored: isIgnored, ignoreInitial: true });
  watcher.on("error", onError);
  watcher.on("all", (event, path) => {
    if (event !== "addDir" && event !== "unlinkDir") onChange(path);
  });
  await new Promise<void>((ready) => void watcher.once("ready", ready));
  return watcher;
}

async function folderOf(path: string): Promise<string> {
  const absolute = resolve(path);
  const found = await stat(absolute).catch(() => undefined);
  return found?.isDirectory() === true ? absolute : dirname(absolute);
}

function isHidden(name: string): boolean {
  return name === "node_modules" || (name.startsWith(".") && name !== ".");
}

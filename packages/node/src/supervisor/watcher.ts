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

type IsIgnored = (path: string, stats?: { isFile(): boolean }) => boolean;

/** How often it is looked whether a folder is another one by now, such as one that a build removes and makes again. */
const checkMs = 100;

/** Resolves when changes from now on are seen, with what ends it. */
export async function watchModules(
  paths: readonly string[],
  handlers: WatchHandlers,
): Promise<() => Promise<void>> {
  const folders = [...new Set(await Promise.all(paths.map(folderOf)))];
  const isIgnored: IsIgnored = (path, stats) => {
    const below = folders.map((folder) => relative(folder, path)).filter((name) => !name.startsWith(".."));
    if (below.every((name) => name.split(sep).some(isHidden))) return true;
    return stats?.isFile() === true && !sources.has(extname(path));
  };
  const ends = await Promise.all(folders.map((folder) => watchFolder(folder, isIgnored, handlers)));
  return async () => void (await Promise.all(ends.map((end) => end())));
}

/** What watches a folder that is gone sees nothing of one that comes in its place, and does not always tell that it is gone. */
async function watchFolder(
  folder: string,
  isIgnored: IsIgnored,
  handlers: WatchHandlers,
): Promise<() => Promise<void>> {
  let identity = await identityOf(folder);
  let watcher = await openWatcher(folder, isIgnored, handlers);
  let checking: Promise<void> | undefined;
  const check = async (): Promise<void> => {
    const before = identity;
    identity = await identityOf(folder);
    if (identity === undefined || identity === before) return;
    await watcher.close();
    watcher = await openWatcher(folder, isIgnored, handlers);
    // What came before it was watched.
    handlers.onChange(folder);
  };
  const timer = setInterval(() => {
    checking ??= check()
      .catch((error: unknown) => handlers.onError(error))
      .finally(() => {
        checking = undefined;
      });
  }, checkMs);
  return async () => {
    clearInterval(timer);
    await checking;
    await watcher.close();
  };
}

async function openWatcher(
  folder: string,
  isIgnored: IsIgnored,
  { onChange, onError }: WatchHandlers,
): Promise<FSWatcher> {
  const watcher = watch(folder, { ignored: isIgnored, ignoreInitial: true });
  watcher.on("error", onError);
  watcher.on("all", (event, path) => {
    if (event !== "addDir" && event !== "unlinkDir") onChange(path);
  });
  await new Promise<void>((ready) => void watcher.once("ready", ready));
  return watcher;
}

/** Which folder it is; nothing where there is none. */
async function identityOf(folder: string): Promise<string | undefined> {
  const found = await stat(folder).catch(() => undefined);
  // One that is made where another was removed may get the very number of that.
  return found?.isDirectory() === true ? `${found.dev} ${found.ino} ${found.birthtimeMs}` : undefined;
}

async function folderOf(path: string): Promise<string> {
  const absolute = resolve(path);
  return (await identityOf(absolute)) === undefined ? dirname(absolute) : absolute;
}

function isHidden(name: string): boolean {
  return name === "node_modules" || (name.startsWith(".") && name !== ".");
}

// The thread that writes to disk: it alone has the data file open, and answers requests in order.
import { parentPort } from "node:worker_threads";
import { closeDatabase, type Database, messageOf, openDatabase } from "./sqlite-database.ts";
import type { Answers, Request, Response } from "./sqlite-messages.ts";
import { SqliteTasks } from "./sqlite-tasks.ts";
import { StoreError } from "./store.ts";

interface Opened {
  readonly folder: string;
  readonly database: Database;
  readonly tasks: SqliteTasks;
}

let opened: Opened | undefined;
const reads: ReadonlySet<Request["type"]> = new Set(["get", "countBefore", "failed", "list", "counts"]);

function open(folder: string, maxBytes: number | undefined): Answers["open"] {
  const database = openDatabase(folder, maxBytes);
  const tasks = new SqliteTasks(database);
  opened = { folder, database, tasks };
  tasks.release();
  return tasks.summary();
}

function close({ folder, database, tasks }: Opened): undefined {
  try {
    tasks.release();
  } catch {
    // The next run releases them when it opens the file.
  }
  closeDatabase(database, folder);
  opened = undefined;
}

function perform(request: Request): Answers[keyof Answers] {
  if (request.type === "open") return open(request.folder, request.maxBytes);
  if (opened === undefined) throw new Error("it is not open");
  const { tasks } = opened;
  switch (request.type) {
    case "commit":
      return tasks.commit(request.changes);
    case "claim":
      return tasks.claim(request.claim);
    case "claimDue":
      return tasks.claimDue(request.now, request.limit);
    case "claimExpired":
      return tasks.claimExpired(request.now, request.limit);
    case "take":
      return tasks.take(request.ids);
    case "takeInstance":
      return tasks.takeInstance(request.instance);
    case "countBefore":
      return tasks.countBefore(request.id);
    case "failed":
      return tasks.failed(request.filter, request.before);
    case "get":
      return tasks.get(request.ids);
    case "list":
      return tasks.list(request.filter, request.after);
    case "counts":
      return tasks.counts();
    case "close":
      return close(opened);
  }
}

function answer(request: Request): Response {
  try {
    return { value: perform(request) };
  } catch (error) {
    if (error instanceof StoreError) return { error: { message: error.message, cause: error.cause } };
    const what = request.type === "open" ? "open" : reads.has(request.type) ? "read from" : "write to";
    const where = request.type === "open" ? request.folder : opened?.folder;
    return { error: { message: `Can't ${what} ${where}: ${messageOf(error)}`, cause: error } };
  }
}

parentPort?.on("message", (request: Request) => {
  const response = answer(request);
  parentPort?.postMessage(response);
  const isOver = request.type === "close" || (request.type === "open" && "error" in response);
  if (isOver) parentPort?.close();
});

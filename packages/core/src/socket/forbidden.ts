// Where no sockets may be: a thread that is ended while a socket of its own waits for a message takes its process with it.

// Several copies of this package may be loaded in one thread.
const key = Symbol.for("zerotask.sockets.forbidden");
const shared = globalThis as { [key]?: true };

/** From now on this thread makes no sockets. */
export function forbidSockets(): void {
  shared[key] = true;
}

/** A socket was to be made where there may be none. It is no outage: it never goes away. */
export class SocketsForbiddenError extends Error {
  override readonly name = "SocketsForbiddenError";
}

/** To be called before a socket is made. @throws SocketsForbiddenError where there may be none */
export function checkSockets(): void {
  if (shared[key] === undefined) return;
  throw new SocketsForbiddenError(
    'Expected no sockets in a task with isolate: "thread", got one: use current().client, or isolate: "process"',
  );
}

// What handlers print with `console` becomes lines of their tasks' logs, too.
import { format } from "node:util";
import { currentScope, type TaskLog } from "zerotask-core";

const levels = { debug: "debug", log: "info", info: "info", warn: "warn", error: "error" } as const;
type Printer = keyof typeof levels;

/** Several nodes of one process capture once. */
let captures = 0;
let restore: (() => void) | undefined;

/** From here on what is printed in a handler is logged with its task; it is printed as before. @returns what ends that */
export function captureConsole(): () => void {
  captures++;
  restore ??= capture();
  let isOver = false;
  return () => {
    if (isOver) return;
    isOver = true;
    if (--captures > 0) return;
    restore?.();
    restore = undefined;
  };
}

function capture(): () => void {
  const printers = Object.keys(levels) as Printer[];
  const originals = new Map(printers.map((name) => [name, console[name]]));
  for (const [name, original] of originals) {
    console[name] = (...args: unknown[]) => {
      original.apply(console, args);
      currentLog()?.[levels[name]](format(...args));
    };
  }
  return () => {
    for (const [name, original] of originals) console[name] = original;
  };
}

/** None outside of handlers, and in those that run many tasks at once. */
function currentLog(): TaskLog | undefined {
  try {
    return currentScope()?.context().log;
  } catch {
    return undefined;
  }
}

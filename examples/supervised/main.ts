// Two node processes under one supervisor: one that crashes is started again, and new code replaces both.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Broker } from "zerotask-broker";
import { Client, ZeroTaskError } from "zerotask-client";
import { Dispatcher } from "zerotask-core";

interface Answer {
  readonly pid: number;
  readonly version: number;
}

const folder = await mkdtemp(join(tmpdir(), "zerotask-supervised-"));
const fromRoot = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
await symlink(fromRoot("node_modules"), join(folder, "node_modules"));
const write = (version: number): Promise<void> =>
  writeFile(
    join(folder, "who.mjs"),
    `import { task } from "zerotask-core";
     task("who", () => ({ pid: process.pid, version: ${version} }));`,
  );
await write(1);

const broker = new Broker({ requestPort: 0, publishPort: 0, dispatcher: new Dispatcher() });
await broker.start();

// npx zerotask-node --processes 2 --watch <folder>
const { port } = new URL(broker.requestEndpoint);
const args = ["--processes", "2", "--watch", "-l", "fatal", "-r", port, folder];
const supervisor = spawn(process.execPath, [fromRoot("packages/node/bin/zerotask-node.js"), ...args], {
  stdio: ["ignore", "pipe", "inherit"],
});
const exited = once(supervisor, "exit");
const client = new Client<{ who(): Answer }>(broker.requestEndpoint, { timeoutMs: 5_000 });

/** Asks until so many different processes have answered that are wanted. */
async function processes(count: number, isWanted: (answer: Answer) => boolean): Promise<number[]> {
  const pids = new Set<number>();
  for (const end = Date.now() + 20_000; pids.size < count; ) {
    assert.ok(Date.now() < end, `Expected ${count} processes to answer, got ${[...pids]}`);
    // Several at once: they go to different nodes.
    for (const asked of await Promise.allSettled(Array.from({ length: 10 }, () => client.who()))) {
      if (asked.status === "fulfilled" && isWanted(asked.value)) pids.add(asked.value.pid);
      // A call may have been lost with the process that was killed.
      else if (asked.status === "rejected") assert.ok(asked.reason instanceof ZeroTaskError);
    }
  }
  return [...pids];
}

try {
  const [ready] = await once(supervisor.stdout, "data", { signal: AbortSignal.timeout(20_000) });
  assert.match(String(ready), /is ready: .* serves who, in 2 processes/);
  const first = await processes(2, () => true);

  const [victim = 0, survivor] = first;
  process.kill(victim, "SIGKILL");
  const second = await processes(2, ({ pid }) => pid !== victim);
  assert.ok(second.includes(survivor ?? 0)); // the other one went on

  await write(2);
  const third = await processes(2, ({ version }) => version === 2);
  assert.ok(third.every((pid) => !second.includes(pid)));

  supervisor.kill("SIGTERM");
  assert.deepEqual(await exited, [0, null]);
} finally {
  supervisor.kill("SIGKILL");
  await client.$close();
  await broker.stop();
  await rm(folder, { recursive: true });
}

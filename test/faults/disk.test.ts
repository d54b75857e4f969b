// A disk that fills up under the broker's command line: a small tmpfs, where this process may mount one.
import { spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { StoreFailedError } from "zerotask-client";
import { connectAsync } from "../support/cluster.ts";
import { freePort } from "../support/ports.ts";
import { startBrokerProcess } from "./nodes.ts";

const command = (name: string, ...args: string[]): boolean => spawnSync(name, args).status === 0;

/** Mounts a tmpfs of so many MB. Returns nothing where that is not allowed. */
async function smallDisk(megabytes: number): Promise<string | undefined> {
  const folder = await mkdtemp(join(tmpdir(), "zerotask-disk-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  if (!command("mount", "-t", "tmpfs", "-o", `size=${megabytes}m`, "tmpfs", folder)) return undefined;
  onTestFinished(() => void command("umount", "-l", folder));
  return folder;
}

it("acknowledges nothing when the disk is full, and has all that it acknowledged when there is room", async (context) => {
  const folder = await smallDisk(4);
  if (folder === undefined) context.skip("Mounting a tmpfs is not allowed here: it takes root");
  const [port, publishPort] = [String(await freePort()), String(await freePort())];
  const args = ["--data", folder as string, "-r", port, "-p", publishPort, "-l", "silent"];
  const first = await startBrokerProcess(...args);
  const endpoint = `tcp://127.0.0.1:${port}`;
  const text = "x".repeat(10_000);
  const accepted: string[] = [];
  const later = connectAsync(endpoint);
  const submit = async (): Promise<Error | undefined> => {
    const handle = later.parked(text);
    handle.wait().catch(() => undefined);
    return handle.accepted.then(
      () => void accepted.push(handle.id),
      (reason: Error) => reason,
    );
  };
  let error: Error | undefined;
  while (error === undefined) error = await submit();
  expect(error).toBeInstanceOf(StoreFailedError);
  expect(error.message).toContain("full");
  expect(await submit()).toBeInstanceOf(StoreFailedError);
  expect(accepted.length).toBeGreaterThan(10);
  // Nobody is there who could submit them again.
  await later.$close();
  await first.kill();
  expect(command("mount", "-o", "remount,size=64m", folder as string)).toBe(true);
  await startBrokerProcess(...args);
  const other = connectAsync(endpoint);
  const statuses = await Promise.all(accepted.map((id) => other.$handle(id).status()));
  expect(new Set(statuses)).toEqual(new Set(["QUEUED"]));
  expect(await other.parked(text).accepted).toBe("disk");
});

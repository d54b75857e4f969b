// `npm run demo`: a broker and a node as processes, and a call through a Client and an AsyncClient.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { AsyncClient, Client } from "zerotask-client";
import { root } from "./run.mjs";

const readyTimeoutMs = 20_000;

async function start(name, ...args) {
  const command = [`packages/${name}/bin/zerotask-${name}.js`, ...args];
  console.log(`$ npx zerotask-${name} ${args.join(" ")}`);
  const child = spawn(process.execPath, command, { cwd: root, stdio: ["ignore", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout });
  const [line] = await once(lines, "line", { signal: AbortSignal.timeout(readyTimeoutMs) });
  console.log(`  ${line}`);
  return { child, line };
}

async function stop({ child }) {
  child.kill("SIGTERM");
  await once(child, "exit");
}

const broker = await start("broker", "--memory", "--request-port", "0", "--publish-port", "0");
const endpoint = /requests at (\S+),/.exec(broker.line)[1];
const node = await start("node", "--request-port", new URL(endpoint).port);

console.log("\nconst client = new Client(endpoint);\nawait client.add(5, 6);");
const client = new Client(endpoint);
console.log(`  ${await client.add(5, 6)}`);
await client.$close();

console.log("\nconst later = new AsyncClient(endpoint);\nconst handle = later.add(5, 6);");
const later = new AsyncClient(endpoint);
const handle = later.add(5, 6);
console.log(`  handle.id              ${handle.id}`);
console.log(`  await handle.wait()    ${await handle.wait()}`);
console.log(`  await handle.status()  ${await handle.status()}`);
await later.$close();

await stop(node);
await stop(broker);
console.log("\nThe node and the broker are stopped.");

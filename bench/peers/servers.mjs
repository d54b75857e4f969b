// The servers that other systems need: found on the machine, started on free ports, stopped afterwards.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants } from "node:fs";
import { connect, createServer } from "node:net";
import { delimiter, join } from "node:path";

const boundMs = 10_000;
const retryMs = 20;

/** Where a program is, if anywhere. Debian keeps some servers out of users' paths. */
export function findProgram(name) {
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin"];
  return folders
    .map((folder) => join(folder, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

/** Starts a server, and waits until its port takes connections. */
export async function startServer(program, args, port) {
  const child = spawn(program, args, { stdio: "ignore" });
  for (const end = Date.now() + boundMs; ; ) {
    if (await isOpen(port)) return child;
    if (Date.now() > end) throw new Error(`${program} did not open port ${port} in ${boundMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, retryMs));
  }
}

function isOpen(port) {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(true));
    socket.once("error", () => resolve(false));
    socket.once("close", () => socket.destroy());
  });
}

export async function stopServer(child) {
  child.kill("SIGTERM");
  if (child.exitCode === null) await once(child, "exit");
}

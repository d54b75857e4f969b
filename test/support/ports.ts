// Ports for what a test starts: free just now, and likely to stay so.
import { once } from "node:events";
import { createServer } from "node:net";

/**
 * A free port below those that the system gives to outgoing connections: nobody takes it while what listens there is
 * killed and started again.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = await tryPort(20_000 + Math.floor(Math.random() * 12_000));
    if (port !== undefined) return port;
  }
}

async function tryPort(wanted: number): Promise<number | undefined> {
  const server = createServer();
  const listening = once(server, "listening").then(
    () => true,
    () => false,
  );
  server.listen(wanted, "127.0.0.1");
  if (!(await listening)) return undefined;
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address !== null ? address.port : undefined;
}

// A TCP proxy between peers and the broker that can do what networks do: cut, stall, and half-open connections.
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

/** Which end of a connection: the peer that dialled, or the broker. */
export type Side = "peer" | "broker";

export class ProxiedConnection {
  readonly #sides: { readonly [side in Side]: Socket };
  #isHalfOpen = false;

  constructor(peer: Socket, broker: Socket, onClosed: () => void) {
    this.#sides = { peer, broker };
    for (const [from, to] of [
      [peer, broker],
      [broker, peer],
    ] as const) {
      from.setNoDelay(true);
      from.on("data", (data) => {
        if (!this.#isHalfOpen && !to.write(data)) from.pause();
      });
      to.on("drain", () => from.resume());
      from.on("error", () => undefined);
      from.on("close", () => {
        if (!this.#isHalfOpen) to.destroy();
        if (peer.destroyed && broker.destroyed) onClosed();
      });
    }
  }

  /** Ends it on both sides. */
  cut(): void {
    this.#sides.peer.destroy();
    this.#sides.broker.destroy();
  }

  /** Lets nothing through any more, in both directions, and stays open. Returns what ends that. */
  stall(): () => void {
    const sockets = Object.values(this.#sides);
    for (const socket of sockets) socket.pause();
    return () => {
      for (const socket of sockets) socket.resume();
    };
  }

  /** Ends it on one side without telling the other, to which it looks as if nothing were ever said any more. */
  halfOpen(dropped: Side): void {
    this.#isHalfOpen = true;
    this.#sides[dropped].destroy();
    this.#sides[dropped === "peer" ? "broker" : "peer"].resume();
  }
}

export class FaultyProxy {
  readonly #server: Server;
  readonly #connections = new Set<ProxiedConnection>();

  private constructor(target: number) {
    this.#server = createServer((peer) => {
      const broker = connect(target, "127.0.0.1");
      const connection = new ProxiedConnection(peer, broker, () => this.#connections.delete(connection));
      this.#connections.add(connection);
    });
  }

  /** Listens on `port`, or any, and forwards to `target`, both on this machine. */
  static async listen(target: number, port = 0): Promise<FaultyProxy> {
    const proxy = new FaultyProxy(target);
    proxy.#server.listen(port, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  get endpoint(): string {
    return `tcp://127.0.0.1:${this.port}`;
  }

  /** Those that are open, the oldest first. */
  get connections(): ProxiedConnection[] {
    return [...this.#connections];
  }

  close(): void {
    this.#server.close();
    for (const connection of this.connections) connection.cut();
  }
}

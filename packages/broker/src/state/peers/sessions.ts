// Who is there: clients and nodes by their ids, and which of them is on which connection.
import { ErrorCode } from "zerotask-core";
import { LOCAL_PEER, type Turn } from "../turn.ts";
import { ClientSession } from "./client-session.ts";
import { NodeSession } from "./node-session.ts";

export type Session = ClientSession | NodeSession;

/** Most connections that are remembered as retired. */
const maxRetired = 10_000;

export class Sessions {
  readonly clients: Map<string, ClientSession> = new Map();
  readonly nodes: Map<string, NodeSession> = new Map();
  /** The owner of what plain JSON-RPC peers ask for. */
  readonly anonymous: ClientSession;
  /** The broker's own process, as the node that runs `broker.*` tasks. */
  readonly local: NodeSession;
  readonly #peers = new Map<string, Session>();
  /** Connections that a session left, or was cut off from: what still comes from them must not run as a stranger's. */
  readonly #retired = new Map<string, number>();

  constructor(turn: Turn, newId: () => string, newToken: () => string) {
    this.anonymous = new ClientSession(newId(), newToken(), turn);
    this.local = new NodeSession(newId(), newToken(), LOCAL_PEER, turn, Number.POSITIVE_INFINITY);
    this.#peers.set(LOCAL_PEER, this.local);
  }

  get count(): number {
    return this.clients.size + this.nodes.size;
  }

  /** The session that is on this connection. */
  on(peer: string): Session | undefined {
    return this.#peers.get(peer);
  }

  /** Moves a client to a connection. */
  attach(client: ClientSession, peer: string): void {
    if (client.peer !== undefined) this.retire(client.peer, ErrorCode.InvalidClientId);
    client.attach(peer);
    this.#peers.set(peer, client);
    this.#retired.delete(peer);
  }

  /** Takes the session off this connection. All that it gets from now on, but for an introduction, is the error. */
  retire(peer: string, code: number): void {
    this.#peers.delete(peer);
    this.#retired.delete(peer);
    this.#retired.set(peer, code);
    if (this.#retired.size > maxRetired) {
      for (const oldest of this.#retired.keys()) {
        this.#retired.delete(oldest);
        break;
      }
    }
  }

  /** The error code that a retired connection is answered with. */
  retiredCode(peer: string): number | undefined {
    return this.#retired.get(peer);
  }

  addClient(client: ClientSession): void {
    this.clients.set(client.id, client);
  }

  addNode(node: NodeSession): void {
    this.nodes.set(node.id, node);
    if (node.peer === undefined) return;
    this.#peers.set(node.peer, node);
    this.#retired.delete(node.peer);
  }

  /** The client is on no connection any more; it may come back. */
  detach(client: ClientSession, now: number): void {
    if (client.peer !== undefined) this.retire(client.peer, ErrorCode.InvalidClientId);
    client.peer = undefined;
    client.lastSeen = now;
  }

  remove(session: Session): void {
    if (session.peer !== undefined && this.#peers.get(session.peer) === session)
      this.retire(
        session.peer,
        session.kind === "client" ? ErrorCode.InvalidClientId : ErrorCode.InvalidNodeId,
      );
    if (session.kind === "client") {
      session.isGone = true;
      session.peer = undefined;
      this.clients.delete(session.id);
    } else this.nodes.delete(session.id);
  }
}

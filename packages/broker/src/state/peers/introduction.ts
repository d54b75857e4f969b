// How peers introduce themselves, and for whom a connection may speak.
import { describe, ErrorCode, type MessageLimits, PROTOCOL_VERSION } from "zerotask-core";
import { type Command, type ParamReader, Refusal } from "../commands/command.ts";
import type { Turn } from "../turn.ts";
import type { ClientSession } from "./client-session.ts";
import type { NodeSession } from "./node-session.ts";
import type { Sessions } from "./sessions.ts";

const maxTokenLength = 256;

interface Place {
  readonly turn: Turn;
  readonly sessions: Sessions;
}

/** What a session is told of how large its messages may be. */
export function wireLimits({ maxMessageBytes, maxBatch, maxDepth }: MessageLimits): object {
  return { message_bytes: maxMessageBytes, batch: maxBatch, depth: maxDepth };
}

/** @throws Refusal when there is a session on this connection, perhaps since an entry before in the same message */
export function checkNoSession(peer: string, sessions: Sessions): void {
  const session = sessions.on(peer);
  if (session === undefined) return;
  throw new Refusal(
    ErrorCode.NotAllowed,
    `This connection has a session already, of the ${session.kind} ${session.id}`,
  );
}

/** A secret that proves who a peer is. */
export function readToken(read: ParamReader): string {
  const token = read.string("token");
  if (token.length >= 1 && token.length <= maxTokenLength) return token;
  throw new Refusal(
    ErrorCode.InvalidParams,
    `Expected \`token\` to be a string of 1 to ${maxTokenLength} characters, got ${token.length}`,
  );
}

/** Which protocol a peer introduces itself with; none is the original's. */
export function readProtocol(
  command: Command,
  read: ParamReader,
  { sessions }: Pick<Place, "sessions">,
): number | undefined {
  if (!read.has("protocol")) return undefined;
  const protocol = read.value("protocol");
  if (protocol !== PROTOCOL_VERSION) {
    throw new Refusal(
      ErrorCode.InvalidParams,
      `Expected \`protocol\` to be ${PROTOCOL_VERSION}, got ${describe(protocol)}`,
    );
  }
  if (!command.mayHaveSession) {
    throw new Refusal(
      ErrorCode.NotAllowed,
      "Expected a DEALER socket without a routing id of its own, got another",
    );
  }
  checkNoSession(command.peer, sessions);
  return protocol;
}

/** The client that a command is about: the session's own, or one without a token, that its id is enough for. */
export function clientOf({ session }: Command, read: ParamReader, { sessions, turn }: Place): ClientSession {
  if (session?.kind === "client" && (!read.has("client_id") || read.string("client_id") === session.id)) {
    return session;
  }
  const id = read.string("client_id");
  const client = sessions.clients.get(id);
  if (client === undefined)
    throw new Refusal(ErrorCode.InvalidClientId, `No client has the id ${describe(id)}`);
  if (client.token !== undefined) {
    throw new Refusal(ErrorCode.NotAllowed, "This client can only be spoken for on its own connection");
  }
  client.lastSeen = turn.now;
  return client;
}

/** The node that a command is about: the session's own, or one without a token, that its id is enough for. */
export function nodeOf({ session }: Command, read: ParamReader, { sessions, turn }: Place): NodeSession {
  const isOwn = session?.kind === "node" && (!read.has("node_id") || read.string("node_id") === session.id);
  const id = isOwn ? session.id : read.string("node_id");
  const node = isOwn ? session : sessions.nodes.get(id);
  if (node === undefined) throw new Refusal(ErrorCode.InvalidNodeId, `No node has the id ${describe(id)}`);
  if (!isOwn && node.token !== undefined) {
    throw new Refusal(ErrorCode.NotAllowed, "This node can only be spoken for on its own connection");
  }
  node.lastSeen = turn.now;
  return node;
}

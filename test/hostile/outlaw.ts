// Who sends what nobody should: bare sockets, with a session of their own or without, that read all answers.
import { randomUUID } from "node:crypto";
import { Dealer, Request } from "zeromq";

/** What an outlaw is to the broker. */
export type Role = "stranger" | "client" | "node";
export const roles: readonly Role[] = ["stranger", "client", "node"];

/** What came back, as far as it matters. */
export interface Answers {
  count: number;
  /** How often which error code came. */
  readonly codes: Map<number, number>;
  /** What the broker has no name for, or says in no JSON. */
  readonly faults: string[];
}

export function noAnswers(): Answers {
  return { count: 0, codes: new Map(), faults: [] };
}

const internalError = -32603;
const receiveTimeout = 15_000;
/** Answered on every connection, also on one whose session is over; and nothing sent before is left then. */
const sentinel = JSON.stringify({
  jsonrpc: "2.0",
  method: "zerotask.broker.client_connect",
  params: ["sentinel"],
  id: "sentinel",
});

/** Sends each message, frame by frame, on a connection of its own, and resolves when the broker has read them all. */
export async function send(
  endpoint: string,
  role: Role,
  messages: readonly (readonly Uint8Array[])[],
  answers: Answers,
): Promise<void> {
  const socket = new Dealer({ linger: 0, receiveTimeout });
  socket.connect(endpoint);
  try {
    const done = readUntilSentinel(socket, answers);
    if (role !== "stranger") await socket.send(introduction(role));
    for (const frames of messages) await socket.send(frames as Uint8Array[]);
    await socket.send(sentinel);
    await done;
  } finally {
    socket.close();
  }
}

/** Sends one message from a REQ socket, which gets exactly one reply. */
export async function request(endpoint: string, body: Uint8Array, answers: Answers): Promise<void> {
  const socket = new Request({ linger: 0, receiveTimeout });
  socket.connect(endpoint);
  try {
    await socket.send(body);
    const [answer] = await socket.receive();
    note(String(answer), answers);
  } finally {
    socket.close();
  }
}

async function readUntilSentinel(socket: Dealer, answers: Answers): Promise<void> {
  for (;;) {
    const frames = await socket.receive();
    const text = String(frames.at(-1));
    note(text, answers);
    if (text.includes('"id":"sentinel"')) return;
  }
}

function introduction(role: "client" | "node"): string {
  const name = `outlaw-${randomUUID()}`;
  const params =
    role === "client"
      ? { protocol: 2, client_id: name, token: name }
      : { protocol: 2, node_id: name, token: name, methods: ["evil.a", "evil.b"], slots: 5 };
  return JSON.stringify({ jsonrpc: "2.0", method: `zerotask.broker.${role}_connect`, params, id: "hello" });
}

interface AnyAnswer {
  readonly error?: { readonly code: number; readonly message: string };
}

function note(text: string, answers: Answers): void {
  answers.count++;
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    answers.faults.push(`no JSON: ${text}`);
    return;
  }
  for (const answer of (Array.isArray(parsed) ? parsed : [parsed]) as (AnyAnswer | null)[]) {
    const error = answer?.error;
    if (error === undefined) continue;
    answers.codes.set(error.code, (answers.codes.get(error.code) ?? 0) + 1);
    if (error.code === internalError) answers.faults.push(error.message);
  }
}

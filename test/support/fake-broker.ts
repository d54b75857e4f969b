// A broker of a test's own making: it notes what it is asked, and answers as the test says.
import { onTestFinished } from "vitest";
import {
  type Dial,
  ErrorCode,
  failure,
  type Params,
  type Request,
  success,
  ZeroTaskError,
  zeromqTransport,
} from "zerotask-core";

/** @returns the result, or a promise of it; throws the `ZeroTaskError` that is the answer */
export type Answer = (method: string, params: Params) => unknown;

interface Asked {
  /** Without the prefix of the protocol's own methods. */
  readonly method: string;
  readonly params: unknown;
}

export interface FakeBroker {
  readonly dial: Dial;
  readonly asked: Asked[];
  /** Hangs up; who connects again meets a broker that was started anew. */
  restart(): void;
}

type Durability = "memory" | "disk";

/** One in this process, for what dials it. */
export function fakeBroker(answer: Answer, durability: Durability = "memory"): FakeBroker {
  const asked: Asked[] = [];
  let epoch = 1;
  let hangUp = (): void => undefined;
  const dial: Dial = (_endpoint, handlers) => {
    let isOpen = true;
    hangUp = () => {
      isOpen = false;
      handlers.onLost();
    };
    const perform = performer(answer, asked, () => ({ durability, epoch: `${epoch}` }));
    const send = async (text: string): Promise<void> => {
      const response = await perform(JSON.parse(text) as Request);
      if (response !== undefined && isOpen) handlers.onMessage(Buffer.from(JSON.stringify(response)));
    };
    return { send: (text) => void send(text), limit: () => undefined, close: () => undefined };
  };
  const restart = (): void => {
    epoch++;
    hangUp();
  };
  return { dial, asked, restart };
}

/** One that processes can connect to. */
export async function listeningFakeBroker(answer: Answer): Promise<{ port: string; asked: Asked[] }> {
  const asked: Asked[] = [];
  const perform = performer(answer, asked, () => ({ durability: "memory", epoch: "1" }));
  const socket = zeromqTransport.requests(
    { maxMessageBytes: 1_000_000, maxOutboxBytes: 1_000_000 },
    {
      onMessage: (peer, _shape, body) => {
        const message = JSON.parse(Buffer.from(body ?? []).toString()) as Request | Request[];
        for (const request of [message].flat()) {
          void perform(request).then((response) => {
            if (response !== undefined) socket.send(peer, JSON.stringify(response));
          });
        }
      },
      onPeerLost: () => undefined,
      onPeerSlow: () => undefined,
      onDisconnect: () => undefined,
    },
  );
  onTestFinished(() => socket.close());
  const endpoint = await socket.bind("127.0.0.1", 0);
  return { port: endpoint.slice(endpoint.lastIndexOf(":") + 1), asked };
}

export const unknownTask = (): ZeroTaskError =>
  new ZeroTaskError("No task has that id", ErrorCode.InvalidTaskId);

const ownPrefix = "zerotask.broker.";
/** Bound to all of its addresses. */
const announce = "tcp://0.0.0.0:7777";
const limits = { message_bytes: 1_000_000, batch: 100 };
/** What is not worth a note. */
const silent = new Set(["client_ack", "client_disconnect"]);

/** What makes responses of requests. */
function performer(
  answer: Answer,
  asked: Asked[],
  welcome: () => { durability: Durability; epoch: string },
): (request: Request) => Promise<object | undefined> {
  return async ({ id = null, method: whole, params = [] }) => {
    const method = whole.replace(ownPrefix, "");
    if (method === "client_connect") return success(id, { limits, announce, ...welcome() });
    if (silent.has(method)) return undefined;
    asked.push({ method, params });
    try {
      return success(id, await answer(method, params));
    } catch (error) {
      const { code, message } = error as ZeroTaskError;
      return failure(id, { code, message });
    }
  };
}

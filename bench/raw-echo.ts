// The floor: one DEALER and one ROUTER of zeromq.js in two processes, with messages of about 60 bytes.
import { Dealer } from "zeromq";
import { type Latency, measureLatency, measureRate } from "./measure.ts";
import { startPart, stopPart } from "./processes.ts";

export interface RawEcho {
  readonly latency: Latency;
  /** Messages per second with 1,000 in flight. */
  readonly rate: number;
}

const message = '{"jsonrpc":"2.0","method":"add","params":[5,6],"id":100000}';

export async function rawEcho(): Promise<RawEcho> {
  const part = await startPart(["--import", "tsx", new URL("echo-process.ts", import.meta.url).pathname]);
  const dealer = new Dealer({ linger: 0, sendHighWaterMark: 0, receiveHighWaterMark: 0 });
  dealer.connect(part.line);
  const latency = await measureLatency(async () => {
    await dealer.send(message);
    await dealer.receive();
  });
  const rate = await pipelinedRate(dealer);
  dealer.close();
  await stopPart(part);
  return { latency, rate };
}

/** A ZeroMQ socket takes one send and one receive at a time, so lanes share a sender and a receiver. */
async function pipelinedRate(dealer: Dealer): Promise<number> {
  const waiting: (() => void)[] = [];
  let unsent = 0;
  let isSending = false;
  const send = async (): Promise<void> => {
    isSending = true;
    for (; unsent > 0; unsent--) await dealer.send(message);
    isSending = false;
  };
  let isDone = false;
  const receive = async (): Promise<void> => {
    while (!isDone || waiting.length > 0) {
      await dealer.receive();
      waiting.shift()?.();
    }
  };
  const call = (): Promise<void> =>
    new Promise((resolve) => {
      waiting.push(resolve);
      unsent++;
      if (!isSending) void send();
    });
  const receiving = receive();
  const rate = await measureRate(call, 1_000);
  isDone = true;
  void call();
  await receiving;
  return rate;
}

// Binding, with an error that says what could not be bound.
import type { Socket } from "zeromq";
import { tcpEndpoint } from "../endpoint.ts";

interface Bindable {
  bind(endpoint: string): Promise<void>;
}

/** Binds to a port, or to any free one when it is 0. */
export async function bindSocket(socket: Socket & Bindable, address: string, port: number): Promise<void> {
  if (address.includes(":")) socket.ipv6 = true;
  const endpoint = tcpEndpoint(address, port === 0 ? "*" : port);
  try {
    await socket.bind(endpoint);
  } catch (error) {
    throw new Error(`Can't bind to ${endpoint}: ${(error as Error).message}`, { cause: error });
  }
}

// The seam under the broker's shell: the two sockets that it binds, whatever carries them.
import { type PublishHandlers, PublishSocket } from "./publisher.ts";
import { type RouterHandlers, RouterSocket, type RouterSocketOptions, type Shape } from "./router.ts";

/** Where requests come in. Peers are named by what only says which connection they are on. */
export interface RequestSocket {
  /** Binds, and returns the endpoint. */
  bind(address: string, port: number): Promise<string>;
  /** Queues `text` to be sent together with whatever else this tick has for the peer. */
  send(peer: string, text: string): void;
  /** Queues `text` as a message of its own, in the peer's shape. */
  sendWhole(peer: string, shape: Shape, text: string): void;
  /** Sends what can be sent at once, and closes. */
  close(): Promise<void>;
}

/** Where announcements go out. */
export interface AnnouncementSocket {
  bind(address: string, port: number): Promise<string>;
  /** Whether anybody subscribed to a prefix of `text`, or to something that begins with `text`. */
  hasListeners(text: string): boolean;
  publish(text: string): void;
  close(): Promise<void>;
}

export interface Transport {
  requests(options: RouterSocketOptions, handlers: RouterHandlers): RequestSocket;
  announcements(handlers?: PublishHandlers): AnnouncementSocket;
}

export const zeromqTransport: Transport = {
  requests: (options, handlers) => new RouterSocket(options, handlers),
  announcements: (handlers) => new PublishSocket(handlers),
};

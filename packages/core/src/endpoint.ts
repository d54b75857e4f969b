// Where the parts find one another when nobody says otherwise.

/** Loopback: ids prove nothing, so other machines are let in only on purpose. */
export const DEFAULT_ADDRESS = "127.0.0.1";
export const DEFAULT_REQUEST_PORT = 5555;
export const DEFAULT_PUBLISH_PORT = 5556;

/** `tcp://address:port`, with an IPv6 address in brackets. */
export function tcpEndpoint(address: string, port: number | string): string {
  return address.includes(":") ? `tcp://[${address}]:${port}` : `tcp://${address}:${port}`;
}

export const DEFAULT_ENDPOINT: string = tcpEndpoint(DEFAULT_ADDRESS, DEFAULT_REQUEST_PORT);

// One of two Moleculer nodes that know each other's TCP ports: no discovery, no server.
import { ServiceBroker } from "moleculer";

export function moleculerBroker(nodeID, workerPort, callerPort) {
  const urls = [`tcp://127.0.0.1:${workerPort}/worker`, `tcp://127.0.0.1:${callerPort}/caller`];
  const port = nodeID === "worker" ? workerPort : callerPort;
  const options = { udpDiscovery: false, port, urls };
  return new ServiceBroker({ nodeID, logger: false, transporter: { type: "TCP", options } });
}

// What users of the broker as a library take.
export { Broker } from "./broker.ts";
export type { BrokerOptions } from "./options.ts";

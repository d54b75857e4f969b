// What users of the broker as a library take.
export { Broker } from "./broker.ts";
export type { BrokerOptions } from "./options.ts";
export type { Durability } from "./state/storage/stored-task.ts";
export { memoryStore } from "./store/memory-store.ts";
export { type SqliteStoreOptions, sqliteStore } from "./store/sqlite-store.ts";
export { type Store, StoreError } from "./store/store.ts";

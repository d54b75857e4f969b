// A process of its own with a store on disk: commits what the test looks for, says so, and waits to be killed.
import { sqliteStore } from "../../packages/broker/src/store/sqlite-store.ts";
import { add, addClaimed, settle } from "./stored-tasks.ts";

const store = sqliteStore(process.argv[2] ?? "");
await store.open();
await store.commit([add("free"), addClaimed("held"), addClaimed("done"), settle("done")]);
await store.commit([{ type: "save-session", id: "client", token: "secret" }]);
await store.claim({ method: "add", groups: [""], limit: 1, maxBytes: 1e9 });
console.log("committed");

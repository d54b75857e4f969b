// Any language with ZeroMQ can call a task: one JSON-RPC request, one JSON-RPC response.
import assert from "node:assert/strict";
import { Dealer } from "zeromq";
import { task } from "zerotask-core";
import { withCluster } from "../cluster.ts";

task("add", (a: number, b: number) => a + b);

await withCluster(async (endpoint) => {
  const socket = new Dealer({ linger: 0, receiveTimeout: 10_000 });
  socket.connect(endpoint);
  await socket.send('{"jsonrpc":"2.0","method":"add","params":[5,6],"id":1}');
  const [answer] = await socket.receive();
  assert.deepEqual(JSON.parse(String(answer)), { jsonrpc: "2.0", id: 1, result: 11 });
  socket.close();
});

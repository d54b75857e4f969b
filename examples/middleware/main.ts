// What belongs around handlers: a transaction for each task, a database for all of them, and params that stand for more.
import assert from "node:assert/strict";
import { Broker } from "zerotask-broker";
import { Client, InvalidParamsError } from "zerotask-client";
import { Dispatcher } from "zerotask-core";
import { current, type Middleware, Node } from "zerotask-node";

/** A database, as far as an example needs one. */
class Database {
  readonly rows = new Map<string, number>([
    ["ann", 100],
    ["bob", 0],
  ]);
  isOpen = true;

  async transaction<Result>(run: () => Promise<Result>): Promise<Result> {
    const before = [...this.rows];
    try {
      return await run();
    } catch (error) {
      this.rows.clear();
      for (const [name, sum] of before) this.rows.set(name, sum);
      throw error;
    }
  }
}

interface Account {
  readonly name: string;
}

const dispatcher = new Dispatcher();
dispatcher.add("transfer", (from: Account, to: Account, sum: number) => {
  const { rows } = current().resource<Database>("db");
  rows.set(from.name, (rows.get(from.name) ?? 0) - sum);
  if ((rows.get(from.name) ?? 0) < 0) throw new RangeError(`${from.name} has not got that much`);
  rows.set(to.name, (rows.get(to.name) ?? 0) + sum);
});
dispatcher.add("balance", (of: Account) => current().resource<Database>("db").rows.get(of.name));

const inTransaction: Middleware = (run, next) => run.resource<Database>("db").transaction(next);
const timed: string[] = [];
const timing: Middleware = async (run, next) => {
  try {
    return await next();
  } finally {
    timed.push(run.method);
  }
};

const broker = new Broker({ requestPort: 0, publishPort: 0, dispatcher: new Dispatcher() });
await broker.start();

const node = new Node({ dispatcher });
const database = new Database();
node.provide(
  "db",
  async () => database,
  (db) => {
    db.isOpen = false;
  },
);
node.use(timing); // the first is the outermost
node.use(inTransaction);
node.resolve("account:", (url): Account => {
  const name = url.slice("account:".length);
  if (!database.rows.has(name)) throw new InvalidParamsError(`no such account: ${name}`);
  return { name };
});
const exceptions: string[] = [];
node.onException((error, { method }) => exceptions.push(`${method}: ${error}`)); // a tracker of errors, say
node.addBroker(broker.requestEndpoint);
await node.start();

const client = new Client(broker.requestEndpoint);
await client.transfer("account:ann", "account:bob", 60);
assert.equal(await client.balance("account:bob"), 60);
// What fails has changed nothing.
await assert.rejects(client.transfer("account:ann", "account:bob", 60), /ann has not got that much/);
assert.equal(await client.balance("account:ann"), 40);
// No such account: the handler is not even called.
await assert.rejects(client.balance("account:eve"), InvalidParamsError);
assert.deepEqual(timed, ["transfer", "balance", "transfer", "balance"]);
// Who calls it with wrong params is told so: that is no exception.
assert.deepEqual(exceptions, ["transfer: RangeError: ann has not got that much"]);

await client.$close();
assert.ok(database.isOpen);
await node.stop();
assert.ok(!database.isOpen);
await broker.stop();

// How users test: a module's tasks in one process, without sockets, and with hours that pass in milliseconds.
import assert from "node:assert/strict";
import { type AsyncClient, type Client, LocalClient } from "zerotask-client";
import { Dispatcher, task } from "zerotask-core";
import { current } from "zerotask-node";
import { testCluster } from "zerotask-testing";

const dispatcher = new Dispatcher();
const outbox: string[] = [];
let isMailServerUp = true;

const mail = task({ name: "mail", dispatcher, retries: 3 }, async (to: string, text: string) => {
  if (!isMailServerUp) throw new Error("the mail server is down");
  return outbox.push(`${to}: ${text}`);
});
const invoices = task({ name: "invoices", dispatcher }, async function* (customer: string) {
  for (let number = 1; number <= 3; number++) {
    current().log.info(`invoice ${number}`);
    yield { customer, number };
  }
});
interface Tasks {
  readonly mail: typeof mail;
  readonly invoices: typeof invoices;
}

/** What is to be tested: it calls tasks, and knows nothing of where they run. */
async function welcome(client: Client<Tasks>, customer: string): Promise<number> {
  return client.mail(customer, "welcome");
}

/** What is to be tested: a reminder in two hours. */
function remind(later: AsyncClient<Tasks>, customer: string): string {
  return later.$with({ at: "2 hours" }).mail(customer, "your order waits").id;
}

// A client whose tasks run right here.
const local = new LocalClient<Tasks>(dispatcher);
assert.equal(await welcome(local, "ann"), 1);
const numbers: number[] = [];
for await (const { number } of local.$stream.invoices("ann")) {
  numbers.push(number);
  if (number === 2) break;
}
assert.deepEqual(numbers, [1, 2]);
const handle = local.$later.invoices("bob");
await handle.wait();
const lines: string[] = [];
for await (const { message } of handle.logs()) lines.push(message);
assert.deepEqual(lines, ["invoice 1", "invoice 2", "invoice 3"]);
await local.$close();

// Broker, nodes and clients, with a clock that the test sets forward.
const cluster = await testCluster({ seed: 1, nodes: 2, dispatcher });
const client = cluster.client<Tasks>();
const later = cluster.later<Tasks>();
outbox.length = 0;

const reminder = later.$handle(remind(later, "ann"));
await cluster.clock.advance("1 hour 59 minutes");
assert.deepEqual(outbox, []);
await cluster.clock.advance("1 minute");
assert.deepEqual(outbox, ["ann: your order waits"]);
assert.equal(await reminder.status(), "FINISHED");

// Retries wait, and so does the clock.
isMailServerUp = false;
const retried = later.mail("bob", "welcome");
await cluster.clock.advance(100);
assert.equal(await retried.status(), "SCHEDULED");
isMailServerUp = true;
assert.equal(await cluster.clock.until(retried.wait()), 2);

// Each night, for three nights; and a node may crash meanwhile.
await client.$schedules.cron("mail", { cron: "0 3 * * *", params: ["all", "news"] });
cluster.killNode(0);
await cluster.clock.advance("3 days");
assert.deepEqual(outbox.slice(2), Array(3).fill("all: news"));
await cluster.close();

// When and how often: a shop's tasks run later, in batches, again and again, in turns, under limits, and once more.
import assert from "node:assert/strict";
import { AsyncClient, Client, TaskStoppedError } from "zerotask-client";
import { Dispatcher } from "zerotask-core";
import { RetryError } from "zerotask-node";
import { withCluster } from "../cluster.ts";

const dispatcher = new Dispatcher();
const seen: string[] = [];
let open = (): void => undefined;
const closed = new Promise<void>((resolve) => {
  open = resolve;
});

dispatcher.add("mail", (to: string) => seen.push(to));
dispatcher.add("open", () => closed);
dispatcher.add("pack", (what: string) => void seen.push(what), { concurrency: 1 });
dispatcher.add("inventory", () => closed, { singleton: true });
dispatcher.add("price", (article: string) => `${article}: ${seen.push(article)}`, { coalesce: true });
let visits = 0;
dispatcher.add("parcel", () => {
  if (++visits < 3) throw new RetryError({ delay: "10 ms", message: "not delivered yet" });
  return "delivered";
});
let isPaid = false;
dispatcher.add("charge", (sum: number) => {
  if (!isPaid) throw new Error("the bank is closed");
  return sum;
});

/** What was seen since this was asked last. */
const news = (): string[] => seen.splice(0);

await withCluster(async (endpoint) => {
  const client = new Client(endpoint);
  const later = new AsyncClient(endpoint);

  // Later: it waits in the broker's store.
  const tomorrow = later.$with({ at: "1 day" }).mail("ann");
  await tomorrow.accepted;
  assert.equal(await tomorrow.status(), "SCHEDULED");
  await later
    .$with({ at: new Date(Date.now() + 20) })
    .mail("bob")
    .wait();
  assert.deepEqual(news(), ["bob"]);

  // In batches: many changes of an article, one mail about them.
  const batch = later.$with({ batch: "news", at: "1 hour" });
  const mails = [batch.mail("all"), batch.mail("all"), later.$with({ batch: "news" }).mail("all")];
  await Promise.all(mails.map((mail) => mail.wait()));
  assert.deepEqual(news(), ["all"]);

  // By priority, and groups in turns: while the shop is closed, orders gather.
  await client.$limits.set("pack", { concurrency: 1 });
  const first = later.$with({ at: "now" }).pack("first");
  await first.wait();
  news();
  await client.$limits.set("pack", { concurrency: null, rate: "1 / 100 ms" });
  const orders = [
    later.$with({ group: "big" }).pack("big 1"),
    later.$with({ group: "big" }).pack("big 2"),
    later.$with({ group: "big", priority: 1 }).pack("big, urgent"),
    later.$with({ group: "small" }).pack("small"),
  ];
  await Promise.all(orders.map((order) => order.wait()));
  assert.equal(news().length, 4);

  // One at a time.
  const inventory = later.inventory();
  await inventory.accepted;
  await assert.rejects(client.inventory(), TaskStoppedError);
  open();
  await inventory.wait();

  // Equal calls are one run.
  const prices = await Promise.all([client.price("hat"), client.price("hat")]);
  assert.deepEqual(prices, ["hat: 1", "hat: 1"]);
  news();

  // Another try, when the handler says so, or when somebody looks after what failed.
  assert.equal(await client.parcel(), "delivered");
  const charge = later.charge(25);
  await assert.rejects(charge.wait(), /the bank is closed/);
  const { tasks } = await client.$failed.list({ method: "charge" });
  assert.deepEqual(
    tasks.map(({ params }) => params),
    [[25]],
  );
  isPaid = true;
  assert.equal(await client.$failed.retryAll({ error: "bank" }), 1);
  assert.equal(await later.$handle(charge.id).wait(), 25);

  // Again and again.
  await client.$schedules.interval("mail", { every: 20, params: ["weekly"], name: "news" });
  await client.$schedules.cron("mail", { cron: "0 3 * * *", timeZone: "Europe/Berlin", params: ["nightly"] });
  while (seen.length < 3) await new Promise((resolve) => setTimeout(resolve, 5));
  const schedules = await client.$schedules.list();
  assert.deepEqual(
    schedules.map(({ name }) => name),
    ['mail("nightly")', "news"],
  );
  for (const { name } of schedules) assert.equal(await client.$schedules.remove(name), true);

  await client.$close();
  await later.$close();
}, dispatcher);

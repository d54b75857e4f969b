// When and how often: a shop's tasks run later, in batches, again and again, in turns, under limits, and once more.
import assert from "node:assert/strict";
import { AsyncClient, Client, TaskStoppedError } from "zerotask-client";
import { Dispatcher } from "zerotask-core";
import { type Batch, type Results, RetryError } from "zerotask-node";
import { withCluster } from "../cluster.ts";

const seen: string[] = [];
/** What was seen since this was asked last. */
const news = (): string[] => seen.splice(0);
let open = (): void => undefined;
const opened = new Promise<void>((resolve) => {
  open = resolve;
});

const dispatcher = new Dispatcher();
dispatcher.add("mail", (to: string) => seen.push(to));
dispatcher.add("wait", () => opened);
dispatcher.add("pack", (what: string) => seen.push(what));
dispatcher.add("inventory", () => "done", { singleton: true });
dispatcher.add("price", (article: string) => `${article}: ${seen.push(article)}`, { coalesce: true });
dispatcher.add(
  "weigh",
  (calls: Batch<[article: string]>): Results<number> => {
    seen.push(`${calls.length} at once`);
    return calls.map(([article]) => article.length || new RangeError("nothing to weigh"));
  },
  { batch: { max: 3, waitMs: 10_000 } },
);
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

async function shop(endpoint: string): Promise<void> {
  const client = new Client(endpoint);
  const later = new AsyncClient(endpoint);

  // By priority, and groups in turns: while the shop is closed, orders gather, and an inventory waits.
  const closed = [later.wait(), later.wait(), later.wait()];
  await Promise.all(closed.map((task) => task.accepted));
  await client.$limits.set("pack", { concurrency: 1 });
  const orders = [
    later.$with({ group: "big" }).pack("big 1"),
    later.$with({ group: "big" }).pack("big 2"),
    later.$with({ group: "small" }).pack("small 1"),
    later.$with({ group: "big", priority: 1 }).pack("big, urgent"),
  ];
  const inventory = later.inventory();
  await Promise.all([...orders, inventory].map((task) => task.accepted));
  assert.deepEqual(await orders[1]?.position(), { ahead: 3, etaMs: null });
  // Of a singleton there is one that waits or runs.
  await assert.rejects(client.inventory(), TaskStoppedError);
  open();
  await Promise.all(orders.map((order) => order.wait()));
  assert.deepEqual(news(), ["big, urgent", "small 1", "big 1", "big 2"]);
  assert.equal(await inventory.wait(), "done");

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

  // Under limits: no more than one mail within this time.
  await client.$limits.set("mail", { rate: "1 / 100 ms" });
  const begin = performance.now();
  await Promise.all([client.mail("one"), client.mail("two"), client.mail("three")]);
  assert.ok(performance.now() - begin >= 100);
  await client.$limits.set("mail", { rate: null });
  assert.deepEqual(news(), ["one", "two", "three"]);

  // One run for several: equal calls, and a handler that takes many.
  assert.deepEqual(await Promise.all([client.price("hat"), client.price("hat")]), ["hat: 1", "hat: 1"]);
  const weights = await Promise.allSettled([client.weigh("hat"), client.weigh(""), client.weigh("scarf")]);
  assert.deepEqual(
    weights.map((weight) => (weight.status === "fulfilled" ? weight.value : weight.reason.message)),
    [3, "nothing to weigh", 5],
  );
  assert.deepEqual(news(), ["hat", "3 at once"]);

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
  await client.$schedules.interval("mail", { every: "20 ms", params: ["weekly"], name: "news" });
  await client.$schedules.cron("mail", {
    ...{ cron: "0 3 * * *", timeZone: "Europe/Berlin" },
    params: ["nightly"],
  });
  while (seen.length < 3) await new Promise((resolve) => setTimeout(resolve, 5));
  const schedules = await client.$schedules.list();
  assert.deepEqual(
    schedules.map(({ name }) => name),
    ['mail("nightly")', "news"],
  );
  for (const { name } of schedules) assert.equal(await client.$schedules.remove(name), true);

  await client.$close();
  await later.$close();
}

await withCluster(shop, dispatcher, { slots: 3, prefetch: 0 });

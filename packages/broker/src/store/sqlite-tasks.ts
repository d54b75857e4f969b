// What the writer thread does with the data file: the operations of a store, one at a time.
import type { TaskStatus } from "zerotask-core";
import type { FailedPlace } from "../state/storage/failed-place.ts";
import {
  bytesOf,
  type Claim,
  type FailedFilter,
  isFailed,
  type StoreSummary,
} from "../state/storage/stored-task.ts";
import {
  countRecord,
  isOver,
  isOverByFailed,
  maxCounted,
  maxExpired,
  maxListScan,
  maxPageBytes,
  type Records,
  recordOverhead,
} from "./limits.ts";
import type { Database, Statement } from "./sqlite-database.ts";
import { type Answers, ChangeCode, type Primitive, taskColumns } from "./sqlite-messages.ts";
import { prepareStatements, type Statements } from "./sqlite-statements.ts";
import type { TaskCount, TaskFilter } from "./store.ts";

type Row = Primitive[];

/** The only row. Unlike `get`, `all` runs the statement to its end, without which nothing could be committed. */
const rowOf = (statement: Statement, ...values: Primitive[]): Row | undefined =>
  statement.all(...values)[0] as unknown as Row | undefined;

const rowsOf = (statement: Statement, ...values: Primitive[]): Iterable<Row> =>
  statement.iterate(...values) as unknown as Iterable<Row>;

export class SqliteTasks {
  readonly #database: Database;
  readonly #do: Statements;
  #nextSeq: number;
  #records: Records;
  #time: number;
  /** The time in the file. */
  #savedTime: number;

  constructor(database: Database) {
    this.#database = database;
    // Of what would tell how large the new record is, calling back costs least: RETURNING takes four times as long.
    database.function("note_record", { directOnly: true }, (bytes: number, failed: number) => {
      countRecord(this.#records, bytes, failed === 1);
      return bytes;
    });
    database.function(
      "forget_record",
      { directOnly: true },
      (bytes: number, failed: number, left: number) => {
        countRecord(this.#records, bytes, failed === 1, -1);
        return left;
      },
    );
    this.#do = prepareStatements(database);
    this.#nextSeq = Number(rowOf(this.#do.lastSeq)?.[0]) + 1;
    const [count, bytes] = rowOf(this.#do.records) ?? [];
    const [failed, failedBytes] = rowOf(this.#do.failedRecords) ?? [];
    this.#records = {
      ...{ count: Number(count), bytes: Number(bytes) },
      ...{ failed: Number(failed), failedBytes: Number(failedBytes) },
    };
    this.#time = Number(rowOf(this.#do.time)?.[0]);
    this.#savedTime = this.#time;
  }

  /** Gives up what an earlier run had claimed. */
  release(): void {
    this.#write(() => this.#do.release.run());
  }

  summary(): StoreSummary {
    const backlog: { method: string; group: string; count: number; rank: number }[] = [];
    const [scheduled, nextDue, scheduledBytes] = rowOf(this.#do.scheduled) ?? [];
    let unsettled = Number(scheduled);
    let unsettledBytes = Number(scheduledBytes);
    for (const [method, group, count, rank, bytes] of rowsOf(this.#do.backlog)) {
      backlog.push({
        method: String(method),
        group: String(group),
        count: Number(count),
        rank: Number(rank),
      });
      unsettled += Number(count);
      unsettledBytes += Number(bytes);
    }
    const nextExpiry = rowOf(this.#do.nextExpiry)?.[0];
    return {
      backlog,
      unsettled,
      unsettledBytes,
      nextDue: typeof nextDue === "number" ? nextDue : undefined,
      nextExpiry: typeof nextExpiry === "number" ? nextExpiry : undefined,
      sessions: [...rowsOf(this.#do.sessions)].map(([id, token]) => ({
        id: String(id),
        token: String(token),
      })),
      items: [...rowsOf(this.#do.items)].map(([kind, name, value]) => ({
        kind: String(kind),
        name: String(name),
        value: String(value),
      })),
      time: this.#time,
    };
  }

  commit(changes: readonly Primitive[]): Answers["commit"] {
    return this.#write(() => {
      const known: Primitive[] = [];
      const revived: string[] = [];
      let expireMore = false;
      for (let i = 0; i < changes.length; ) {
        const values = fieldCounts[changes[i] as number] as number;
        const fields = changes.slice(i + 1, i + 1 + values);
        if (changes[i] === ChangeCode.Expire) expireMore = this.#expire(fields as number[]);
        else if (changes[i] === ChangeCode.Revive) this.#revive(fields, revived);
        else this.#change(changes[i] as number, fields, known);
        i += 1 + values;
      }
      if (this.#time > this.#savedTime) this.#do.setTime.run(this.#time);
      return { known, revived, expireMore };
    });
  }

  claim({ method, groups, limit, maxBytes }: Claim): Answers["claim"] {
    const found: Primitive[] = [];
    const tasks: Primitive[] = [];
    const left: [string, number][] = [];
    let bytes = 0;
    for (const group of groups) {
      let count = 0;
      for (const row of rowsOf(this.#do.ready, method, group)) {
        const [seq = null, size, rank] = row.splice(taskColumns.length);
        if (count++ >= limit || (found.length > 0 && bytes >= maxBytes)) {
          left.push([group, Number(rank)]);
          break;
        }
        found.push(seq);
        tasks.push(...row);
        bytes += Number(size);
      }
    }
    this.#claim(found);
    return { tasks, left };
  }

  claimDue(now: number, limit: number): Answers["claimDue"] {
    return this.#claimByTime(rowsOf(this.#do.due), now, limit);
  }

  claimExpired(now: number, limit: number): Answers["claimExpired"] {
    return this.#claimByTime(rowsOf(this.#do.expiring), now, limit);
  }

  take(ids: readonly string[]): Answers["take"] {
    return this.#write(() => {
      const tasks: Primitive[] = [];
      const isTaken: boolean[] = [];
      for (const id of ids) {
        const taken = rowOf(this.#do.claimById, id);
        const task = taken ?? rowOf(this.#do.get, id);
        if (task === undefined) continue;
        tasks.push(...task);
        isTaken.push(taken !== undefined);
      }
      return { tasks, isTaken };
    });
  }

  takeInstance(instance: string): Answers["take"] {
    return this.take([...rowsOf(this.#do.ofInstance, instance)].map(([id]) => String(id)));
  }

  countBefore(id: string): number {
    const place = rowOf(this.#do.placeOf, id);
    return place === undefined ? 0 : Number(rowOf(this.#do.countBefore, ...place, maxCounted)?.[0]);
  }

  failed(filter: Omit<FailedFilter, "after">, before: FailedPlace): Answers["failed"] {
    const { method = null, from = -Infinity, to = Infinity, error = null, limit } = filter;
    const start = [
      Math.min(before.settledAt, to, Number.MAX_VALUE),
      to <= before.settledAt ? 0 : Math.min(before.number, Number.MAX_SAFE_INTEGER),
    ];
    const [endAt = null, endNumber = null] = rowOf(this.#do.failedEnd, ...start, maxListScan - 1) ?? [];
    const end = endAt === null || Number(endAt) < from ? undefined : [endAt, endNumber];
    const tasks: Primitive[] = [];
    let count = 0;
    let bytes = 0;
    const last = end ?? [Math.max(from, -Number.MAX_VALUE), 0];
    for (const row of rowsOf(this.#do.failed, ...start, ...last, method, error)) {
      const [number, size, settledAt] = row.splice(taskColumns.length).map(Number);
      tasks.push(...row);
      bytes += Number(size);
      if (++count >= limit || bytes >= maxPageBytes) {
        return { tasks, next: { settledAt: Number(settledAt), number: Number(number) } };
      }
    }
    return {
      tasks,
      next: end === undefined ? undefined : { settledAt: Number(end[0]), number: Number(end[1]) },
    };
  }

  get(ids: readonly string[]): Primitive[] {
    return ids.flatMap((id) => rowOf(this.#do.get, id) ?? []);
  }

  list(filter: Omit<TaskFilter, "after">, after: number): Answers["list"] {
    const [end, scanned] = rowOf(this.#do.scanEnd, after, maxListScan) ?? [];
    const { status = null, method = null, from = null, to = null, limit } = filter;
    const tasks: Primitive[] = [];
    let bytes = 0;
    let count = 0;
    if (typeof end !== "number") return { tasks, next: undefined };
    for (const row of rowsOf(this.#do.list, after, end, status, method, from, to)) {
      tasks.push(...row.slice(0, taskColumns.length));
      bytes += Number(row[taskColumns.length + 1]);
      if (++count >= limit || bytes >= maxPageBytes) {
        return { tasks, next: Number(row[taskColumns.length]) };
      }
    }
    return { tasks, next: scanned === maxListScan ? end : undefined };
  }

  counts(): readonly TaskCount[] {
    return [...rowsOf(this.#do.counts)].map(([method, status, count]) => ({
      method: String(method),
      status: status as TaskCount["status"],
      count: Number(count),
    }));
  }

  /** All or nothing; what is kept in memory goes back with the file. */
  #write<T>(change: () => T): T {
    const before = { records: { ...this.#records }, time: this.#time };
    try {
      this.#do.begin.run();
      const result = change();
      this.#do.commit.run();
      this.#savedTime = this.#time;
      return result;
    } catch (error) {
      this.#records = before.records;
      this.#time = before.time;
      // A full disk may have ended the transaction already.
      if (this.#database.isTransaction) this.#do.rollback.run();
      throw error;
    }
  }

  #change(code: number, fields: Primitive[], known: Primitive[]): void {
    switch (code) {
      case ChangeCode.Add:
        this.#add(fields, known);
        break;
      case ChangeCode.Settle:
        this.#settle(fields);
        break;
      case ChangeCode.Reschedule: {
        const [id = null, ...changed] = fields;
        this.#do.reschedule.run(...changed, id);
        break;
      }
      case ChangeCode.SetParams: {
        const [id = null, ...changed] = fields;
        this.#do.setParams.run(...changed, id);
        break;
      }
      case ChangeCode.SaveItem:
        this.#do.saveItem.run(...fields);
        break;
      case ChangeCode.RemoveItem:
        this.#do.removeItem.run(...fields);
        break;
      case ChangeCode.Remove:
        this.#remove(fields);
        break;
      case ChangeCode.SaveSession:
        this.#do.saveSession.run(...fields);
        break;
      case ChangeCode.RemoveSession:
        this.#do.removeSession.run(...fields);
        break;
      default:
        throw new Error(`There is no change ${code}`);
    }
  }

  #add(fields: Primitive[], known: Primitive[]): void {
    const [id = null, params, status, createdAt, outcome, settledAt] = addedColumns.map(
      (place) => fields[place],
    );
    const isSettled = settledAt !== null;
    const bytes = bytesOf(params as string) + (isSettled ? bytesOf(outcome as string) + recordOverhead : 0);
    if (this.#do.add.run(this.#nextSeq, bytes, ...fields).changes === 0) {
      known.push(...(rowOf(this.#do.get, id) ?? []));
      return;
    }
    this.#nextSeq++;
    this.#time = Math.max(this.#time, Number(createdAt), Number(settledAt));
    if (isSettled) countRecord(this.#records, bytes, isFailed({ status: status as TaskStatus }));
  }

  #settle(fields: Primitive[]): void {
    const [id = null, status = null, attempt = null, outcome = null, settledAt = null, forgetAt = null] =
      fields;
    const added = bytesOf(outcome as string) + recordOverhead;
    const failed = isFailed({ status: status as TaskStatus }) ? 1 : 0;
    const { settle } = this.#do;
    if (settle.run(status, attempt, outcome, settledAt, forgetAt, added, failed, id).changes === 0) return;
    this.#time = Math.max(this.#time, Number(settledAt));
  }

  #revive([id = null, ...changed]: Primitive[], revived: string[]): void {
    if (this.#do.revive.run(...changed, id).changes > 0) revived.push(String(id));
  }

  #remove([id = null, onlySettled = 0]: Primitive[]): void {
    const [settledAt = null, bytes, failed] = rowOf(this.#do.remove, id, onlySettled) ?? [];
    if (settledAt !== null) countRecord(this.#records, Number(bytes), failed === 1, -1);
  }

  #expire([now = 0, maxRecords = 0, maxRecordBytes = 0]: number[]): boolean {
    const expired = new Set<Primitive>();
    const expire = (seq: Primitive, bytes: Primitive, failed: boolean): void => {
      expired.add(seq);
      countRecord(this.#records, Number(bytes), failed, -1);
    };
    for (const [seq = null, bytes = 0] of this.#oldestFailed(maxRecords, maxRecordBytes)) {
      if (!isOverByFailed(this.#records, maxRecords, maxRecordBytes) || expired.size === maxExpired) break;
      expire(seq, bytes, true);
    }
    let more = false;
    for (const [seq = null, bytes = 0, failed, forgetAt] of rowsOf(this.#do.oldestRecords)) {
      if (expired.has(seq)) continue;
      if (!isOver(this.#records, maxRecords, maxRecordBytes) && Number(forgetAt) > now) break;
      more = expired.size === maxExpired;
      if (more) break;
      expire(seq, bytes, failed === 1);
    }
    for (const seq of expired) this.#do.removeRecord.run(seq);
    return more;
  }

  #oldestFailed(maxRecords: number, maxRecordBytes: number): Iterable<Row> {
    return isOverByFailed(this.#records, maxRecords, maxRecordBytes) ? rowsOf(this.#do.oldestFailed) : [];
  }

  /** Claims what is due of what is there in the order of its times: rows of a task, its number, bytes and time. */
  #claimByTime(rows: Iterable<Row>, now: number, limit: number): Answers["claimDue"] {
    const found: Primitive[] = [];
    const tasks: Primitive[] = [];
    let nextAt: number | undefined;
    for (const row of rows) {
      const [seq = null, , time] = row.splice(taskColumns.length);
      if (found.length >= limit || Number(time) > now) {
        nextAt = Number(time);
        break;
      }
      found.push(seq);
      tasks.push(...row);
    }
    this.#claim(found);
    return { tasks, nextAt };
  }

  #claim(found: readonly Primitive[]): void {
    if (found.length === 0) return;
    this.#write(() => {
      for (const seq of found) this.#do.claim.run(seq);
    });
  }
}

/** How many values follow each `ChangeCode`. */
const fieldCounts: readonly number[] = [1 + taskColumns.length, 6, 11, 2, 2, 1, 3, 3, 3, 2, 3];

/** Where in the fields of an added task those are that are looked at; before them stands whether it is claimed. */
const addedColumns: readonly number[] = ["id", "params", "status", "created_at", "outcome", "settled_at"].map(
  (name) => 1 + taskColumns.indexOf(name),
);

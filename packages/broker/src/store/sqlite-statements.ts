// Every statement that runs on an open data file, prepared once.
import type { Database, Statement } from "./sqlite-database.ts";
import { taskColumns } from "./sqlite-messages.ts";

const columns = taskColumns.join(", ");
const isFailed = "status IN ('FAILED', 'EXPIRED')";

type StatementName =
  | "begin"
  | "commit"
  | "rollback"
  | "add"
  | "settle"
  | "reschedule"
  | "remove"
  | "saveSession"
  | "removeSession"
  | "oldestRecords"
  | "oldestFailed"
  | "removeRecord"
  | "revive"
  | "setParams"
  | "saveItem"
  | "removeItem"
  | "ready"
  | "due"
  | "expiring"
  | "claim"
  | "claimById"
  | "ofInstance"
  | "get"
  | "placeOf"
  | "countBefore"
  | "failedEnd"
  | "failed"
  | "scanEnd"
  | "list"
  | "counts"
  | "release"
  | "backlog"
  | "scheduled"
  | "items"
  | "nextExpiry"
  | "records"
  | "failedRecords"
  | "sessions"
  | "lastSeq"
  | "time"
  | "setTime";

const sql: { readonly [Name in StatementName]: string } = {
  begin: "BEGIN IMMEDIATE",
  commit: "COMMIT",
  rollback: "ROLLBACK",
  add: `INSERT INTO task (seq, bytes, claimed, ${columns})
        VALUES (?, ?, ?, ${taskColumns.map(() => "?").join(", ")}) ON CONFLICT (id) DO NOTHING`,
  settle: `UPDATE task SET status = ?, attempt = ?, outcome = ?, settled_at = ?, forget_at = ?, 
             bytes = note_record(bytes + ?, ?)
           WHERE id = ? AND settled_at IS NULL`,
  reschedule: `UPDATE task SET status = ?, attempt = ?, losses = ?, failures = ?, reruns = ?, priority = ?, rank = ?,
                 due_at = ?, expires_at = ?, claimed = ?
               WHERE id = ? AND settled_at IS NULL`,
  revive: `UPDATE task SET status = 'QUEUED', due_at = ?, rank = ?, claimed = 0, losses = 0, failures = 0, reruns = 0,
             expires_at = NULL, outcome = NULL, settled_at = NULL, forget_at = NULL,
             bytes = forget_record(bytes, ${isFailed}, coalesce(length(CAST(params AS BLOB)), 0))
           WHERE id = ? AND settled_at IS NOT NULL`,
  setParams: "UPDATE task SET params = ?, bytes = ? WHERE id = ? AND settled_at IS NULL",
  saveItem: `INSERT INTO item VALUES (?, ?, ?) ON CONFLICT (kind, name) DO UPDATE SET value = excluded.value`,
  removeItem: "DELETE FROM item WHERE kind = ? AND name = ?",
  remove: `DELETE FROM task WHERE id = ? AND (? = 0 OR settled_at IS NOT NULL)
           RETURNING settled_at, bytes, ${isFailed}`,
  saveSession: "INSERT INTO session VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET token = excluded.token",
  removeSession: "DELETE FROM session WHERE id = ?",
  oldestRecords: `SELECT seq, bytes, ${isFailed}, forget_at FROM task INDEXED BY task_record
                  WHERE settled_at IS NOT NULL ORDER BY forget_at`,
  oldestFailed: `SELECT seq, bytes FROM task INDEXED BY task_failed
                 WHERE settled_at IS NOT NULL AND ${isFailed} ORDER BY settled_at, seq`,
  removeRecord: "DELETE FROM task WHERE seq = ?",
  ready: `SELECT ${columns}, seq, bytes, rank FROM task INDEXED BY task_ready
          WHERE claimed = 0 AND settled_at IS NULL AND status = 'QUEUED' AND method = ? AND grp = ?
          ORDER BY rank, seq`,
  due: `SELECT ${columns}, seq, bytes, due_at FROM task INDEXED BY task_due
        WHERE claimed = 0 AND settled_at IS NULL AND status = 'SCHEDULED' ORDER BY due_at, seq`,
  expiring: `SELECT ${columns}, seq, bytes, expires_at FROM task INDEXED BY task_expiry
             WHERE expires_at IS NOT NULL AND settled_at IS NULL AND claimed = 0 ORDER BY expires_at`,
  claim: "UPDATE task SET claimed = 1 WHERE seq = ?",
  claimById: `UPDATE task SET claimed = 1 WHERE id = ? AND settled_at IS NULL AND claimed = 0
              RETURNING ${columns}`,
  ofInstance: `SELECT id FROM task INDEXED BY task_instance
               WHERE instance = ? AND instance IS NOT NULL AND settled_at IS NULL ORDER BY seq`,
  get: `SELECT ${columns} FROM task WHERE id = ?`,
  placeOf: "SELECT method, grp, rank, seq FROM task WHERE id = ?",
  countBefore: `SELECT count(*) FROM (SELECT 1 FROM task INDEXED BY task_ready
                WHERE claimed = 0 AND settled_at IS NULL AND status = 'QUEUED' AND method = ? AND grp = ?
                  AND (rank, seq) < (?, ?) LIMIT ?)`,
  failedEnd: `SELECT settled_at, seq FROM task INDEXED BY task_failed
              WHERE settled_at IS NOT NULL AND ${isFailed} AND (settled_at, seq) < (?, ?)
              ORDER BY settled_at DESC, seq DESC LIMIT 1 OFFSET ?`,
  failed: `SELECT ${columns}, seq, bytes, settled_at FROM task INDEXED BY task_failed
           WHERE settled_at IS NOT NULL AND ${isFailed}
             AND (settled_at, seq) < (?1, ?2) AND (settled_at, seq) >= (?3, ?4)
             AND (?5 IS NULL OR method = ?5) AND (?6 IS NULL OR instr(outcome, ?6) > 0)
           ORDER BY settled_at DESC, seq DESC`,
  scanEnd: `SELECT max(seq), count(*) FROM (SELECT seq FROM task WHERE seq > ? ORDER BY seq LIMIT ?)`,
  list: `SELECT ${columns}, seq, bytes FROM task
         WHERE seq > ?1 AND seq <= ?2 AND (?3 IS NULL OR status = ?3) AND (?4 IS NULL OR method = ?4)
           AND (?5 IS NULL OR created_at >= ?5) AND (?6 IS NULL OR created_at < ?6)
         ORDER BY seq`,
  counts: "SELECT method, status, count(*) FROM task GROUP BY method, status",
  release: `UPDATE task INDEXED BY task_claimed
            SET claimed = 0, status = CASE status WHEN 'SCHEDULED' THEN status ELSE 'QUEUED' END
            WHERE claimed = 1 AND settled_at IS NULL`,
  backlog: `SELECT method, grp, count(*), min(rank), sum(bytes) FROM task INDEXED BY task_ready
            WHERE claimed = 0 AND settled_at IS NULL AND status = 'QUEUED' GROUP BY method, grp`,
  scheduled: `SELECT count(*), min(due_at), coalesce(sum(bytes), 0) FROM task INDEXED BY task_due
              WHERE claimed = 0 AND settled_at IS NULL AND status = 'SCHEDULED'`,
  nextExpiry: `SELECT min(expires_at) FROM task INDEXED BY task_expiry
               WHERE expires_at IS NOT NULL AND settled_at IS NULL AND claimed = 0`,
  records: `SELECT count(*), coalesce(sum(bytes), 0) FROM task INDEXED BY task_record
            WHERE settled_at IS NOT NULL`,
  failedRecords: `SELECT count(*), coalesce(sum(bytes), 0) FROM task INDEXED BY task_failed
                  WHERE settled_at IS NOT NULL AND ${isFailed}`,
  items: "SELECT kind, name, value FROM item",
  sessions: "SELECT id, token FROM session",
  lastSeq: "SELECT coalesce(max(seq), 0) FROM task",
  time: "SELECT time FROM clock",
  setTime: "UPDATE clock SET time = ?",
};

export type Statements = { readonly [Name in StatementName]: Statement };

/**
 * Rows come as arrays, in the order of the columns. `settle` calls `note_record` with the bytes of what it settles, and
 * whether it failed; `revive` calls `forget_record` with the same of the record, and the bytes of the params that are left.
 */
export function prepareStatements(database: Database): Statements {
  const prepare = (text: string): Statement => {
    const statement = database.prepare(text);
    statement.setReturnArrays(true);
    return statement;
  };
  return Object.fromEntries(
    Object.entries(sql).map(([name, text]) => [name, prepare(text)]),
  ) as unknown as Statements;
}

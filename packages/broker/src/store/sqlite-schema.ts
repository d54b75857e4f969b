// What the data file looks like, and how an older one becomes so: an ordered list of migrations.
import type { Database } from "./sqlite-database.ts";
import { StoreError } from "./store.ts";

/** Marks a file as ZeroTask's: "ZTsk". */
const applicationId = 0x5a54736b;

/** Each makes the next version of what the one before it left. Never change one that was released: add another. */
const migrations: readonly string[] = [
  `CREATE TABLE task (
     seq INTEGER PRIMARY KEY,
     id TEXT NOT NULL UNIQUE,
     owner TEXT NOT NULL,
     method TEXT NOT NULL,
     params TEXT,
     options TEXT,
     status TEXT NOT NULL,
     claimed INTEGER NOT NULL,
     attempt INTEGER NOT NULL,
     losses INTEGER NOT NULL,
     failures INTEGER NOT NULL,
     created_at REAL NOT NULL,
     due_at REAL NOT NULL,
     expires_at REAL,
     outcome TEXT,
     settled_at REAL,
     forget_at REAL,
     bytes INTEGER NOT NULL
   ) STRICT;
   -- bytes: of params; of a record, all that it takes. Here so that opening a large file need not read the tasks.
   CREATE INDEX task_ready ON task (claimed, method, due_at, seq, bytes) WHERE settled_at IS NULL;
   CREATE INDEX task_expiry ON task (expires_at)
     WHERE expires_at IS NOT NULL AND settled_at IS NULL AND claimed = 0;
   CREATE INDEX task_record ON task (forget_at, bytes) WHERE settled_at IS NOT NULL;
   CREATE TABLE session (id TEXT PRIMARY KEY, token TEXT NOT NULL) STRICT, WITHOUT ROWID;
   -- One row: the latest time of any task that was ever in here.
   CREATE TABLE clock (time REAL NOT NULL) STRICT;
   INSERT INTO clock VALUES (0);`,
  // rank: the place in the order of a group. instance: what there is to be one of at a time.
  `ALTER TABLE task ADD COLUMN grp TEXT NOT NULL DEFAULT '';
   ALTER TABLE task ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
   ALTER TABLE task ADD COLUMN rank REAL NOT NULL DEFAULT 0;
   ALTER TABLE task ADD COLUMN instance TEXT;
   ALTER TABLE task ADD COLUMN reruns INTEGER NOT NULL DEFAULT 0;
   UPDATE task SET rank = due_at;
   DROP INDEX task_ready;
   CREATE INDEX task_ready ON task (method, grp, rank, seq, bytes)
     WHERE claimed = 0 AND settled_at IS NULL AND status = 'QUEUED';
   CREATE INDEX task_due ON task (due_at, seq, bytes)
     WHERE claimed = 0 AND settled_at IS NULL AND status = 'SCHEDULED';
   CREATE INDEX task_claimed ON task (claimed) WHERE claimed = 1 AND settled_at IS NULL;
   CREATE INDEX task_instance ON task (instance) WHERE instance IS NOT NULL AND settled_at IS NULL;
   -- All that a search for failed tasks looks at, but their errors.
   CREATE INDEX task_failed ON task (settled_at, seq, method, bytes, status)
     WHERE settled_at IS NOT NULL AND status IN ('FAILED', 'EXPIRED');
   CREATE TABLE item (kind TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (kind, name))
     STRICT, WITHOUT ROWID;`,
];

/** The version of the files that this release writes. */
export const schemaVersion: number = migrations.length;

function pragma(database: Database, name: string): number {
  return Number(database.prepare(`PRAGMA ${name}`).get()?.[name]);
}

/**
 * @throws StoreError when the file is another application's, or of a newer version
 */
export function checkSchema(database: Database, path: string): void {
  const application = pragma(database, "application_id");
  const version = pragma(database, "user_version");
  const tables = Number(database.prepare("SELECT count(*) AS count FROM sqlite_schema").get()?.count);
  const isNew = application === 0 && version === 0 && tables === 0;
  if (application !== applicationId && !isNew) {
    const found = application === 0 ? "a database without one" : `0x${application.toString(16)}`;
    throw new StoreError(
      `Expected ${path} to be a ZeroTask data file (application id 0x${applicationId.toString(16)}), found ${found}`,
    );
  }
  if (version > schemaVersion) {
    throw new StoreError(
      `Expected ${path} to be of schema version ${schemaVersion} or older, found ${version}: it was written by a newer ZeroTask`,
    );
  }
}

/** Brings a checked file to this version. */
export function migrate(database: Database): void {
  for (let version = pragma(database, "user_version"); version < schemaVersion; version++) {
    database.exec(
      `BEGIN IMMEDIATE; ${migrations[version]}
       PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${version + 1}; COMMIT`,
    );
  }
}

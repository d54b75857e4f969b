// What the broker's state machine is made of, and who knows whom.
import { Deadlines } from "zerotask-core";
import { Backlog } from "./backlog.ts";
import { Calls } from "./calls.ts";
import type { BrokerConfig } from "./config.ts";
import type { Due } from "./due.ts";
import { Load } from "./load.ts";
import { Scheduler } from "./scheduler.ts";
import { Sessions } from "./sessions.ts";
import { Settlement } from "./settlement.ts";
import { Storages } from "./storages.ts";
import { Submissions } from "./submissions.ts";
import { TaskLife } from "./task-life.ts";
import { TaskTable } from "./task-table.ts";
import { Turn } from "./turn.ts";
import { Waiters } from "./waiters.ts";

export interface BrokerParts {
  readonly config: BrokerConfig;
  readonly turn: Turn;
  readonly deadlines: Deadlines<Due>;
  readonly sessions: Sessions;
  readonly tasks: TaskTable;
  readonly storages: Storages;
  readonly load: Load;
  readonly waiters: Waiters;
  readonly scheduler: Scheduler;
  readonly backlog: Backlog;
  readonly settlement: Settlement;
  readonly life: TaskLife;
  readonly calls: Calls;
  readonly submissions: Submissions;
}

export function assemble(config: BrokerConfig): BrokerParts {
  const turn = new Turn();
  const deadlines = new Deadlines<Due>();
  const tasks = new TaskTable();
  const sessions = new Sessions(turn, config.newId, config.newToken);
  const storages = new Storages(turn, config.hasDisk);
  const load = new Load(config);
  const waiters = new Waiters(deadlines, config.maxWaiters);
  const { graceMs, heartbeatMs } = config;
  const options = { graceMs, heartbeatMs, local: sessions.local };
  const scheduler = new Scheduler(turn, deadlines, options, (method) => backlog.refill(method));
  const backlog: Backlog = new Backlog(turn, deadlines, storages, {
    isServed: (method) => scheduler.isServed(method),
    method: (name) => scheduler.method(name),
    onClaimed: (task, level) => life.admit(task, level),
  });
  const base = { config, turn, deadlines, sessions, tasks, storages, load, waiters, scheduler, backlog };
  const settlement = new Settlement({ ...base, retention: config });
  const life: TaskLife = new TaskLife({ ...base, settlement, bounds: config });
  const calls = new Calls({ ...base, settlement, life });
  const submissions = new Submissions({ ...base, settlement, life });
  return { ...base, settlement, life, calls, submissions };
}

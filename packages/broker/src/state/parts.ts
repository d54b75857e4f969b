// What the broker's state machine is made of, and who knows whom.
import { Deadlines } from "zerotask-core";
import { Admission } from "./admission/admission.ts";
import { Batches } from "./admission/batches.ts";
import { SharedRuns } from "./admission/shared-runs.ts";
import type { BrokerConfig } from "./config.ts";
import type { Due } from "./due.ts";
import { Events } from "./events/events.ts";
import { Statuses } from "./events/statuses.ts";
import { Load } from "./load.ts";
import { Emptiness } from "./order/emptiness.ts";
import { MethodTable } from "./order/method-table.ts";
import { Patience } from "./order/patience.ts";
import { Positions } from "./order/positions.ts";
import { Scheduler } from "./order/scheduler.ts";
import { Sessions } from "./peers/sessions.ts";
import { Schedules } from "./schedules/schedules.ts";
import { Backlog } from "./storage/backlog.ts";
import { Storages } from "./storage/storages.ts";
import { Streams } from "./streams/streams.ts";
import { Calls } from "./tasks/calls.ts";
import { Locals } from "./tasks/locals.ts";
import { Revival } from "./tasks/revival.ts";
import { Runs } from "./tasks/runs.ts";
import { Settlement } from "./tasks/settlement.ts";
import { Stops } from "./tasks/stops.ts";
import { Submissions } from "./tasks/submissions.ts";
import { TaskLife } from "./tasks/task-life.ts";
import { TaskTable } from "./tasks/task-table.ts";
import { Waiters } from "./tasks/waiters.ts";
import { Turn } from "./turn.ts";

export interface BrokerParts {
  readonly config: BrokerConfig;
  readonly wall: () => number;
  readonly turn: Turn;
  readonly deadlines: Deadlines<Due>;
  readonly sessions: Sessions;
  readonly tasks: TaskTable;
  readonly storages: Storages;
  readonly load: Load;
  readonly events: Events;
  readonly statuses: Statuses;
  readonly waiters: Waiters;
  readonly methods: MethodTable;
  readonly patience: Patience;
  readonly scheduler: Scheduler;
  readonly backlog: Backlog;
  readonly admission: Admission;
  readonly settlement: Settlement;
  readonly life: TaskLife;
  readonly runs: Runs;
  readonly stops: Stops;
  readonly locals: Locals;
  readonly revival: Revival;
  readonly calls: Calls;
  readonly submissions: Submissions;
  readonly schedules: Schedules;
  readonly positions: Positions;
  readonly emptiness: Emptiness;
  readonly streams: Streams;
}

export function assemble(config: BrokerConfig): BrokerParts {
  const turn = new Turn();
  const deadlines = new Deadlines<Due>();
  const tasks = new TaskTable();
  const sessions = new Sessions(turn, config.newId, config.newToken);
  const storages = new Storages(turn, config.hasDisk);
  const load = new Load(config);
  const events = new Events(turn, config);
  const statuses = new Statuses(events, config.isHeard);
  const waiters = new Waiters(deadlines, config.maxWaiters);
  const streams = new Streams(turn);
  const { wall } = config;
  const { local } = sessions;
  const methods = new MethodTable(turn, deadlines, {
    local,
    maxGroups: config.maxGroups,
    describeHere: (name) => config.brokerTasks().find((description) => description.name === name),
  });
  const patience = new Patience(turn, deadlines, config.graceMs);
  const scheduler = new Scheduler(turn, methods, patience, config.heartbeatMs, {
    onTaken: (lane) => backlog.refill(lane),
    onServed: (method) => backlog.refillAll(method),
    onPicked: (task) => admission.admit(task),
    setStatus: (task, status) => statuses.set(task, status),
  });
  const backlog = new Backlog(turn, storages, {
    isServed: (method) => scheduler.isServed(method),
    hasNext: (method) => methods.next(method) !== undefined,
    lane: (method, group) => methods.lane(method, group),
    onClaimed: (task, level) => life.admit(task, level),
    onClaimedAll: (lane) => {
      methods.releaseLane(lane);
      scheduler.release(lane.method);
    },
  });
  const shared = new SharedRuns(turn, tasks, scheduler, statuses, () => life.nextNumber());
  const admission: Admission = new Admission(turn, shared, config.instanceOf, {
    enqueue: (task) => life.enqueue(task),
    takeOut: (task) => scheduler.takeOut(task),
    takeBack: (task) => runs.takeBack(task),
    onOpened: (method) => scheduler.offerRoomTo(method),
    end: (task, status, error) => settlement.settle(task, status, { error }, 0),
    stop: (run) => life.stop(run),
    onParked: (task) => patience.begin(task),
  });
  const base = { config, wall, turn, deadlines, sessions, tasks, storages, load, waiters, methods, patience };
  const more = { ...base, events, statuses, scheduler, backlog, admission };
  const settlement: Settlement = new Settlement({
    ...more,
    retention: config,
    handlers: {
      onLeft: (task) => admission.leave(task, true),
      onSharedEnd: (run, status, outcome, bytes, isFinal) => {
        for (const task of shared.end(run)) {
          if (isFinal) settlement.settle(task, status, outcome, bytes);
          else runs.end(task, status, outcome, bytes);
        }
      },
      onStopOver: (stopping, how) => stops.close(stopping, how),
      onLocalEnd: (task, pin) => locals.end(task, pin),
      onSettled: (task) => schedules.onSettled(task),
    },
  });
  const life: TaskLife = new TaskLife({ ...more, settlement, runs: () => runs, locals: () => locals });
  const locals: Locals = new Locals({ ...more, settlement, life });
  const stops: Stops = new Stops({ turn, deadlines, waiters, settlement, life, runs: () => runs });
  const ended = { settlement, life, stops, streams, locals: () => locals, bounds: config };
  const runs: Runs = new Runs({ ...more, ...ended });
  const batches = new Batches({ ...more, life });
  const calls = new Calls({ ...more, settlement, life });
  const submissions = new Submissions({ ...more, settlement, life, batches });
  const schedules: Schedules = new Schedules({ ...more, life, clock: config });
  const positions = new Positions(base);
  const revival = new Revival(more);
  const emptiness = new Emptiness({ sessions, backlog });
  const last = { submissions, schedules, positions, revival, emptiness, streams };
  return { ...more, settlement, life, runs, stops, locals, calls, ...last };
}

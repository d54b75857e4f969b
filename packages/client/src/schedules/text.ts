// Schedules for people to read.
import { spanInWords, table } from "../command-line/table.ts";
import { defaultName } from "./default-name.ts";
import type { Schedule } from "./schedule.ts";

const titles = ["NAME", "RUNS", "WHEN", "NEXT", "MADE", "LAST"];

export function scheduleTable(schedules: readonly Schedule[]): string {
  return table(
    titles,
    schedules.map((schedule) => [
      schedule.name,
      what(schedule),
      when(schedule),
      next(schedule),
      `${schedule.runs}`,
      last(schedule),
    ]),
  );
}

function what({ method, params }: Schedule): string {
  return shortened(defaultName(method, params));
}

function when({ every, fromStart, cron, timeZone }: Schedule): string {
  if (every !== undefined) return `every ${spanInWords(every)}${fromStart === true ? " from start" : ""}`;
  return `${cron} ${timeZone}`;
}

function next({ paused, running, nextAt }: Schedule): string {
  if (paused) return "paused";
  if (nextAt !== null) return nextAt.toISOString();
  return running ? "when this run ends" : "-";
}

function last({ running, lastStatus, lastStart, lastEnd }: Schedule): string {
  if (running) return lastStart === null ? "waits" : `runs since ${lastStart.toISOString()}`;
  return [lastStatus ?? "-", ...(lastEnd === null ? [] : [lastEnd.toISOString()])].join(" ");
}

const mostCharacters = 50;

function shortened(text: string): string {
  return text.length <= mostCharacters ? text : `${text.slice(0, mostCharacters - 1)}…`;
}

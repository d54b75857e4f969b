// When a cron expression's time comes: croner knows calendars, time zones and changes to summer time.
import { Cron } from "croner";

/**
 * The first time after `after` (milliseconds since the epoch) that a cron expression of 5, 6 or 7 fields names on the
 * clocks of an IANA time zone. A time that the change to summer time leaves out comes when the clocks have changed; one
 * that the change back brings twice comes once, and what is named by intervals (`*`, every ten minutes) comes in each of the hours.
 * @returns undefined when there is none
 * @throws Error for what is no such expression or time zone
 */
export function nextSlot(cron: string, timeZone: string, after: number): number | undefined {
  return new Cron(cron, { timezone: timeZone, paused: true }).nextRun(new Date(after))?.getTime();
}

// How much of what its tasks tell may be under way from a worker to its node: a task that tells more than that is not held up,
// but what is too much is dropped.
import type { Port } from "./port.ts";

/** In UTF-16 units. */
export const maxUnderWay: number = 4 * 1024 * 1024;

export class ReportCredit {
  readonly #port: Pick<Port, "reportsTaken">;
  /** Of all reports so far, in 32 bits. */
  #sent = 0;

  constructor(port: Pick<Port, "reportsTaken">) {
    this.#port = port;
  }

  /** @param isDue it is sent whatever else is @returns whether a report of this length may be sent: then it counts */
  take(length: number, isDue: boolean): boolean {
    if (!isDue && ((this.#sent - this.#port.reportsTaken()) >>> 0) + length > maxUnderWay) return false;
    this.#sent = (this.#sent + length) >>> 0;
    return true;
  }
}

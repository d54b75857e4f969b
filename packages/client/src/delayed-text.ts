// Requests with a delay: it counts from when the user asked, however late and often the request is sent.

type Options = { readonly [name: string]: unknown };

/** The delay among the options of a submission; `undefined` where it is to run at once, or at a time of the clock. */
export function delayOf({ delay_ms }: Options): number | undefined {
  return typeof delay_ms === "number" && delay_ms > 0 ? delay_ms : undefined;
}

/** What is left of a delay, in whole milliseconds. */
export function remaining(delayMs: number, elapsedMs: number): number {
  return Math.max(0, Math.min(delayMs, Math.round(delayMs - elapsedMs)));
}

/**
 * The text of a submission, with another delay. It is made of the text rather than of the params: the user may have
 * changed those since.
 */
export function withDelay(text: string, delayMs: number): string {
  const message = JSON.parse(text) as { params: readonly [unknown, unknown, Options] | { options: Options } };
  const { params } = message;
  const options = "options" in params ? params.options : params[2];
  Object.assign(options, { delay_ms: delayMs });
  return JSON.stringify(message);
}

// Streams as they are on the wire: what a call says of its own, what carries items, and what asks for more of them.
import { OptionError } from "../options.ts";
import type { ErrorObject } from "./messages.ts";
import { booleanOption, integerFrom, OptionTable } from "./option-table.ts";

/** How far a producer may be ahead of its consumer. */
export interface StreamWindow {
  /** Items that were produced and not taken yet. @default 1,000 */
  readonly items: number;
  /** Their bytes as JSON: at this many, nothing more is produced until some were taken. @default 1 MiB */
  readonly bytes: number;
}

/** Names an input: the place of its param, or its name where params are by name. */
export type InputKey = number | string;

/** Which streams a call has. */
export interface StreamShape extends StreamWindow {
  /** What the handler yields is sent as it comes, rather than collected. */
  readonly output?: boolean;
  /** Params that are streams; in the params themselves these are `null`. */
  readonly inputs?: readonly InputKey[];
  /** The call is made again, and items have gone by: it must not begin from the start. */
  readonly resumed?: boolean;
}

/** Items on their way. */
export interface StreamBatch {
  /** How many items came before these. */
  readonly seq: number;
  readonly items: readonly unknown[];
  /** About how large these items are. */
  readonly bytes: number;
  /** Nothing comes after these. It counts as one more item in `received`. */
  readonly end?: boolean;
  /** What ended an input early. */
  readonly error?: ErrorObject;
}

/** What a consumer tells: numbers count from the beginning of the stream, so that a lost message does no harm. */
export interface StreamGrant {
  /** Items that were taken: as many as the window may come beyond these. */
  readonly taken: number;
  /** Items that have arrived without a gap, the end among them. */
  readonly received: number;
  /** Something got lost: send again what comes after `received`. */
  readonly again?: boolean;
  /** Nobody reads this input any more. */
  readonly closed?: boolean;
}

const MiB = 1024 * 1024;
export const defaultWindow: StreamWindow = { items: 1_000, bytes: MiB };

const mostInputs = 100;

export const windowTable: OptionTable<StreamWindow> = new OptionTable<StreamWindow>("option of a window", {
  items: integerFrom(1, 100_000),
  bytes: integerFrom(1, 64 * MiB),
});

/** What `client_call` takes as `stream`. */
export const streamTable: OptionTable<StreamShape> = new OptionTable<StreamShape>("option of a stream", {
  items: integerFrom(1, 100_000),
  bytes: integerFrom(1, 64 * MiB),
  output: booleanOption,
  inputs: checkInputs,
  resumed: booleanOption,
});

function checkInputs(option: string, value: unknown): void {
  const isList = Array.isArray(value) && value.length <= mostInputs && value.every(isInputKey);
  if (!isList) throw new OptionError(option, `at most ${mostInputs} places or names of params`, value);
}

/** Whether this may name an input. */
export function isInputKey(value: unknown): value is InputKey {
  return typeof value === "string" || (Number.isSafeInteger(value) && (value as number) >= 0);
}

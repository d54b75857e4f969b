// One loop over events or lines: everything once and in order, though announcements may be lost or late.
//
// What is announced is taken as it comes while its number follows on what was seen. Where it does not, where more was
// numbered than was seen, or where nothing is heard of the broker, the broker is asked for what comes after that.
import { Deque, isSettled, type TaskStatus, UnknownTaskError } from "zerotask-core";
import type { Session } from "../session.ts";
import type { Announcements, Topic } from "./announcements.ts";

/** What a broker tells of what comes after a number. */
export interface Page<Wire> {
  readonly items: readonly Wire[];
  /** The last number that the broker has given out. */
  readonly seq: number;
  /** Whether there are more of them than these, and up to where these are all. */
  readonly more?: boolean;
  readonly next?: number;
  /** Whether some of them are not kept any more. */
  readonly lost?: boolean;
  readonly status?: TaskStatus;
}

/** What a loop is over. */
export interface Source<Wire, Item> {
  readonly topic: Topic;
  /** Announcements that tell when it ends, where those of the topic don't. */
  readonly endTopic?: Topic;
  /** Whether it begins with what comes from now on, rather than with what is kept. */
  readonly isFromNow: boolean;
  /** Whether it takes all that its topic tells: then what comes before its first item is missing. */
  readonly isWhole: boolean;
  /** Whether it ends with what there is. */
  readonly isSnapshot: boolean;
  /** @param isPatient whether it waits for a broker however long */
  ask(after: number, limit: number, isPatient: boolean): Promise<Page<Wire>>;
  /** What the user gets of it; `undefined` for nothing. */
  take(wire: Wire): Item | undefined;
  /** Whether nothing comes after it. */
  isFinal(params: unknown): boolean;
  /** What the user gets where the task is settled and the last item did not tell so; `undefined` for nothing. */
  final(status: TaskStatus, seq: number): Item | undefined;
  /** What the user gets in place of what is lost; `undefined` for nothing. */
  gap(seq: number): Item | undefined;
  /** Of a task that the broker does not know. */
  status?(): Promise<TaskStatus>;
}

interface Numbered {
  readonly seq: number;
  readonly prev: number;
}

export interface FeedParts {
  readonly session: Session;
  readonly announcements: Announcements;
  /** The loop was left. */
  readonly onEnd: () => void;
}

/** So many wait for a slow consumer; what comes then is asked for when it has caught up. */
const maxBuffered = 1_000;
const pageSize = 1_000;
/** How often a broker is asked whose announcements don't arrive. */
const pollMs = 1_000;

export class Feed<Wire extends Numbered, Item> implements AsyncIterator<Item, undefined, undefined> {
  readonly #parts: FeedParts;
  readonly #buffer = new Deque<Item>();
  #source: Source<Wire, Item> | undefined;
  /** Everything up to this number was seen; `undefined` before it is known where to begin. */
  #checked: number | undefined;
  /** The highest number that was heard of since the broker was asked last. */
  #heard = 0;
  /** Which run of the broker told so. */
  #epoch: string | undefined;
  #isStale = true;
  #isAsking = false;
  #sawFinal = false;
  #isOver = false;
  #isLeft = false;
  #error: Error | undefined;
  #wake: () => void = () => undefined;
  #last: Promise<unknown> = Promise.resolve();
  readonly #unsubscribe: (() => void)[] = [];

  constructor(parts: FeedParts, source: Promise<Source<Wire, Item>>) {
    this.#parts = parts;
    source.then(
      (known) => this.#begin(known),
      (error: Error) => this.fail(error),
    );
  }

  /** One after the other, however many are asked for at once. */
  next(): Promise<IteratorResult<Item, undefined>> {
    const next = this.#last.then(() => this.#next());
    this.#last = next.catch(() => undefined);
    return next;
  }

  /** Ends the loop: also one that waits. */
  async return(): Promise<IteratorResult<Item, undefined>> {
    this.#leave();
    return { done: true, value: undefined };
  }

  /** Connected again: nobody knows what was missed. A question that is open is asked again by the session. */
  onReady(): void {
    if (!this.#isAsking) this.#refresh();
  }

  /** There will be nothing more. What has come already is told before. */
  fail(error: Error): void {
    this.#error ??= error;
    this.#end();
    this.#wake();
  }

  async #next(): Promise<IteratorResult<Item, undefined>> {
    for (;;) {
      if (this.#isLeft) return { done: true, value: undefined };
      const item = this.#buffer.shift();
      if (item !== undefined) return { done: false, value: item };
      if (this.#error !== undefined) {
        const error = this.#error;
        this.#leave();
        throw error;
      }
      if (this.#isOver) this.#leave();
      else {
        if (this.#isStale && !this.#isAsking && this.#source !== undefined) void this.#ask(this.#source);
        await this.#woken();
      }
    }
  }

  /** Until something happened, or it is time to ask a broker that is not heard. */
  #woken(): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#parts.session.runtime.after(pollMs, () => {
        if (!this.#parts.announcements.isAlive) this.#isStale = true;
        resolve();
      });
      this.#wake = () => {
        timer.cancel();
        resolve();
      };
    });
  }

  #refresh(): void {
    this.#isStale = true;
    this.#wake();
  }

  #begin(source: Source<Wire, Item>): void {
    if (this.#isLeft || this.#error !== undefined) return;
    this.#source = source;
    const { announcements } = this.#parts;
    const onHello = (seq: number): void => this.#onHello(seq);
    if (!source.isSnapshot) {
      const onAnnouncement = (params: unknown): void => this.#onAnnouncement(source, params as Wire);
      this.#unsubscribe.push(announcements.subscribe(source.topic, { onAnnouncement, onHello }));
    }
    if (source.endTopic !== undefined && !source.isSnapshot) {
      const onAnnouncement = (params: unknown): void => {
        if (source.isFinal(params)) this.#refresh();
      };
      const onNothing = (): void => undefined;
      const handlers = { onAnnouncement, onHello: onNothing };
      this.#unsubscribe.push(announcements.subscribe(source.endTopic, handlers));
    }
    // Where it begins is known from when it was asked for, not from when somebody first waits.
    void this.#ask(source);
  }

  #onHello(seq: number): void {
    this.#heard = Math.max(this.#heard, seq);
    if (this.#checked !== undefined && seq > this.#checked && !this.#isAsking) this.#refresh();
  }

  #onAnnouncement(source: Source<Wire, Item>, wire: Wire): void {
    const { seq, prev } = wire;
    this.#heard = Math.max(this.#heard, seq);
    if (this.#checked === undefined || this.#isOver || seq <= this.#checked) return;
    // Before the first one there may have been others that the broker has forgotten.
    const isNext = prev > 0 && prev <= this.#checked;
    if (this.#isStale || !isNext || this.#buffer.size >= maxBuffered) {
      this.#refresh();
      return;
    }
    this.#checked = seq;
    this.#push(source.take(wire));
    if (source.isFinal(wire)) {
      this.#sawFinal = true;
      this.#end();
    }
    this.#wake();
  }

  async #ask(source: Source<Wire, Item>): Promise<void> {
    this.#isAsking = true;
    this.#isStale = false;
    this.#heard = 0;
    const after = this.#checked ?? 0;
    const isFirst = this.#checked === undefined;
    try {
      const limit = isFirst && source.isFromNow ? 0 : pageSize;
      const page = await source
        .ask(after, limit, !isFirst)
        .catch((error: unknown) => statusOnly(source, error, after));
      if (!this.#isLeft) this.#take(source, page, after, isFirst && source.isFromNow);
    } catch (error) {
      this.fail(error as Error);
    }
    this.#isAsking = false;
    this.#wake();
  }

  #take(source: Source<Wire, Item>, page: Page<Wire>, after: number, isBeginning: boolean): void {
    const { epoch } = this.#parts.session;
    const isOtherRun = this.#epoch !== undefined && epoch !== this.#epoch;
    this.#epoch = epoch;
    if (isOtherRun && page.seq < after) {
      // Its clock is behind that of the run before: its numbers begin below, and none of them was seen.
      this.#checked = 0;
      this.#isStale = page.seq > 0;
      return;
    }
    const { items, lost = false, more = false, next = items.at(-1)?.seq ?? after, seq, status } = page;
    if (lost && (this.#checked ?? 0) > after) {
      // What is lost may have been announced while the broker was asked: what comes after that is asked for.
      this.#isStale = true;
      return;
    }
    const isPart = more && !isBeginning;
    const before = items[0]?.prev ?? 0;
    if (lost) this.#push(source.gap(after));
    // Who begins with what is kept has seen nothing: a broker does not count that as lost.
    else if (after === 0 && before > 0 && source.isWhole && !source.isFromNow) this.#push(source.gap(before));
    for (const wire of items) {
      // It was announced while the broker was asked.
      if (wire.seq <= (this.#checked ?? 0)) continue;
      // It may have been run once more since: what ends the loop is the task's status.
      this.#sawFinal ||= source.isFinal(wire);
      this.#push(source.take(wire));
    }
    this.#checked = Math.max(this.#checked ?? 0, isPart ? next : seq);
    this.#isStale ||= isPart || this.#heard > this.#checked;
    if (isPart) return;
    if (status !== undefined && isSettled(status)) {
      if (!this.#sawFinal) this.#push(source.final(status, this.#checked));
      this.#end();
    } else if (source.isSnapshot) this.#end();
  }

  #push(item: Item | undefined): void {
    if (item !== undefined) this.#buffer.push(item);
  }

  /** Nothing more is waited for; what is there is still told. */
  #end(): void {
    this.#isOver = true;
    for (const unsubscribe of this.#unsubscribe.splice(0)) unsubscribe();
    this.#parts.onEnd();
  }

  #leave(): void {
    this.#isLeft = true;
    while (this.#buffer.shift() !== undefined);
    this.#end();
    this.#wake();
  }
}

/** A broker that was started anew does not know a task that its client knows to be settled. */
async function statusOnly<Wire, Item>(
  source: Source<Wire, Item>,
  error: unknown,
  seq: number,
): Promise<Page<Wire>> {
  const status = error instanceof UnknownTaskError ? await source.status?.() : undefined;
  if (status === undefined || !isSettled(status)) throw error;
  return { items: [], seq, status };
}

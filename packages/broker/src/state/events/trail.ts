// The entries of one task, or of one method, that are kept: a list that any of them can be taken out of.

export interface Place<Entry> {
  readonly entry: Entry;
  older: Place<Entry> | undefined;
  newer: Place<Entry> | undefined;
}

export class Trail<Entry> {
  count = 0;
  /** The number of the last one. */
  last: number;
  /** The highest number that one had, or may have had, that is not kept any more. */
  lost: number;
  /** Whether any was taken out. */
  hasDropped = false;
  oldest: Place<Entry> | undefined;
  newest: Place<Entry> | undefined;

  /** @param lost there may have been others before, up to this number */
  constructor(lost: number) {
    this.last = this.lost = lost;
  }

  add(entry: Entry, seq: number): Place<Entry> {
    const place: Place<Entry> = { entry, older: this.newest, newer: undefined };
    if (this.newest === undefined) this.oldest = place;
    else this.newest.newer = place;
    this.newest = place;
    this.count++;
    this.last = seq;
    return place;
  }

  /** One that is not kept had this number. */
  skip(seq: number): void {
    this.last = seq;
    this.lost = seq;
    this.hasDropped = true;
  }

  drop(place: Place<Entry>, seq: number): void {
    const { older, newer } = place;
    if (older === undefined) this.oldest = newer;
    else older.newer = newer;
    if (newer === undefined) this.newest = older;
    else newer.older = older;
    place.older = place.newer = undefined;
    this.count--;
    this.lost = Math.max(this.lost, seq);
    this.hasDropped = true;
  }
}

/**
 * An event log whose records are written group by group: what the log on disk and the one in Redis have in common.
 *
 * Role: numbers the records, holds them until they are durable, bounds what is held, and settles what a failed write
 * takes along (see the port). A group is what was appended while the one before was on its way: under load one write
 * serves many. `RecordStore` reads and writes, and knows what its medium can refuse.
 *
 *     truncated │ first ………… durable │ on its way … │ in groups that wait … newest
 *               │    in the store     │      in `#undurable`
 *
 * Invariants: groups are written in order, one at a time, and each as a whole; once one has failed none is written until
 * `recover`, and nothing of them is left here.
 */
import type { Appended, EventLog, LoggedRecord, LogRecord } from './port.ts';
import { LogDamaged, LogUnavailable } from './port.ts';
import { decodeRecord, encodeRecord } from './record-codec.ts';

/** Of a group that has more than one record. While a script appends one, Redis does nothing else. */
const GROUP_BYTES_MAX = 4 * 2 ** 20;
const GROUP_RECORDS_MAX = 1000;

/** A place in the log: after which record, and the size of all records up to it. */
export interface Place {
  readonly seq: number;
  readonly bytes: number;
}

/** Records that follow one another, the first of them after record `after`. */
export interface RecordGroup {
  readonly after: number;
  readonly values: readonly Buffer[];
}

/** By sequence number. */
export type RecordPage = ReadonlyMap<number, Buffer>;

export interface RecordStore {
  /** Records that one call of `remove` may be given. */
  readonly removedMax: number;
  /** Why it cannot be written to; null while it can. */
  refusal(): unknown;
  /** One write after the other, in the order asked for; a write asks for its group when its turn has come. */
  write(take: () => RecordGroup): Promise<void>;
  /** Record `seq`, which is durable, and as many after it as are read in one go; `meanBytes`: of a record. */
  page(seq: number, durable: number, meanBytes: number): Promise<RecordPage>;
  /** Removes those after `from`, up to `to`. Resolves with the bytes of all records up to there. */
  remove(from: number, to: number, durable: Place): Promise<number>;
  /** Makes it writable again, without what was written after `durable`. Rejects with `LogDamaged` when it ends before. */
  recover(durable: Place): Promise<void>;
}

/** What is in the store: everything after `truncated`, up to and including `newest`. */
export interface Ends {
  readonly truncated: Place;
  readonly newest: Place;
}

export interface LogBounds {
  /** Of all records held. */
  readonly bytesMax: number;
  /** Of those that are not durable yet. */
  readonly pendingBytesMax: number;
}

/** A group that still grows. */
interface OpenGroup {
  readonly values: Buffer[];
  bytes: number;
  readonly durable: Promise<void>;
}

export class GroupedLog implements EventLog {
  readonly #store: RecordStore;
  readonly #bounds: LogBounds;
  #truncated: Place;
  #durable: Place;
  #newest: Place;
  readonly #undurable = new Map<number, Buffer>();
  #group: OpenGroup | null = null;
  #writing: Promise<void> = Promise.resolve();
  #truncateTo = 0;
  #truncating: Promise<void> | null = null;
  #failure: LogUnavailable | null = null;
  #closed = false;

  constructor(store: RecordStore, { newest, truncated }: Ends, bounds: LogBounds) {
    this.#store = store;
    this.#bounds = bounds;
    this.#truncated = truncated;
    this.#durable = newest;
    this.#newest = newest;
  }

  get last(): number {
    return this.#newest.seq;
  }

  get first(): number {
    return this.#truncated.seq + 1;
  }

  get bytes(): number {
    return this.#newest.bytes - this.#truncated.bytes;
  }

  get available(): boolean {
    return this.#failure === null && this.#store.refusal() === null;
  }

  append(record: LogRecord): Appended {
    if (!this.available) throw this.#failure ?? unavailable(this.#store.refusal());
    const { bytesMax, pendingBytesMax } = this.#bounds;
    const seq = this.#newest.seq + 1;
    const value = encodeRecord(seq, this.#newest.bytes, record);
    const held = this.bytes + value.byteLength;
    if (held > bytesMax) throw new LogUnavailable(`the log would hold ${held} of ${bytesMax} bytes`);
    const pending = this.#newest.bytes - this.#durable.bytes + value.byteLength;
    if (pending > pendingBytesMax) throw new LogUnavailable(`${pending} bytes are not durable yet`);
    this.#newest = { seq, bytes: this.#newest.bytes + value.byteLength };
    this.#undurable.set(seq, value);
    const group = this.#groupFor(value);
    group.values.push(value);
    group.bytes += value.byteLength;
    return { seq, durable: group.durable };
  }

  async *read(after: number): AsyncGenerator<LoggedRecord> {
    const end = this.last;
    let page: RecordPage = new Map();
    for (let seq = after + 1; seq <= end && seq <= this.last; seq++) {
      if (seq < this.first) throw new LogDamaged(seq, `records up to ${this.first - 1} were truncated`);
      // Held on to: it may become durable while the page is read.
      const undurable = this.#undurable.get(seq);
      if (undurable === undefined && !page.has(seq)) page = await this.#page(seq);
      yield { seq, record: decodeRecord(seq, undurable ?? page.get(seq)) };
    }
  }

  truncate(seq: number): Promise<void> {
    if (seq > this.last) throw new RangeError(`truncate(${seq}) past the newest record, ${this.last}`);
    this.#truncateTo = Math.max(this.#truncateTo, seq);
    this.#truncating ??= this.#removeOldest().finally(() => {
      this.#truncating = null;
    });
    return this.#truncating;
  }

  async recover(): Promise<void> {
    if (this.#closed) throw new LogUnavailable('the log is closed');
    if (this.available) return;
    // A write on its way ends first: what it said is known then.
    await Promise.allSettled([this.#writing]);
    try {
      await this.#store.recover(this.#durable);
    } catch (error) {
      throw unavailable(error);
    }
    this.#failure = null;
  }

  async close(): Promise<void> {
    // Whoever appended is told what became of it.
    await Promise.allSettled([this.#writing, this.#truncating]);
    this.#closed = true;
    this.#failure = new LogUnavailable('the log is closed');
  }

  #page(seq: number): Promise<RecordPage> {
    const records = Math.max(1, this.last - this.first + 1);
    return this.#store.page(seq, this.#durable.seq, Math.max(1, this.bytes / records));
  }

  #groupFor(value: Buffer): OpenGroup {
    const open = this.#group;
    if (open !== null && open.values.length < GROUP_RECORDS_MAX && open.bytes + value.byteLength <= GROUP_BYTES_MAX) {
      return open;
    }
    const values: Buffer[] = [];
    this.#writing = this.#write({ after: this.#newest.seq - 1, values });
    this.#group = { values, bytes: 0, durable: this.#writing };
    return this.#group;
  }

  async #write(group: RecordGroup): Promise<void> {
    const { after, values } = group;
    try {
      await this.#store.write(() => {
        if (this.#group?.values === values) this.#group = null;
        return this.#failure === null ? group : { after, values: [] };
      });
      if (this.#failure !== null) throw this.#failure;
    } catch (error) {
      throw this.#failed(error);
    }
    let { bytes, seq } = this.#durable;
    for (const value of values) {
      seq += 1;
      bytes += value.byteLength;
      this.#undurable.delete(seq);
    }
    this.#durable = { seq, bytes };
  }

  /** Everything on its way or waiting goes the same way, so the first failure settles it for all of them. */
  #failed(error: unknown): LogUnavailable {
    if (this.#failure !== null) return this.#failure;
    this.#failure = unavailable(error);
    this.#group = null;
    this.#undurable.clear();
    this.#newest = this.#durable;
    return this.#failure;
  }

  async #removeOldest(): Promise<void> {
    try {
      while (this.#truncated.seq < this.#truncateTo) {
        const to = Math.min(this.#truncateTo, this.#truncated.seq + this.#store.removedMax);
        if (to > this.#durable.seq) await this.#writing;
        await this.#removeSome(to);
      }
    } catch (error) {
      throw unavailable(error);
    }
  }

  async #removeSome(to: number): Promise<void> {
    const before = this.#truncated;
    // From now on a reader may find them gone.
    this.#truncated = { seq: to, bytes: before.bytes };
    try {
      this.#truncated = { seq: to, bytes: await this.#store.remove(before.seq, to, this.#durable) };
    } catch (error) {
      this.#truncated = before;
      throw error;
    }
  }
}

function unavailable(error: unknown): LogUnavailable | LogDamaged {
  if (error instanceof LogUnavailable || error instanceof LogDamaged) return error;
  return new LogUnavailable(error instanceof Error ? error.message : String(error), { cause: error });
}

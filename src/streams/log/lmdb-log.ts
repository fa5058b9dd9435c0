/**
 * The event log on disk: one LMDB value per record, its key the sequence number.
 *
 * Role: survives the process, and the machine as far as a flush to its disk does. Records that are appended while a
 * group is being flushed are staged and make up the next group: under load one flush serves many.
 *
 *     truncated │ first ………… durable │ in flight … │ staged … last
 *     (marker)  │      in the table    │      in `#unflushed`
 *
 * Invariants: the table holds `first…durable` without a gap; the marker, written with each removal, says where it
 * begins when it is empty. What is not durable when a write fails is forgotten (see the port).
 */
import { setImmediate } from 'node:timers/promises';
import type { LmdbEnvironment, LmdbTable } from '../lmdb/open.ts';
import { sealed, seedOf, unsealed } from '../lmdb/sealed-value.ts';
import type { Appended, EventLog, LoggedRecord, LogRecord } from './port.ts';
import { LogDamaged, LogUnavailable } from './port.ts';
import { bytesBefore, decodeRecord, encodeRecord } from './record-codec.ts';

export const LMDB_LOG_BYTES_MAX = 16 * 2 ** 30;
/** Bytes appended and not flushed yet. */
export const LMDB_LOG_PENDING_BYTES_MAX = 256 * 2 ** 20;
const READ_BYTES_PER_TURN = 2 ** 20;
const TRUNCATED_PER_WRITE = 512;
const MARKER = 'truncated';
const MARKER_SEED = seedOf(MARKER);

export interface LmdbLogOptions {
  readonly bytesMax?: number;
  readonly pendingBytesMax?: number;
}

/** A place in the log: after which record, and the size of all records up to it. */
interface Place {
  readonly seq: number;
  readonly bytes: number;
}

export class LmdbLog implements EventLog {
  readonly #environment: LmdbEnvironment;
  readonly #records: LmdbTable;
  readonly #markers: LmdbTable;
  readonly #bytesMax: number;
  readonly #pendingBytesMax: number;
  #truncated: Place;
  #durable: Place;
  #newest: Place;
  #staged: Buffer[] = [];
  readonly #unflushed = new Map<number, Buffer>();
  #group: Promise<void> | null = null;
  #flushing: Promise<void> = Promise.resolve();
  #truncateTo = 0;
  #truncating: Promise<void> | null = null;
  #failure: LogUnavailable | null = null;

  /** Throws `LogDamaged` when its ends do not fit together or its newest record is not what was written. */
  constructor(environment: LmdbEnvironment, options: LmdbLogOptions = {}) {
    this.#environment = environment;
    this.#records = environment.table('log');
    this.#markers = environment.table('log-marker');
    this.#bytesMax = options.bytesMax ?? LMDB_LOG_BYTES_MAX;
    this.#pendingBytesMax = options.pendingBytesMax ?? LMDB_LOG_PENDING_BYTES_MAX;
    this.#truncated = this.#readMarker();
    this.#durable = this.#readNewest();
    this.#newest = this.#durable;
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
    return this.#failure === null && this.#environment.failure === null;
  }

  append(record: LogRecord): Appended {
    if (!this.available) throw this.#failure ?? unavailable(this.#environment.failure);
    const seq = this.#newest.seq + 1;
    const value = encodeRecord(seq, this.#newest.bytes, record);
    const held = this.bytes + value.byteLength;
    if (held > this.#bytesMax) throw new LogUnavailable(`the log would hold ${held} of ${this.#bytesMax} bytes`);
    const pending = this.#newest.bytes - this.#durable.bytes + value.byteLength;
    if (pending > this.#pendingBytesMax) throw new LogUnavailable(`${pending} bytes are not flushed yet`);
    this.#newest = { seq, bytes: this.#newest.bytes + value.byteLength };
    this.#staged.push(value);
    this.#unflushed.set(seq, value);
    this.#group ??= this.#writeGroup();
    return { seq, durable: this.#group };
  }

  async *read(after: number): AsyncGenerator<LoggedRecord> {
    const end = this.last;
    let bytes = 0;
    for (let seq = after + 1; seq <= end && seq <= this.last; seq++) {
      if (seq < this.first) throw new LogDamaged(seq, `records up to ${this.first - 1} were truncated`);
      const value = this.#value(seq);
      yield { seq, record: decodeRecord(seq, value) };
      bytes += value?.byteLength ?? 0;
      if (bytes < READ_BYTES_PER_TURN) continue;
      bytes = 0;
      await setImmediate();
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
    try {
      await this.#environment.recover();
      if (this.#failure !== null) await this.#removeNotAcknowledged();
    } catch (error) {
      throw error instanceof LogDamaged ? error : unavailable(error);
    }
    this.#failure = null;
  }

  async close(): Promise<void> {
    // Whoever appended is told what became of it.
    await Promise.allSettled([this.#flushing, this.#truncating]);
    this.#failure = new LogUnavailable('the log is closed');
  }

  #value(seq: number): Buffer | undefined {
    const unflushed = this.#unflushed.get(seq);
    if (unflushed !== undefined) return unflushed;
    try {
      return this.#records.get(seq);
    } catch (error) {
      throw new LogDamaged(seq, `log record ${seq} cannot be read: ${String(error)}`);
    }
  }

  #writeGroup(): Promise<void> {
    let place = this.#durable;
    const written = this.#environment.write(() => {
      const staged = this.#staged;
      place = this.#newest;
      this.#staged = [];
      this.#group = null;
      let seq = place.seq - staged.length;
      for (const value of staged) this.#records.put(++seq, value);
    });
    this.#flushing = written.then(
      () => {
        for (let seq = this.#durable.seq + 1; seq <= place.seq; seq++) this.#unflushed.delete(seq);
        this.#durable = place;
      },
      (error: unknown) => {
        throw this.#failed(error);
      },
    );
    return this.#flushing;
  }

  /** Everything staged or in flight goes the same way, so the first failure settles it for all of them. */
  #failed(error: unknown): LogUnavailable {
    if (this.#failure !== null) return this.#failure;
    this.#failure = unavailable(error);
    this.#staged = [];
    this.#group = null;
    this.#unflushed.clear();
    this.#newest = this.#durable;
    return this.#failure;
  }

  /** A commit that was told to have failed may be on disk all the same. */
  async #removeNotAcknowledged(): Promise<void> {
    const [newest = this.#truncated.seq] = this.#records.keys({ reverse: true, limit: 1 }) as number[];
    if (newest < this.#durable.seq) throw new LogDamaged(this.#durable.seq, `log ends at ${newest}`);
    if (newest === this.#durable.seq) return;
    await this.#environment.write(() => {
      for (let seq = this.#durable.seq + 1; seq <= newest; seq++) this.#records.remove(seq);
    });
  }

  async #removeOldest(): Promise<void> {
    try {
      while (this.#truncated.seq < this.#truncateTo) {
        const to = Math.min(this.#truncateTo, this.#truncated.seq + TRUNCATED_PER_WRITE);
        if (to > this.#durable.seq) await this.#flushing;
        await this.#removeSome(to);
      }
    } catch (error) {
      throw error instanceof LogDamaged ? error : unavailable(error);
    }
  }

  async #removeSome(to: number): Promise<void> {
    const before = this.#truncated;
    const bytes = to === this.#durable.seq ? this.#durable.bytes : bytesBefore(to + 1, this.#value(to + 1));
    const marker = Buffer.alloc(16);
    marker.writeDoubleLE(to, 0);
    marker.writeDoubleLE(bytes, 8);
    try {
      await this.#environment.write(() => {
        for (let seq = before.seq + 1; seq <= to; seq++) this.#records.remove(seq);
        this.#markers.put(MARKER, sealed(marker, MARKER_SEED));
        // From now on a reader may find them gone.
        this.#truncated = { seq: to, bytes };
      });
    } catch (error) {
      this.#truncated = before;
      throw error;
    }
  }

  #readMarker(): Place {
    const value = this.#markers.get(MARKER);
    if (value === undefined) return { seq: 0, bytes: 0 };
    const marker = unsealed(value, MARKER_SEED);
    if (typeof marker === 'string') throw new LogDamaged(0, `log marker: ${marker}`);
    return { seq: marker.readDoubleLE(0), bytes: marker.readDoubleLE(8) };
  }

  #readNewest(): Place {
    const [first] = this.#records.keys({ limit: 1 }) as number[];
    const [last] = this.#records.keys({ reverse: true, limit: 1 }) as number[];
    if (first === undefined || last === undefined) return this.#truncated;
    const { seq } = this.#truncated;
    if (first !== seq + 1) throw new LogDamaged(seq + 1, `log begins at ${first} instead of ${seq + 1}`);
    const { count } = this.#records;
    if (count !== last - seq) throw new LogDamaged(last, `log holds ${count} records from ${first} to ${last}`);
    const value = this.#value(last);
    decodeRecord(last, value);
    return { seq: last, bytes: bytesBefore(last, value) + (value as Buffer).byteLength };
  }
}

function unavailable(error: unknown): LogUnavailable {
  return error instanceof LogUnavailable
    ? error
    : new LogUnavailable(error instanceof Error ? error.message : String(error), { cause: error });
}

/**
 * The event log on disk: one LMDB value per record, its key the sequence number.
 *
 * Role: survives the process, and the machine as far as a flush to its disk does; `grouped-log.ts` does the rest.
 * Invariants: the table holds what is durable without a gap; a marker, written with each removal, says where it begins
 * when it is empty.
 */
import { setImmediate } from 'node:timers/promises';
import type { LmdbEnvironment, LmdbTable } from '../lmdb/open.ts';
import { sealed, seedOf, unsealed } from '../lmdb/sealed-value.ts';
import {
  type Ends,
  GroupedLog,
  type LogBounds,
  type Place,
  type RecordGroup,
  type RecordPage,
  type RecordStore,
} from './grouped-log.ts';
import { type EventLog, LogDamaged } from './port.ts';
import { bytesBefore, decodeRecord } from './record-codec.ts';

export const LMDB_LOG_BYTES_MAX = 16 * 2 ** 30;
export const LMDB_LOG_PENDING_BYTES_MAX = 256 * 2 ** 20;
const PAGE_BYTES = 2 ** 20;
const TRUNCATED_PER_WRITE = 512;
const MARKER = 'truncated';
const MARKER_SEED = seedOf(MARKER);

/** Throws `LogDamaged` when its ends do not fit together or its newest record is not what was written. */
export function openLmdbLog(environment: LmdbEnvironment, options: Partial<LogBounds> = {}): EventLog {
  const { bytesMax = LMDB_LOG_BYTES_MAX, pendingBytesMax = LMDB_LOG_PENDING_BYTES_MAX } = options;
  const store = new LmdbRecords(environment);
  return new GroupedLog(store, store.ends(), { bytesMax, pendingBytesMax });
}

class LmdbRecords implements RecordStore {
  readonly removedMax = TRUNCATED_PER_WRITE;
  readonly #environment: LmdbEnvironment;
  readonly #records: LmdbTable;
  readonly #markers: LmdbTable;

  constructor(environment: LmdbEnvironment) {
    this.#environment = environment;
    this.#records = environment.table('log');
    this.#markers = environment.table('log-marker');
  }

  refusal(): Error | null {
    return this.#environment.failure;
  }

  write(take: () => RecordGroup): Promise<void> {
    return this.#environment.write(() => {
      const { after, values } = take();
      let seq = after;
      for (const value of values) this.#records.put(++seq, value);
    });
  }

  async page(from: number, durable: number): Promise<RecordPage> {
    const page = new Map<number, Buffer>();
    let bytes = 0;
    for (let seq = from; seq <= durable && bytes < PAGE_BYTES; seq++) {
      const value = this.#value(seq);
      if (value === undefined) break;
      page.set(seq, value);
      bytes += value.byteLength;
    }
    // Whoever reads it all lets others have their turn.
    await setImmediate();
    return page;
  }

  async remove(from: number, to: number, durable: Place): Promise<number> {
    const bytes = to === durable.seq ? durable.bytes : bytesBefore(to + 1, this.#value(to + 1));
    const marker = Buffer.alloc(16);
    marker.writeDoubleLE(to, 0);
    marker.writeDoubleLE(bytes, 8);
    await this.#environment.write(() => {
      for (let seq = from + 1; seq <= to; seq++) this.#records.remove(seq);
      this.#markers.put(MARKER, sealed(marker, MARKER_SEED));
    });
    return bytes;
  }

  /** A commit that was told to have failed may be on disk all the same. */
  async recover({ seq: durable }: Place): Promise<void> {
    await this.#environment.recover();
    const [newest = this.#truncated().seq] = this.#records.keys({ reverse: true, limit: 1 }) as number[];
    if (newest < durable) throw new LogDamaged(durable, `log ends at ${newest}`);
    if (newest === durable) return;
    await this.#environment.write(() => {
      for (let seq = durable + 1; seq <= newest; seq++) this.#records.remove(seq);
    });
  }

  ends(): Ends {
    const truncated = this.#truncated();
    const [first] = this.#records.keys({ limit: 1 }) as number[];
    const [last] = this.#records.keys({ reverse: true, limit: 1 }) as number[];
    if (first === undefined || last === undefined) return { truncated, newest: truncated };
    const { seq } = truncated;
    if (first !== seq + 1) throw new LogDamaged(seq + 1, `log begins at ${first} instead of ${seq + 1}`);
    const { count } = this.#records;
    if (count !== last - seq) throw new LogDamaged(last, `log holds ${count} records from ${first} to ${last}`);
    const value = this.#value(last);
    decodeRecord(last, value);
    return { truncated, newest: { seq: last, bytes: bytesBefore(last, value) + (value as Buffer).byteLength } };
  }

  #truncated(): Place {
    const value = this.#markers.get(MARKER);
    if (value === undefined) return { seq: 0, bytes: 0 };
    const marker = unsealed(value, MARKER_SEED);
    if (typeof marker === 'string') throw new LogDamaged(0, `log marker: ${marker}`);
    return { seq: marker.readDoubleLE(0), bytes: marker.readDoubleLE(8) };
  }

  #value(seq: number): Buffer | undefined {
    try {
      return this.#records.get(seq);
    } catch (error) {
      throw new LogDamaged(seq, `log record ${seq} cannot be read: ${String(error)}`);
    }
  }
}

/**
 * The event log in memory: for streams whose durability is `memory`, and for tests.
 *
 * Role: what the engine replays when a thread is lost. Records are durable at once as far as the level promises
 * anything. Bounded by bytes: only `truncate` makes room, because a record that no checkpoint covers yet is needed.
 * Bodies are copied (`body-segments.ts`), and copied again for whoever reads them: they may be truncated meanwhile.
 */
import { setImmediate } from 'node:timers/promises';
import { BodySegments } from './body-segments.ts';
import type { Appended, EventLog, LoggedRecord, LogRecord } from './port.ts';
import { LogDamaged, LogUnavailable } from './port.ts';

export const MEMORY_LOG_BYTES_MAX = 512 * 2 ** 20;
const RECORDS_PER_TURN = 256;
/** What an entry costs beside its texts and body, roughly. */
const RECORD_OVERHEAD_BYTES = 128;

const DURABLE = Promise.resolve();

export interface MemoryLogOptions {
  readonly bytesMax?: number;
}

export class MemoryLog implements EventLog {
  readonly #bytesMax: number;
  #records: LogRecord[] = [];
  readonly #bodies = new BodySegments();
  #first = 1;
  #bytes = 0;
  #closed = false;

  constructor(options: MemoryLogOptions = {}) {
    this.#bytesMax = options.bytesMax ?? MEMORY_LOG_BYTES_MAX;
  }

  get last(): number {
    return this.#first + this.#records.length - 1;
  }

  get first(): number {
    return this.#first;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get available(): boolean {
    return !this.#closed;
  }

  append(record: LogRecord): Appended {
    if (this.#closed) throw new LogUnavailable('the log is closed');
    const bytes = this.#bytes + sizeOf(record);
    if (bytes > this.#bytesMax) throw new LogUnavailable(`the log would hold ${bytes} of ${this.#bytesMax} bytes`);
    this.#records.push(record.kind === 'events' ? { ...record, body: this.#bodies.put(record.body) } : record);
    this.#bytes = bytes;
    return { seq: this.last, durable: DURABLE };
  }

  async *read(after: number): AsyncGenerator<LoggedRecord> {
    const end = this.last;
    for (let seq = after + 1; seq <= end; seq++) {
      const record = this.#records[seq - this.#first];
      if (record === undefined) throw new LogDamaged(seq, `records up to ${this.#first - 1} were truncated`);
      yield { seq, record: record.kind === 'events' ? { ...record, body: record.body.slice() } : record };
      if (seq % RECORDS_PER_TURN === 0) await setImmediate();
    }
  }

  truncate(seq: number): Promise<void> {
    if (seq > this.last) throw new RangeError(`truncate(${seq}) past the newest record, ${this.last}`);
    if (seq < this.#first) return DURABLE;
    const gone = this.#records.splice(0, seq - this.#first + 1);
    this.#first = seq + 1;
    for (const record of gone) {
      this.#bytes -= sizeOf(record);
      if (record.kind === 'events') this.#bodies.drop(record.body);
    }
    return DURABLE;
  }

  recover(): Promise<void> {
    return this.#closed ? Promise.reject(new LogUnavailable('the log is closed')) : DURABLE;
  }

  close(): Promise<void> {
    this.#closed = true;
    return DURABLE;
  }
}

function sizeOf(record: LogRecord): number {
  switch (record.kind) {
    case 'events':
      return (
        RECORD_OVERHEAD_BYTES +
        record.body.byteLength +
        record.stream.length +
        record.source.length +
        record.partition.length +
        record.traceparent.length +
        record.correlationId.length +
        record.batchId.length +
        record.position.length +
        record.setAside.length +
        record.unread.length
      );
    case 'tick':
      return record.idle.reduce(
        (sum, { stream, partition }) => sum + stream.length + partition.length,
        RECORD_OVERHEAD_BYTES,
      );
    case 'time':
      return RECORD_OVERHEAD_BYTES + record.stream.length + record.partition.length;
    case 'plan':
      return RECORD_OVERHEAD_BYTES + record.definitionsJson.length;
  }
}

/**
 * Log records for tests: arbitrary ones, and ones whose content follows from their number.
 */
import fc from 'fast-check';
import type { EventLog, LoggedRecord, LogRecord } from '../../../src/streams/log/port.ts';

/** Objects like any other: fast-check's own have no prototype, now and then. */
const plainRecord = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record(model, { noNullPrototype: true });

export const anyRecord: fc.Arbitrary<LogRecord> = fc.oneof(
  {
    weight: 6,
    arbitrary: plainRecord({
      kind: fc.constant('events' as const),
      stream: fc.string(),
      format: fc.constantFrom('ndjson', 'json', 'msgpack', 'cloudevent', 'cloudevents-batch', 'columns'),
      source: fc.string({ unit: 'grapheme' }),
      partition: fc.string({ unit: 'grapheme' }),
      arrivalMs: fc.oneof(fc.integer(), fc.double({ noNaN: true })).map((ms) => ms + 0),
      traceparent: fc.string(),
      correlationId: fc.string({ maxLength: 300 }),
      batchId: fc.string(),
      position: fc.string(),
      unread: fc.constantFrom('', 'why'),
      setAside: fc.string(),
      body: fc.uint8Array({ maxLength: 2000 }),
    }),
  },
  {
    weight: 1,
    arbitrary: plainRecord({
      kind: fc.constant('tick' as const),
      nowMs: fc.integer({ min: 0 }),
      idle: fc.array(plainRecord({ stream: fc.string(), partition: fc.string({ unit: 'grapheme' }) })),
    }),
  },
  {
    weight: 1,
    arbitrary: plainRecord({
      kind: fc.constant('time' as const),
      stream: fc.string(),
      partition: fc.string({ unit: 'grapheme' }),
      tsMs: fc.integer(),
      arrivalMs: fc.integer({ min: 0 }),
    }),
  },
  {
    weight: 1,
    arbitrary: plainRecord({
      kind: fc.constant('plan' as const),
      definitionsJson: fc.jsonValue().map((value) => JSON.stringify(value)),
    }),
  },
);

/** A record of `bodyBytes` whose every byte follows from `number`. */
export function numberedRecord(number: number, bodyBytes: number): LogRecord {
  const body = new Uint8Array(bodyBytes);
  for (let i = 0, x = number + 1; i < bodyBytes; i++) {
    x = (Math.imul(x, 1_103_515_245) + 12_345) >>> 0;
    body[i] = x >>> 24;
  }
  return {
    kind: 'events',
    stream: 'orders',
    format: 'ndjson',
    source: 'http',
    partition: `${number % 3}`,
    arrivalMs: 1_700_000_000_000 + number,
    traceparent: '',
    correlationId: '',
    batchId: `batch-${number}`,
    position: '',
    setAside: '',
    unread: '',
    body,
  };
}

/** Comparable: bodies as plain `Uint8Array`s, whatever they were over. */
export function plain(record: LogRecord): LogRecord {
  return record.kind === 'events' ? { ...record, body: new Uint8Array(record.body) } : record;
}

export async function readAll(log: EventLog, after: number): Promise<LoggedRecord[]> {
  const all: LoggedRecord[] = [];
  for await (const { seq, record } of log.read(after)) all.push({ seq, record: plain(record) });
  return all;
}

/**
 * Poison events of a record as dead letters: where each stands in the log, and its original bytes.
 *
 * Role: between decoding, which says what it refused, and the store of dead letters. A letter's place is its record's
 * sequence number and its own number there. What a full stream sets aside is kept batch by batch.
 */
import type { DeadLetter } from '../../dead-letters/port.ts';
import { readLayout } from '../../decode/column-format.ts';
import { columnsRead, singleRow } from '../../decode/column-rows.ts';
import { BETWEEN_RECORDS } from '../../operator.ts';
import type { FieldPlan } from '../../plan.ts';
import type { EventsRecord } from '../engine.ts';
import type { DecodeResult, Rejected, WireFormat } from '../task.ts';

/** Of the beginning of a body. */
const COLUMN_ALIGNMENT = 8;
const DERIVED_PLACES = BETWEEN_RECORDS * 1_000_000;

/** Of the first letter among those of a record. Derived events lie between two records: theirs follow the record's own. */
export const placeIn = (seq: number): number => Math.round((seq - Math.floor(seq)) * DERIVED_PLACES);

/** Of a batch that counts: its poison events, or all of it where a full stream has set it aside. */
export function lettersLeft(
  record: EventsRecord,
  seq: number,
  decoded: DecodeResult,
  fields: readonly FieldPlan[],
): readonly DeadLetter[] {
  const { accepted, rejected, rejectedMore } = decoded;
  if (record.setAside === '') return rejected.length === 0 ? [] : lettersOf(record, seq, decoded, fields);
  const events = accepted + rejected.length + rejectedMore;
  return [letterOfBatch(record, seq, `${events} events set aside: ${record.setAside}`)];
}

function lettersOf(
  record: EventsRecord,
  seq: number,
  { rejected }: DecodeResult,
  fields: readonly FieldPlan[],
): DeadLetter[] {
  const { arrivalMs, correlationId, format, partition, source, stream, traceparent } = record;
  const first = placeIn(seq);
  const eventOf = format === 'columns' ? rowsOf(record, fields) : bytesOf(record);
  return rejected.map((each, index) => ({
    stream,
    seq: Math.floor(seq),
    index: first + index,
    source,
    partition,
    reason: each.reason,
    arrivalMs,
    traceparent,
    correlationId,
    ...eventOf(each),
  }));
}

type EventOf = (rejected: Rejected) => Pick<DeadLetter, 'format' | 'bytes'>;

function bytesOf({ body, format }: EventsRecord): EventOf {
  return ({ at, bytes }) => ({ format: rowFormatOf(format), bytes: body.slice(at, at + bytes) });
}

/** A row of columns lies in no one place: `at` is its number, `bytes` 0. A body that is refused as a whole has its bytes. */
function rowsOf(record: EventsRecord, fields: readonly FieldPlan[]): EventOf {
  const { body } = record;
  const aligned = body.byteOffset % COLUMN_ALIGNMENT === 0 ? body : new Uint8Array(body);
  const layout = readLayout(aligned);
  const whole = bytesOf(record);
  if (typeof layout === 'string') return whole;
  const read = columnsRead(layout, fields);
  return (each) => (each.bytes > 0 ? whole(each) : singleRow(aligned, read, each.at));
}

/** A batch that does not count as a whole: one letter, as it came in. */
export function letterOfBatch(record: EventsRecord, seq: number, reason: string): DeadLetter {
  const { arrivalMs, body, correlationId, format, partition, source, stream, traceparent } = record;
  return {
    stream,
    seq: Math.floor(seq),
    index: placeIn(seq),
    source,
    partition,
    reason,
    arrivalMs,
    traceparent,
    correlationId,
    format,
    bytes: body,
  };
}

/** An event of a batch by itself: what was no event there is none when it is replayed. */
const rowFormatOf = (format: WireFormat): WireFormat => ROW_FORMATS[format] ?? format;

const ROW_FORMATS: Readonly<Partial<Record<WireFormat, WireFormat>>> = {
  json: 'json-object',
  msgpack: 'msgpack-maps',
  'cloudevents-batch': 'cloudevent',
};

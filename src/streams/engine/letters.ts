/**
 * Poison events of a record as dead letters: where each stands in the log, and its original bytes.
 *
 * Role: between decoding, which says what it refused, and the store of dead letters. A letter's place is its record's
 * sequence number and its own number there. What a full stream sets aside is kept batch by batch.
 */
import type { DeadLetter } from '../dead-letters/port.ts';
import { BETWEEN_RECORDS } from '../operator.ts';
import type { EventsRecord } from './engine.ts';
import type { DecodeResult, WireFormat } from './task.ts';

const DERIVED_PLACES = BETWEEN_RECORDS * 1_000_000;

export function lettersOf(record: EventsRecord, seq: number, { rejected }: DecodeResult): DeadLetter[] {
  const { arrivalMs, body, correlationId, format, partition, source, stream, traceparent } = record;
  // Derived events lie between two records: their places follow those of the record itself.
  const first = (seq - Math.floor(seq)) * DERIVED_PLACES;
  return rejected.map(({ at, bytes, reason }, index) => ({
    stream,
    seq: Math.floor(seq),
    index: first + index,
    source,
    partition,
    reason,
    arrivalMs,
    traceparent,
    correlationId,
    format: rowFormatOf(format),
    bytes: body.slice(at, at + bytes),
  }));
}

/** A batch that was set aside: one letter, as it came in. */
export function letterOfBatch(record: EventsRecord, seq: number, events: number): DeadLetter {
  const { arrivalMs, body, correlationId, format, partition, setAside, source, stream, traceparent } = record;
  return {
    stream,
    seq,
    index: 0,
    source,
    partition,
    reason: `${events} events set aside: ${setAside}`,
    arrivalMs,
    traceparent,
    correlationId,
    format,
    bytes: body,
  };
}

/** An event of a batch by itself. */
function rowFormatOf(format: WireFormat): WireFormat {
  return format === 'cloudevents-batch' ? 'cloudevent' : format;
}

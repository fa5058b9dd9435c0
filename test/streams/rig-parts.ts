/**
 * What is sent to streams and asked of them alike, whether one node runs them or many.
 */
import type { IncomingBatch } from '../../src/streams/sources/port.ts';

/** Of a query: all keys and times. */
export const EVERYTHING = { key: null, fromMs: -Infinity, toMs: Infinity, by: '', limit: 1000 } as const;

/** NDJSON of these events, from nowhere in particular. */
export function ndjsonBatch(events: readonly object[], heading: Partial<IncomingBatch> = {}): IncomingBatch {
  return {
    format: 'ndjson',
    partition: '',
    body: Buffer.from(events.map((event) => JSON.stringify(event)).join('\n')),
    position: '',
    batchId: '',
    traceparent: '',
    correlationId: '',
    ...heading,
  };
}

/**
 * What a decoded batch becomes: its events, the time they bring, and the room that may have to be made for them.
 *
 * Role: part of the engine's turning of records into steps, in log order; the book it is given goes on by it.
 */
import type { Plan } from '../plan.ts';
import { notePlace } from './connectors/source-places.ts';
import type { EventsRecord } from './engine.ts';
import type { StreamBook } from './intake/books.ts';
import { partitionOf } from './intake/intake.ts';
import type { DecodeResult, Step } from './task.ts';

/** `counts`: its events do, not its time alone. `clockMs`: of the clock that nobody sets. */
export function eventSteps(
  plan: Plan,
  book: StreamBook,
  record: EventsRecord,
  decoded: DecodeResult | null,
  { clockMs, counts, seq }: { readonly seq: number; readonly counts: boolean; readonly clockMs: number },
): readonly Step[] {
  if (record.position !== '') notePlace(book.positions, record);
  if (decoded === null || decoded.accepted === 0) return [];
  const { index: stream } = book.plan;
  const { arrivalMs, correlationId, partition, source, traceparent } = record;
  const watermark = book.watermark;
  const provenance = { seq, source, partition, arrivalMs, traceparent, correlationId };
  const { batch, partials } = decoded;
  const steps: Step[] = counts ? [{ kind: 'events', seq, stream, batch, partials, provenance, watermark }] : [];
  book.brings(partitionOf(record), decoded.tsMax, arrivalMs, clockMs);
  if (book.watermark > watermark) steps.push({ kind: 'advance', seq, stream, watermark: book.watermark });
  if (book.plan.onFull === 'evict-idle') {
    const { shards } = plan;
    const { keysMax, stateBytesMax } = book.plan;
    const [keys, bytes] = [Math.ceil(keysMax / shards), Math.ceil(stateBytesMax / shards)];
    steps.push({ kind: 'evict', seq, stream, keysMax: keys, bytesMax: bytes });
  }
  return steps;
}

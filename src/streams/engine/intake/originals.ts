/**
 * The events behind results: from ids (`seq:row`) to what came in, and where from.
 *
 * Role: reads the log, as far as it still reaches back, and decodes the record again in the pool.
 * Invariants: only of records that were applied, since to decode an earlier one would take its ids for known before its
 * turn; and only of those that were decoded by the schema there is now, by which alone their rows are told apart.
 */
import { placeOf } from '../../dead-letters/port.ts';
import { EventBatch } from '../../decode/event-batch.ts';
import { contextOf } from '../../event-context.ts';
import { LogDamaged } from '../../log/port.ts';
import type { StreamEngine } from '../engine.ts';
import type { OriginalEvent } from '../port.ts';

type Original = Omit<OriginalEvent, 'id'>;

/** Those that are not there any more are left out. */
export async function originalsOf(engine: StreamEngine, ids: readonly string[]): Promise<OriginalEvent[]> {
  const found: OriginalEvent[] = [];
  for (const id of ids) {
    const place = placeOf(id);
    const original = place === null ? null : await heldOriginalOf(engine, ...place);
    if (original !== null) found.push({ id, ...original });
  }
  return found;
}

async function heldOriginalOf(engine: StreamEngine, seq: number, row: number): Promise<Original | null> {
  const { eventLog } = engine.parts;
  if (seq < eventLog.first || seq > engine.appliedSeq) return null;
  try {
    return await originalOf(engine, seq, row);
  } catch (error) {
    // A checkpoint let go of it while it was read.
    if (error instanceof LogDamaged && seq < eventLog.first) return null;
    throw error;
  }
}

async function originalOf(engine: StreamEngine, seq: number, row: number): Promise<Original | null> {
  const { eventLog, threads } = engine.parts;
  for await (const { record, seq: at } of eventLog.read(seq - 1)) {
    if (at !== seq || record.kind !== 'events') return null;
    const book = engine.books.find(({ plan }) => plan.name === record.stream);
    if (book === undefined || !book.isReadable(seq)) return null;
    const { plan } = engine;
    // Under its own number, ids are its own: the rows are those of the first time.
    const task = engine.taskOf(book, record, seq, 0);
    const decoded = await threads.decode({ ...task, looksOnly: true });
    const batch = new EventBatch(plan, decoded.batch);
    if (row >= batch.count) return null;
    const { arrivalMs, partition, position, source } = record;
    const { correlationId, traceparent } = contextOf(batch, row, task.provenance);
    return {
      text: batch.original(row),
      source,
      arrivalMs,
      ...(partition !== '' && { partition }),
      ...(position !== '' && { position }),
      ...(traceparent !== '' && { traceparent }),
      ...(correlationId !== '' && { correlationId }),
    };
  }
  return null;
}

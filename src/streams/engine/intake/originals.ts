/**
 * The events behind results: from ids (`seq:row`) to the original events and where they came from.
 *
 * Role: reads the log, as far as it still reaches back, and decodes the record again in the pool. Events that were made
 * of results are not in the log, but the newest are kept (`results/derived-records.ts`); their ids have fractional
 * numbers.
 * Invariants: only records that were applied are decoded, since an earlier decoding would make their ids known before
 * their turn; and only those that were decoded by the present schema, since rows are told apart by it.
 */
import { placeOf } from '../../dead-letters/port.ts';
import { EventBatch } from '../../decode/event-batch.ts';
import { contextOf, isSeveral, type OwnContext } from '../../event-context.ts';
import { LogDamaged } from '../../log/port.ts';
import type { EventsRecord, StreamEngine } from '../engine.ts';
import type { OriginalEvent } from '../port.ts';
import { resultBehind } from '../results/derived-records.ts';
import type { StreamBook } from './books.ts';

type Original = Omit<OriginalEvent, 'id'>;

/** Between two records of the log: parts of `BETWEEN_RECORDS`, which have at most nine digits. */
const DERIVED_ID = /^(\d{1,15}\.\d{1,9}):(\d{1,15})$/;
const LINE_FEED = 10;

/** Those that are not there any more are left out. */
export async function originalsOf(engine: StreamEngine, ids: readonly string[]): Promise<OriginalEvent[]> {
  const found: OriginalEvent[] = [];
  for (const id of ids) {
    const original = await originalNamed(engine, id);
    if (original !== null) found.push({ id, ...original });
  }
  return found;
}

function originalNamed(engine: StreamEngine, id: string): Promise<Original | null> {
  const place = placeOf(id);
  if (place !== null) return heldOriginalOf(engine, ...place);
  const [, seq, row] = DERIVED_ID.exec(id) ?? [];
  return seq === undefined ? Promise.resolve(null) : derivedOriginalOf(engine, Number(seq), Number(row));
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
  const { eventLog } = engine.parts;
  for await (const { record, seq: at } of eventLog.read(seq - 1)) {
    if (at !== seq || record.kind !== 'events') return null;
    const book = engine.books.find(({ plan }) => plan.name === record.stream);
    if (book === undefined || !book.isReadable(seq)) return null;
    const batch = await decodedAgain(engine, book, record, seq, 0);
    if (row >= batch.count) return null;
    const { arrivalMs, partition, position, source } = record;
    return {
      text: batch.shown(row),
      source,
      arrivalMs,
      ...(partition !== '' && { partition }),
      ...(position !== '' && { position }),
      ...contextShown(batch, row, record),
    };
  }
  return null;
}

async function derivedOriginalOf(engine: StreamEngine, seq: number, row: number): Promise<Original | null> {
  const derived = engine.outcomes.derived.of(seq);
  const book = engine.books.find(({ plan }) => plan.name === derived?.record.stream);
  if (derived === null || book === undefined || !book.isReadable(seq)) return null;
  const { contextBytes, record } = derived;
  const batch = await decodedAgain(engine, book, record, seq, contextBytes);
  if (row >= batch.count) return null;
  const text = batch.shown(row);
  const result = resultBehind(derived, lineOf(batch, row), batch.original(row));
  const { arrivalMs, source } = record;
  const position = String(Math.floor(seq));
  return { text, source, position, arrivalMs, ...contextShown(batch, row, record), ...(result !== null && { result }) };
}

/** Under its own number, ids are its own: the rows are those of the first time. */
async function decodedAgain(
  engine: StreamEngine,
  book: StreamBook,
  record: EventsRecord,
  seq: number,
  contextBytes: number,
): Promise<EventBatch> {
  const { plan } = engine;
  const task = engine.taskOf(book, record, seq, contextBytes);
  const decoded = await engine.parts.threads.decode({ ...task, looksOnly: true });
  return new EventBatch(plan, decoded.batch);
}

/** Of an event made of a result, which may have several, its result tells them one by one. */
function contextShown(batch: EventBatch, row: number, record: EventsRecord): Partial<OwnContext> {
  const own = contextOf(batch, row, { ...record, seq: 0 });
  if (isSeveral(own)) return {};
  const { correlationId, traceparent } = own;
  return { ...(traceparent !== '' && { traceparent }), ...(correlationId !== '' && { correlationId }) };
}

/** One event is on each; those that the stream refused are no rows. */
function lineOf(batch: EventBatch, row: number): number {
  let line = 0;
  const end = batch.eventAt[row] as number;
  for (let at = 0; at < end; at++) if (batch.bytes[at] === LINE_FEED) line += 1;
  return line;
}

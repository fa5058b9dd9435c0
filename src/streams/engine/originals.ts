/**
 * The events behind results: from ids (`seq:row`) to the texts that came in.
 *
 * Role: reads the log, as far as it still reaches back, and decodes the record again in the pool.
 */
import { EventBatch } from '../decode/event-batch.ts';
import type { StreamEngine } from './engine.ts';

/** Those that are not there any more are left out. */
export async function originalsOf(
  engine: StreamEngine,
  ids: readonly string[],
): Promise<{ id: string; text: string }[]> {
  const found: { id: string; text: string }[] = [];
  for (const id of ids) {
    const [seq, row] = id.split(':').map(Number) as [number, number];
    const text = Number.isInteger(seq) && Number.isInteger(row) ? await originalOf(engine, seq, row) : null;
    if (text !== null) found.push({ id, text });
  }
  return found;
}

async function originalOf(engine: StreamEngine, seq: number, row: number): Promise<string | null> {
  const { eventLog, threads } = engine.parts;
  for await (const { record, seq: at } of eventLog.read(seq - 1)) {
    if (at !== seq || record.kind !== 'events') return null;
    const book = engine.books.find(({ plan }) => plan.name === record.stream);
    if (book === undefined) return null;
    // Under its own number, ids are its own: the rows are those of the first time.
    const decoded = await threads.decode(engine.taskOf(book, record, seq, 0));
    const batch = new EventBatch(engine.plan, decoded.batch);
    return row < batch.count ? batch.original(row) : null;
  }
  return null;
}

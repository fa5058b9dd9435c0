/**
 * The batches a query is fed with: side data, then Nexmark's events chunk by chunk, then one event per stream far ahead
 * of all others, so that every window and auction of interest closes.
 *
 * Role: what an engine is given. The events may be made once and be fed to many queries: nobody writes into their bytes.
 * The closing events have id, auction, bidder and seller 0; rows with them are left out by `judge.ts`. The closing
 * auction is open for the closing bid, so that streams derived from joins close as well.
 */
import { NexmarkGenerator } from '../../../src/streams/sources/nexmark.ts';
import { NexmarkNdjson } from '../../../src/streams/sources/nexmark-ndjson.ts';
import type { NexmarkKind, NexmarkOptions } from '../../../src/streams/sources/nexmark-skeleton.ts';
import type { NexmarkQuery } from './streams.ts';

export interface FeedBatch {
  readonly stream: string;
  /** NDJSON. */
  readonly body: Uint8Array;
}

export interface FeedOptions {
  readonly generator: Partial<NexmarkOptions>;
  readonly events: number;
  readonly eventsPerBatch: number;
}

export const NEXMARK_KINDS: readonly NexmarkKind[] = ['person', 'auction', 'bid'];
const CLOSING_MS = 2 * 86_400_000;
const encoder = new TextEncoder();

/** Nexmark's events of these kinds. */
export function* eventBatches(
  { events, eventsPerBatch, generator }: FeedOptions,
  kinds: readonly NexmarkKind[] = NEXMARK_KINDS,
): Generator<FeedBatch> {
  const writer = new NexmarkNdjson(new NexmarkGenerator(generator));
  for (let from = 0; from < events; from += eventsPerBatch) {
    const bodies = writer.write(from, Math.min(events, from + eventsPerBatch));
    for (const stream of kinds) if (bodies[stream].length > 0) yield { stream, body: bodies[stream] };
  }
}

/** Of the kinds that a query declares. */
export function kindsOf({ streams }: NexmarkQuery): readonly NexmarkKind[] {
  return NEXMARK_KINDS.filter((kind) => streams.some(({ name }) => name === kind));
}

/** `events`: those of `options`, when they are there already. */
export function* feed(
  query: NexmarkQuery,
  options: FeedOptions,
  events: Iterable<FeedBatch> = eventBatches(options, kindsOf(query)),
): Generator<FeedBatch> {
  const declared = new Set(query.streams.map(({ name }) => name));
  if (query.side !== undefined) yield { stream: query.side.stream, body: encoder.encode(query.side.body()) };
  for (const batch of events) if (declared.has(batch.stream)) yield batch;
  const at = new NexmarkGenerator(options.generator).skeleton.timestamp(options.events) + CLOSING_MS;
  for (const [stream, row] of Object.entries(closingRows(at))) {
    if (declared.has(stream)) yield { stream, body: encoder.encode(`${JSON.stringify(row)}\n`) };
  }
}

function closingRows(at: number): Readonly<Record<string, object>> {
  const texts = { name: '', emailAddress: '', creditCard: '', city: '', state: '', extra: '' };
  const numbers = { initialBid: 0, reserve: 0, seller: 0, category: 0 };
  return {
    side: { key: 0, value: '', at },
    person: { id: 0, ...texts, dateTime: at },
    auction: { id: 0, itemName: '', description: '', ...numbers, dateTime: at, expires: at + 1, extra: '' },
    bid: { auction: 0, bidder: 0, price: 0, channel: '', url: '', dateTime: at, extra: '' },
  };
}

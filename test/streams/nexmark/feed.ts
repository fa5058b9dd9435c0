/**
 * The batches a query is fed with: side data, then Nexmark's events chunk by chunk, then one event per stream far ahead
 * of all others, so that every window and auction of interest closes.
 *
 * Role: the input side of the port `StreamRunner`, behind which stands whatever runs streams.
 * The closing events have id, auction, bidder and seller 0; rows with them are left out by `judge.ts`. The closing
 * auction is open for the closing bid, so that streams derived from joins close as well.
 */
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { NexmarkGenerator } from '../../../src/streams/sources/nexmark.ts';
import { NexmarkNdjson } from '../../../src/streams/sources/nexmark-ndjson.ts';
import type { NexmarkOptions } from '../../../src/streams/sources/nexmark-skeleton.ts';
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

/**
 * Declares the streams, takes the batches in order (one partition per stream, format `ndjson`), and gives the lines of
 * the operator, in order, once all that follows from the batches is there.
 */
export type StreamRunner = (
  streams: readonly StreamDefinition[],
  batches: Iterable<FeedBatch>,
  answer: { readonly stream: string; readonly operator: string },
) => Promise<readonly string[]>;

const CLOSING_MS = 2 * 86_400_000;
const encoder = new TextEncoder();

export function* feed(query: NexmarkQuery, options: FeedOptions): Generator<FeedBatch> {
  const declared = new Set(query.streams.map(({ name }) => name));
  if (query.side !== undefined) yield { stream: query.side.stream, body: encoder.encode(query.side.body()) };
  const generator = new NexmarkGenerator(options.generator);
  const writer = new NexmarkNdjson(generator);
  for (let from = 0; from < options.events; from += options.eventsPerBatch) {
    const bodies = writer.write(from, Math.min(options.events, from + options.eventsPerBatch));
    for (const stream of ['person', 'auction', 'bid'] as const) {
      if (declared.has(stream) && bodies[stream].length > 0) yield { stream, body: bodies[stream] };
    }
  }
  const at = generator.skeleton.timestamp(options.events) + CLOSING_MS;
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

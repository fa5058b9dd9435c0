/**
 * The process that is killed: streams with everything on disk, fed and changed by messages of its parent.
 *
 * Its clock is the arrival of the newest batch it was given, so that a batch that comes again arrives at the same time.
 */
import type { StreamDefinition, WindowDefinition } from '../../../src/streams/define/definition.ts';
import { CONNECTOR_KINDS } from '../../../src/streams/engine/connectors/connectors.ts';
import type { WireFormat } from '../../../src/streams/engine/task.ts';
import { type OpenStreams, openStreams } from '../../../src/streams/open.ts';
import type { Accepted } from '../../../src/streams/sources/port.ts';
import { openStores } from '../../../src/streams/stores.ts';
import { DeadlyThreads } from './deadly-threads.ts';

export interface Opening {
  readonly kind: 'open';
  readonly definitions: readonly StreamDefinition[];
  readonly dataDir: string;
  readonly checkpointMs: number;
}

export interface SentBatch {
  readonly kind: 'batch';
  readonly id: string;
  readonly stream: string;
  readonly partition: string;
  readonly source: string;
  readonly arrivalMs: number;
  readonly format: WireFormat;
  readonly body: Uint8Array;
}

/** What becomes of a window of a stream. */
export type Change =
  | { readonly kind: 'define'; readonly stream: string; readonly window: WindowDefinition }
  | { readonly kind: 'remove'; readonly stream: string; readonly name: string };

export type Order = Opening | SentBatch | Change | { readonly kind: 'close' };

export type Saying =
  | { readonly kind: 'loaded' }
  | { readonly kind: 'opened' }
  | { readonly kind: 'changed' }
  | { readonly kind: 'taken'; readonly id: string; readonly accepted: Accepted }
  | { readonly kind: 'refused'; readonly id: string; readonly reason: string }
  | { readonly kind: 'trouble'; readonly text: string }
  | {
      readonly kind: 'closed';
      readonly accepted: Readonly<Record<string, number>>;
      /** Dead letters: stream, id, text. */
      readonly letters: readonly string[];
    };

/** Nothing here waits for processing time, and partitions do not become idle. */
const NO_TICKS_MS = 3_600_000;
const LOG_BYTES_MAX = 256 * 2 ** 20;
const LETTERS_MAX = 1000;

let nowMs = 0;
let streams: OpenStreams | null = null;

const say = (saying: Saying): void => void process.send?.(saying);
const trouble = (fields: object, message: string): void => {
  const { err } = fields as { readonly err?: Error };
  say({ kind: 'trouble', text: `${message} ${err?.stack ?? JSON.stringify(fields)}` });
};

async function open({ checkpointMs, dataDir, definitions }: Opening): Promise<void> {
  streams = await openStreams({
    definitions,
    shards: 4,
    logBytesMax: LOG_BYTES_MAX,
    checkpointMs,
    tickMs: NO_TICKS_MS,
    kinds: CONNECTOR_KINDS,
    stores: () => openStores({ definitions, dataDir, logBytesMax: LOG_BYTES_MAX }),
    threads: (parts) => new DeadlyThreads(parts),
    log: { error: trouble, warn: trouble, info: () => undefined },
    now: () => nowMs,
    monotonic: () => nowMs,
  });
  say({ kind: 'opened' });
}

async function take({ arrivalMs, body, format, id, partition, source, stream }: SentBatch): Promise<void> {
  nowMs = arrivalMs;
  const heading = { position: '', traceparent: '', correlationId: '' };
  const accepted = await (streams as OpenStreams).service.accept(stream, source, {
    ...heading,
    format,
    partition,
    body,
    batchId: id,
  });
  say({ kind: 'taken', id, accepted });
}

async function change(order: Change): Promise<void> {
  const { service } = streams as OpenStreams;
  if (order.kind === 'define') await service.define(order.stream, 'windows', order.window);
  else await service.remove(order.stream, 'windows', order.name);
  say({ kind: 'changed' });
}

async function close(): Promise<void> {
  const { service, ...open } = streams as OpenStreams;
  await open.settled();
  const accepted = Object.fromEntries(service.list().map(({ counters, name }) => [name, counters.accepted]));
  const letters: string[] = [];
  for (const { name } of service.list()) {
    for (const { id, text } of await service.deadLetters(name, '', LETTERS_MAX)) letters.push(`${name} ${id} ${text}`);
  }
  await open.close();
  say({ kind: 'closed', accepted, letters });
  process.disconnect();
}

function obey(order: Exclude<Order, SentBatch>): Promise<void> {
  if (order.kind === 'open') return open(order);
  return order.kind === 'close' ? close() : change(order);
}

process.on('message', (order: Order) => {
  if (order.kind === 'batch') {
    take(order).catch((error: unknown) => say({ kind: 'refused', id: order.id, reason: String(error) }));
  } else obey(order).catch((error: unknown) => trouble({ err: error }, order.kind));
});
say({ kind: 'loaded' });

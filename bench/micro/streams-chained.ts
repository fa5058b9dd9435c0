/**
 * What it costs that results of one stream are events of another: the whole engine on one thread, NDJSON in, a tumbling
 * window whose results feed a stream with a window of its own, against the same window that feeds nothing.
 *
 * Run: node dist/bench/micro/streams-chained.js [rounds]
 * Each variant runs in turn in every round; medians of the rounds, CPU time of the process. Records with many events, and
 * with few: what is derived of a record is a record by itself, and goes through a round by itself.
 */
import type { StreamDefinition, WindowDefinition } from '../../src/streams/define/definition.ts';
import { CONNECTOR_KINDS } from '../../src/streams/engine/connectors/connectors.ts';
import { LocalThreads } from '../../src/streams/engine/threads/local-threads.ts';
import { openStreams } from '../../src/streams/open.ts';
import { openStores } from '../../src/streams/stores.ts';
import { countingSink } from '../streams/counting-sink.ts';

const EVENTS = 300_000;
const AHEAD = 8;
const NEVER_MS = 2 ** 30;
const KEYS = 1000;
const RATE_PER_S = 10_000;

interface Variant {
  readonly name: string;
  readonly recordEvents: number;
  /** Of the first window: with 1000 ms a tenth of the events become results. */
  readonly sizeMs: number;
  readonly chained: boolean;
}

const time = { maxFutureMs: 0, idleAfterMs: 0 };
const limits = { pendingBytesMax: 2 ** 31 };
const sum = { fn: 'sum', of: 'v' } as const;

function definitionsOf({ chained, sizeMs }: Variant): StreamDefinition[] {
  const schema = (timestamp: string): StreamDefinition['schema'] => ({
    fields: { [timestamp]: 'integer', key: 'string', v: 'number' },
    timestamp: { field: timestamp },
    key: ['key'],
  });
  const window = (name: string, more: object): WindowDefinition =>
    ({ name, type: 'tumbling', aggregates: { n: 'count', v: sum }, retainRows: 1, ...more }) as WindowDefinition;
  const first = { name: 'a', schema: schema('at'), time, limits, windows: [window('w', { sizeMs })] };
  if (!chained) return [{ ...first, sinks: [{ type: 'count' }] }];
  const second = { name: 'b', schema: schema('start'), time, limits, windows: [window('u', { sizeMs: 10 * sizeMs })] };
  return [
    { ...first, sinks: [{ type: 'stream', stream: 'b' }] },
    { ...second, sinks: [{ type: 'count' }] },
  ];
}

function bodiesOf({ recordEvents }: Variant): Uint8Array[] {
  const bodies: Uint8Array[] = [];
  for (let from = 0; from < EVENTS; from += recordEvents) {
    let text = '';
    for (let n = from; n < from + recordEvents; n++) {
      text += `{"at":${Math.floor((n * 1000) / RATE_PER_S)},"key":"k${(n * 7919) % KEYS}","v":${n % 1000}}\n`;
    }
    bodies.push(Buffer.from(text));
  }
  return bodies;
}

async function run(variant: Variant, bodies: readonly Uint8Array[]): Promise<number> {
  const definitions = definitionsOf(variant);
  let results = 0;
  const sink = countingSink((more) => {
    results += more;
  });
  const streams = await openStreams({
    definitions,
    shards: 4,
    logBytesMax: 2 ** 34,
    checkpointMs: NEVER_MS,
    tickMs: 200,
    kinds: { ...CONNECTOR_KINDS, sinks: new Map([...CONNECTOR_KINDS.sinks, ['count', sink]]) },
    stores: () => openStores({ definitions, dataDir: '', logBytesMax: 2 ** 34 }),
    threads: (parts) => new LocalThreads(parts),
    log: { error: () => undefined, warn: () => undefined, info: () => undefined },
    now: () => 0,
    monotonic: () => 0,
  });
  const heading = {
    format: 'ndjson',
    partition: '',
    position: '',
    batchId: '',
    traceparent: '',
    correlationId: '',
  } as const;
  const pending: Promise<unknown>[] = [];
  for (const body of bodies) {
    pending.push(streams.service.accept('a', 'bench', { ...heading, body }));
    if (pending.length >= AHEAD) await pending.shift();
  }
  await Promise.all(pending);
  await streams.settled();
  await streams.close();
  return results;
}

const VARIANTS: readonly Variant[] = [10_000, 100].flatMap((recordEvents) =>
  [1000, 10_000].flatMap((sizeMs) =>
    [false, true].map((chained) => ({
      name: `records of ${recordEvents}, ${100 / (sizeMs / 100)} % results, ${chained ? 'chained' : 'by itself'}`,
      recordEvents,
      sizeMs,
      chained,
    })),
  ),
);

const rounds = Number(process.argv[2] ?? 5);
const cpus = VARIANTS.map((): number[] => []);
const walls = VARIANTS.map((): number[] => []);
const results = VARIANTS.map(() => 0);
const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] as number;
for (let round = 0; round <= rounds; round++) {
  for (const [i, variant] of VARIANTS.entries()) {
    const bodies = bodiesOf(variant);
    const before = process.cpuUsage();
    const began = performance.now();
    results[i] = await run(variant, bodies);
    const { system, user } = process.cpuUsage(before);
    if (round === 0) continue;
    cpus[i]?.push(((user + system) * 1000) / EVENTS);
    walls[i]?.push(EVENTS / (performance.now() - began));
  }
}
for (const [i, { name }] of VARIANTS.entries()) {
  const cpu = median(cpus[i] as number[])
    .toFixed(0)
    .padStart(6);
  const rate = median(walls[i] as number[])
    .toFixed(0)
    .padStart(6);
  console.log(`${name.padEnd(46)} ${cpu} ns of CPU per event ${rate} k events/s ${results[i]} results`);
}

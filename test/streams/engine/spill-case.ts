/**
 * Streams whose state does not stay in memory, and what they are fed with: windows of several kinds, a join and a pattern
 * over many keys, beside a stream that forgets its idle ones.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { LimitsDefinition, StreamDefinition } from '../../../src/streams/define/definition.ts';
import { randomFrom } from '../../random.ts';
import { openRig, type Rig, type RigOptions } from './rig.ts';

const schema: StreamDefinition['schema'] = {
  fields: { at: 'integer', k: 'string', v: 'number' },
  timestamp: { field: 'at' },
  key: ['k'],
};
/** Memory for a million ids would cost more than all else when it is made and copied. */
const dedup = { idsMax: 1000 };
const tapped = { schema, dedup, time: { outOfOrderMs: 20 }, sinks: [{ type: 'tap' }] };

/** One key in memory, all shards together: those with more are on disk. */
export const ALL_AWAY: LimitsDefinition = { onFull: 'spill', keysMax: 1 };

export function streamsWith(limits: LimitsDefinition): StreamDefinition[] {
  return [
    {
      name: 'orders',
      ...tapped,
      limits,
      windows: [
        {
          name: 'w',
          type: 'tumbling',
          sizeMs: 200,
          allowedLatenessMs: 50,
          aggregates: { n: 'count', q: { fn: 'quantile', of: 'v', q: 0.9 }, d: { fn: 'distinct', of: 'v' } },
        },
        { name: 's', type: 'session', gapMs: 60, aggregates: { n: 'count', sum: { fn: 'sum', of: 'v' } } },
        { name: 'c', type: 'count', count: 4, aggregates: { n: 'count' } },
      ],
      joins: [
        {
          name: 'j',
          type: 'interval',
          with: 'payments',
          on: { left: ['k'], right: ['k'] },
          lowerMs: -40,
          upperMs: 100,
          select: { v: 'left.v', w: 'right.v' },
        },
      ],
      patterns: [
        {
          name: 'p',
          steps: [
            { name: 'a', where: 'v < 30' },
            { name: 'b', where: 'v > 70' },
          ],
          withinMs: 400,
          select: { a: 'last(a).v', b: 'last(b).v' },
        },
      ],
    },
    {
      name: 'payments',
      ...tapped,
      limits,
      windows: [{ name: 'w', type: 'hopping', sizeMs: 400, slideMs: 100, aggregates: { n: 'count' } }],
    },
    {
      name: 'few',
      ...tapped,
      limits: { keysMax: 24, onFull: 'evict-idle' },
      windows: [{ name: 'c', type: 'count', count: 3, aggregates: { n: 'count' } }],
    },
  ];
}

export interface SpillBatch {
  readonly stream: string;
  readonly events: readonly object[];
}

/** The last one closes all windows. */
export function batchesOf(seed: number, count: number): SpillBatch[] {
  const random = randomFrom(seed);
  const names = ['orders', 'payments', 'orders', 'few'];
  const batches = Array.from({ length: count }, (_, i) => ({
    stream: names[i % names.length] as string,
    events: Array.from({ length: 10 + Math.floor(random() * 20) }, () => ({
      at: 1000 + i * 10 + Math.floor(random() * 30),
      k: `key ${Math.floor(random() ** 2 * 150)}`,
      v: Math.floor(random() * 100),
    })),
  }));
  const end = { at: 900_000, k: 'end', v: 0 };
  return [...batches, { stream: 'orders', events: [end] }, { stream: 'payments', events: [end] }];
}

export async function spilledBytes(rig: Rig, stream = 'orders'): Promise<number> {
  return (await rig.service.list()).find(({ name }) => name === stream)?.spilledBytes ?? 0;
}

/** Files of shards in a data folder. */
export function spillFiles(dataDir: string): string[] {
  const folder = join(dataDir, 'spill');
  return existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : [];
}

/** Of each shard the file it was written to last: those before it may be the base. */
export function newestFiles(dataDir: string): string[] {
  const newest = new Map<string, number>();
  for (const file of spillFiles(dataDir)) {
    const [, shard, number] = /^(.*shard-\d+)-(\d+)$/.exec(file) ?? [];
    if (shard !== undefined) newest.set(shard, Math.max(newest.get(shard) ?? 0, Number(number)));
  }
  return [...newest].map(([shard, number]) => `${shard}-${number}`);
}

/** Rigs of a test: those it did not come to close end with it. */
export class Rigs implements AsyncDisposable {
  readonly #open = new Set<Rig>();

  async open(definitions: readonly StreamDefinition[], options: RigOptions = {}): Promise<Rig> {
    const rig = await openRig(definitions, options);
    this.#open.add(rig);
    return rig;
  }

  async close(rig: Rig): Promise<void> {
    this.#open.delete(rig);
    await rig.close();
  }

  async abandon(rig: Rig): Promise<void> {
    this.#open.delete(rig);
    await rig.abandon();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const rig of this.#open) await rig.abandon();
  }
}

/** Counts events by key. */
export const countedWith = (limits: LimitsDefinition): StreamDefinition => ({
  name: 's',
  schema: { fields: { at: 'integer', k: 'string' }, timestamp: { field: 'at' }, key: ['k'] },
  limits,
  windows: [{ name: 'w', type: 'tumbling', sizeMs: 1e5, aggregates: { n: 'count' } }],
});

/** After all windows of the others. */
export const LAST = { at: 900_000, k: 'end' };

/** An event of each of so many keys. */
export const keysOf = (at: number, count: number): object[] =>
  Array.from({ length: count }, (_, i) => ({ at, k: `key ${i}` }));

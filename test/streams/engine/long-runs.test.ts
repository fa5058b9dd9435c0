/**
 * Streams that go on: ten minutes of events replayed in seconds, and a stream without end whose memory stays what it is.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { eventually } from '../../clients/eventually.ts';
import { openRig, type Rig } from './rig.ts';

const TEN_MINUTES_MS = 600_000;
const EVENT_MS = 10;
const WINDOW_MS = 10_000;
const KEYS = 50;
const SPEED = 300;

const schema = {
  fields: { ts: 'integer', key: 'integer', value: 'number' },
  timestamp: { field: 'ts' },
  key: ['key'],
} as const satisfies StreamDefinition['schema'];
const time = { outOfOrderMs: 0, maxFutureMs: 0, idleAfterMs: 0 };

interface Line {
  readonly start: number;
  readonly key: { readonly key: number };
  readonly values: { readonly n: number; readonly sum: number };
}

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'long-runs-'));
});
after(() => rm(folder, { recursive: true }));

describe('ten minutes of events', () => {
  test('are replayed in seconds, in their own order and pace, and counted as a plain loop counts them', async () => {
    const path = join(folder, 'events.ndjson');
    const expected = new Map<string, { n: number; sum: number }>();
    const lines: string[] = [];
    for (let ts = 0, i = 0; ts < TEN_MINUTES_MS; ts += EVENT_MS, i++) {
      const [key, value] = [(i * 7) % KEYS, i % 101];
      lines.push(JSON.stringify({ ts, key, value }));
      const name = `${Math.floor(ts / WINDOW_MS) * WINDOW_MS} ${key}`;
      const row = expected.get(name) ?? { n: 0, sum: 0 };
      expected.set(name, { n: row.n + 1, sum: row.sum + value });
    }
    // Closes the last window.
    lines.push(JSON.stringify({ ts: TEN_MINUTES_MS + WINDOW_MS, key: -1, value: 0 }));
    await writeFile(path, lines.join('\n'));
    const from = performance.now();
    const replayed: StreamDefinition = {
      name: 's',
      schema,
      time,
      sources: [{ type: 'file', path, speed: SPEED, timestamp: 'ts' }],
      windows: [
        { name: 'w', type: 'tumbling', sizeMs: WINDOW_MS, aggregates: { n: 'count', sum: { fn: 'sum', of: 'value' } } },
      ],
      sinks: [{ type: 'tap' }],
    };
    const rig = await openRig([replayed], { now: Date.now });
    await eventually(
      'all windows',
      () => rig.tap.lines().length,
      (count) => count >= expected.size,
      TEN_MINUTES_MS / 5,
    );
    const tookMs = performance.now() - from;
    const counted = new Map(
      rig.tap.lines().map((line) => {
        const { key, start, values } = JSON.parse(line) as Line;
        return [`${start} ${key.key}`, { n: values.n, sum: values.sum }];
      }),
    );
    assert.deepEqual(counted, expected);
    assert.ok(tookMs >= TEN_MINUTES_MS / SPEED, `${tookMs} ms: faster than it was asked for`);
    assert.deepEqual(rig.troubles, []);
    await rig.close();
  });
});

const BATCH = 2000;
const BATCHES = 750;
/** From here on memory is measured: before, tables find their size. */
const WARM = 250;
/** New keys all the time: what is kept of old ones would be seen. */
const FRESH_KEYS_PER_BATCH = 400;
const GROWTH_MIB_MAX = 32;

function batchAt(index: number): Buffer {
  const lines: string[] = [];
  for (let i = 0; i < BATCH; i++) {
    const key = index * FRESH_KEYS_PER_BATCH + (i % FRESH_KEYS_PER_BATCH);
    lines.push(`{"ts":${index * 500 + (i >> 2)},"key":${key},"value":${i}}`);
  }
  return Buffer.from(lines.join('\n'));
}

/** What comes of it in the log is cut off in the end, wherever the clock had the last checkpoints. */
async function pour(rig: Rig, from: number, to: number): Promise<void> {
  for (let index = from; index < to; index++) await rig.send('s', [], { body: batchAt(index) });
  await rig.settled();
  for (let last = 0; last < 3; last++) await rig.checkpoint();
}

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Memory outside of the heap goes with what it belongs to, a collection later. */
const COLLECTIONS = 4;

/** In use, shared memory included. What the process has of the system depends on when garbage was last collected. */
async function usedMiB(): Promise<number> {
  for (let i = 0; i < COLLECTIONS; i++) {
    await pause(10);
    collectGarbage();
  }
  const { arrayBuffers, external, heapUsed } = process.memoryUsage();
  return (heapUsed + external + arrayBuffers) / 2 ** 20;
}

describe('a stream without end', () => {
  test('takes no more memory as it goes on, though its keys are always others', async () => {
    const rig = await openRig(
      [
        {
          name: 's',
          schema,
          time,
          windows: [
            {
              name: 'w',
              type: 'tumbling',
              sizeMs: 1000,
              aggregates: { n: 'count', p: { fn: 'quantile', of: 'value', q: 0.9 } },
            },
            {
              name: 'h',
              type: 'hopping',
              sizeMs: 2000,
              slideMs: 1000,
              aggregates: { sum: { fn: 'sum', of: 'value' } },
            },
            { name: 'v', type: 'session', gapMs: 400, aggregates: { n: 'count' } },
          ],
          patterns: [
            {
              name: 'p',
              steps: [
                { name: 'a', where: 'value == 1' },
                { name: 'b', where: 'value == 1001' },
              ],
              withinMs: 500,
            },
          ],
        },
      ],
      { checkpointMs: 100 },
    );
    await pour(rig, 0, WARM);
    const warm = await usedMiB();
    await pour(rig, WARM, BATCHES);
    const grown = (await usedMiB()) - warm;
    assert.deepEqual(rig.troubles, []);
    assert.ok((await rig.rows('s', 'w')).length > 0 && (await rig.rows('s', 'v')).length > 0);
    await rig.close();
    assert.ok(grown <= GROWTH_MIB_MAX, `${grown.toFixed(1)} MiB more after ${BATCHES * BATCH} events`);
  });
});

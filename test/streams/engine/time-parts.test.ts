/**
 * One event, or one tick, that closes very many windows has their results given out in parts, each once and in order
 * whatever ends meanwhile.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { compilePlan } from '../../../src/streams/define/compile.ts';
import type { StreamDefinition, WindowDefinition } from '../../../src/streams/define/definition.ts';
import type { ResultLine } from '../../../src/streams/engine/port.ts';
import { recordOfPart, TimeParts } from '../../../src/streams/engine/shards/time-parts.ts';
import {
  type ApplyTask,
  type ShardReport,
  type Step,
  type StreamThreads,
  ThreadLost,
} from '../../../src/streams/engine/task.ts';
import { LocalThreads } from '../../../src/streams/engine/threads/local-threads.ts';
import { BETWEEN_RECORDS } from '../../../src/streams/operator.ts';
import { lastingStores } from './faults.ts';
import { createTap, openRig, type RigOptions } from './rig.ts';

const AT_ONCE = 200;
const KEYS = 7;
const count = { n: 'count' } as const;

const HOP = { name: 'w', type: 'hopping', sizeMs: 1000, slideMs: 1, aggregates: count } as const;
const WINDOWS: readonly WindowDefinition[] = [
  HOP,
  { ...HOP, sizeMs: 1003, slideMs: 2, allowedLatenessMs: 500 },
  { ...HOP, accumulation: 'discarding', allowedLatenessMs: 1, sizeMs: 300 },
  { ...HOP, type: 'cumulating', sizeMs: 1000, slideMs: 1 },
  { name: 'w', type: 'tumbling', sizeMs: 1, aggregates: count },
];

function streamOf(...windows: WindowDefinition[]): StreamDefinition {
  return {
    name: 's',
    schema: { fields: { at: 'integer', key: 'integer' }, timestamp: { field: 'at' }, key: ['key'] },
    time: { outOfOrderMs: 0, maxFutureMs: 0, idleAfterMs: 0 },
    windows,
    sinks: [{ type: 'tap' }],
  };
}

/** Every key, over a while; nothing closes for good but by the event that ends it. */
const EVENTS = Array.from({ length: 900 }, (_, i) => ({ at: 5000 + (i % 297), key: i % KEYS }));
const END = { at: 9000, key: 0 };

const idOf = (line: string): string => (JSON.parse(line) as ResultLine).id;

/** Each key's are in order. */
function idsByKey(lines: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const byKey = new Map<string, string[]>();
  for (const line of lines) {
    const { id, key } = JSON.parse(line) as ResultLine;
    const name = JSON.stringify(key);
    const ids = byKey.get(name) ?? [];
    byKey.set(name, ids);
    ids.push(id);
  }
  return byKey;
}

interface Watched {
  /** Results of each shard, of one task. */
  readonly counts: number[];
  readonly threads: NonNullable<RigOptions['threads']>;
}

const nothing = (): void => undefined;

function watched(before: (task: ApplyTask) => void = nothing, after: (task: ApplyTask) => void = nothing): Watched {
  const counts: number[] = [];
  return {
    counts,
    threads: (parts): StreamThreads => {
      const threads = new LocalThreads(parts);
      return {
        size: 3,
        usePlan: (plan) => threads.usePlan(plan),
        decode: (task) => threads.decode(task),
        async apply(task) {
          before(task);
          const result = await threads.apply(task);
          const byShard = new Map<number, number>();
          for (const { count, shard } of result.results) byShard.set(shard, (byShard.get(shard) ?? 0) + count);
          counts.push(...byShard.values());
          after(task);
          return result;
        },
      };
    },
  };
}

async function linesOf(stream: StreamDefinition, options: RigOptions): Promise<string[]> {
  const rig = await openRig([stream], options);
  await rig.send('s', EVENTS);
  await rig.send('s', [END]);
  await rig.settled();
  const lines = rig.tap.lines();
  assert.deepEqual(rig.troubles, []);
  await rig.close();
  return lines;
}

const SHARDS = {
  held: () => ({ keys: 100, bytes: 0 }),
  round: ([step]: readonly Step[]) => {
    assert.ok(step?.kind === 'reach');
    const reports = [{ reach: step.resultsMax }] as unknown as ShardReport[];
    return Promise.resolve({ results: [], queries: [], unasked: [], reports, refused: new Map<Step, string>() });
  },
};

describe('parts of a record', () => {
  const plan = compilePlan([streamOf(HOP)], { epoch: 1, shards: 1 });

  test('have numbers of their own, behind all that came before it', async () => {
    const parts = new TimeParts(plan, SHARDS, 1);
    for (const seq of [1, 2, 2 ** 28 - 1, 2 ** 28, 2 ** 33 + 1, 2 ** 36 - 1, 7 + 3 / BETWEEN_RECORDS]) {
      let before = seq - 1 / BETWEEN_RECORDS;
      let count = 0;
      for (let part = 1; ; part++) {
        const next = await parts.next({ kind: 'advance', seq, stream: 0, watermark: 1e9 }, part);
        if (next === null) break;
        assert.ok(next.seq > before && next.seq < seq, `${seq}, part ${part}: ${before}, then ${next.seq}`);
        assert.equal(recordOfPart(next.seq), seq);
        before = next.seq;
        count += 1;
      }
      assert.ok(count >= 255, `${count} parts of record ${seq}`);
    }
    assert.equal(recordOfPart(12), 12);
  });

  test('are larger towards the last one, and none where there is no room for numbers', async () => {
    const parts = new TimeParts(plan, SHARDS, 10);
    const step = { kind: 'advance', stream: 0, watermark: 1e9 } as const;
    const reach = async (seq: number, part: number): Promise<unknown> =>
      (await parts.next({ ...step, seq }, part)) as unknown;
    assert.deepEqual(await reach(1, 1), { ...step, seq: parts.seqOf(1, 1), watermark: 10 });
    assert.deepEqual(await reach(1, 8192), { ...step, seq: parts.seqOf(1, 8192), watermark: 20 });
    assert.deepEqual(await reach(1, 65_535), { ...step, seq: parts.seqOf(1, 65_535), watermark: 1280 });
    assert.equal(await reach(1, 65_536), null);
    assert.equal(await reach(2 ** 37, 1), null);
  });
});

describe('time that closes many windows at once', () => {
  for (const window of WINDOWS) {
    const { accumulation = '', sizeMs, slideMs = sizeMs, type } = window as typeof HOP & { accumulation?: string };
    test(`gives their results in parts (${type} ${sizeMs}/${slideMs} ${accumulation})`, async () => {
      const { counts, threads } = watched();
      const lines = await linesOf(streamOf(window), { resultsAtOnce: AT_ONCE, threads });
      assert.ok(Math.max(...counts) <= AT_ONCE, `${Math.max(...counts)} results of a shard at once`);
      const whole = await linesOf(streamOf(window), {});
      assert.ok(whole.length > 4 * AT_ONCE, `${whole.length} results are not many`);
      assert.deepEqual(idsByKey(lines), idsByKey(whole));
    });
  }

  test('of several windows each has its share', async () => {
    const { counts, threads } = watched();
    const stream = streamOf({ ...HOP, name: 'a' }, { ...HOP, name: 'b', slideMs: 2 });
    const lines = await linesOf(stream, { resultsAtOnce: AT_ONCE, threads });
    assert.ok(Math.max(...counts) <= AT_ONCE, `${Math.max(...counts)} results of a shard at once`);
    assert.deepEqual(lines.map(idOf).sort(), (await linesOf(stream, {})).map(idOf).sort());
  });

  test('likewise by a tick', async () => {
    const { counts, threads } = watched();
    const ticked = async (options: RigOptions): Promise<string[]> => {
      const rig = await openRig([streamOf({ ...HOP, time: 'processing' })], options);
      await rig.send('s', EVENTS);
      rig.nowMs += 5000;
      rig.tick();
      await rig.settled();
      const lines = rig.tap.lines();
      await rig.close();
      return lines;
    };
    const lines = await ticked({ resultsAtOnce: AT_ONCE, threads });
    assert.ok(Math.max(...counts) <= AT_ONCE, `${Math.max(...counts)} results of a shard at once`);
    const whole = await ticked({});
    assert.equal(whole.length, 1000 * KEYS);
    assert.deepEqual(idsByKey(lines), idsByKey(whole));
  });

  test('is applied again after a lost thread without results that were given out', async () => {
    let parts = 0;
    const { counts, threads } = watched(nothing, ({ steps }) => {
      if (steps.some((step) => step.kind === 'advance' && step.watermark > 6000)) parts += 1;
      if (parts !== 10) return;
      parts += 1;
      throw new ThreadLost('ended by the test');
    });
    const rig = await openRig([streamOf(HOP)], { resultsAtOnce: AT_ONCE, threads });
    await rig.send('s', EVENTS);
    await rig.send('s', [END]);
    await rig.settled();
    assert.deepEqual(
      rig.troubles.map(({ message }) => message),
      ['a thread was lost; its shards are restored'],
    );
    assert.ok(Math.max(...counts) <= AT_ONCE, `${Math.max(...counts)} results of a shard at once`);
    assert.deepEqual(idsByKey(rig.tap.lines()), idsByKey(await linesOf(streamOf(HOP), {})));
    await rig.close();
  });

  test('likewise when it was left out before', async () => {
    let isRefused = true;
    const { counts, threads } = watched(({ steps }) => {
      const isLong = steps.some((step) => step.kind === 'advance' && step.watermark > 5400);
      if (isLong && isRefused) throw new Error('refused by the test');
    });
    const rig = await openRig([streamOf(HOP)], { resultsAtOnce: AT_ONCE, threads });
    await rig.send('s', EVENTS);
    await rig.send('s', [END]);
    isRefused = false;
    await rig.send('s', [{ ...END, at: END.at + 2 }]);
    await rig.settled();
    assert.ok(Math.max(...counts) <= AT_ONCE, `${Math.max(...counts)} results of a shard at once`);
    assert.ok(rig.tap.lines().length > 1000 * KEYS);
    await rig.close();
  });

  test('answers questions between two parts', async () => {
    let asked: Promise<unknown> | null = null;
    let parts = 0;
    let answeredAfter = 0;
    const { threads } = watched(({ steps }) => {
      if (!steps.some((step) => step.kind === 'advance')) return;
      parts += 1;
      asked ??= rig.rows('s', 'w', 'open').then(() => {
        answeredAfter = parts;
      });
    });
    const rig = await openRig([streamOf(HOP)], { resultsAtOnce: AT_ONCE, shards: 1, threads });
    await rig.send('s', EVENTS);
    asked = null;
    parts = 0;
    await rig.send('s', [END]);
    await asked;
    assert.ok(parts > 10 && answeredAfter < parts - 5, `answered after ${answeredAfter} of ${parts} parts`);
    await rig.close();
  });

  test('each result once and in order, wherever among the parts a process ends', async () => {
    const stream = streamOf({ ...HOP, allowedLatenessMs: 300 });
    const late = { at: 5050, key: 3 };
    const play = async (options: RigOptions): Promise<void> => {
      const rig = await openRig([stream], options);
      await rig.send('s', EVENTS);
      // Results of its late event come before those of its time.
      await rig.send('s', [{ at: 6100, key: 1 }]);
      await rig.send('s', [late, END]);
      await rig.settled();
      await rig.abandon();
    };
    const whole = createTap();
    await play({ resultsAtOnce: AT_ONCE, tap: whole });
    const batches = whole.batches.length;
    assert.ok(batches > 20, `${batches} batches`);
    const uncut = createTap();
    await play({ tap: uncut });
    assert.deepEqual(whole.lines().map(idOf).sort(), uncut.lines().map(idOf).sort());
    for (let taken = 0; taken <= batches; taken += 3) {
      const stores = lastingStores();
      const tap = createTap();
      tap.refuse = () => {
        if (tap.batches.length >= taken) throw new Error('the process is gone');
      };
      await play({ resultsAtOnce: AT_ONCE, tap, stores });
      tap.refuse = () => undefined;
      const rig = await openRig([stream], { resultsAtOnce: AT_ONCE, tap, stores });
      await rig.settled();
      await rig.abandon();
      assert.deepEqual(tap.lines(), whole.lines(), `after ${taken} batches`);
    }
  });
});

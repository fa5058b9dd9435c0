/**
 * Anomalies of every type, with the values worked out by hand, and missing data when nothing comes at all.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AnomalyDefinition, StreamDefinition } from '../../../src/streams/define/definition.ts';
import { lastingStores } from './faults.ts';
import { createTap, openRig, type Rig } from './rig.ts';

const IDLE_MS = 1000;

const streamOf = (anomaly: Omit<AnomalyDefinition, 'name'>): StreamDefinition => ({
  name: 's',
  schema: { fields: { at: 'integer', k: 'string', v: 'number' }, timestamp: { field: 'at' }, key: ['k'] },
  time: { maxFutureMs: 0, idleAfterMs: IDLE_MS },
  windows: [{ name: 'w', type: 'tumbling', sizeMs: 1000, aggregates: { m: { fn: 'mean', of: 'v' } } }],
  anomalies: [{ name: 'odd', ...anomaly }],
  sinks: [{ type: 'tap', of: ['odd'] }],
});

interface Told {
  readonly key: string;
  readonly start: number | null;
  readonly end: number | null;
  readonly value: number;
  readonly expected: number;
  /** Three decimals. */
  readonly score: number;
}

const toldBy = (rig: Rig): Told[] =>
  rig.tap.lines().map((line) => {
    const { end, key, start, values } = JSON.parse(line);
    const { expected, kind, score, value } = values;
    assert.ok(['zscore', 'ewma', 'seasonal', 'rate', 'missing'].includes(kind), kind);
    return { key: key.k, start, end, value, expected: round(expected), score: round(score) };
  });

const round = (value: number): number => Math.round(value * 1000) / 1000;

/** Values of one key at times a second apart, from second 1 on. */
const valuesOf = (k: string, values: readonly number[]): object[] =>
  values.map((v, i) => ({ at: (i + 1) * 1000, k, v }));

async function told(anomaly: Omit<AnomalyDefinition, 'name'>, ...batches: object[][]): Promise<Told[]> {
  const rig = await openRig([streamOf(anomaly)]);
  try {
    for (const batch of batches) await rig.send('s', batch);
    await rig.settled();
    return toldBy(rig);
  } finally {
    await rig.close();
  }
}

test('zscore: deviations from the mean of what was no anomaly, each key by itself, after its warm-up', async () => {
  const found = await told(
    { type: 'zscore', value: 'v', threshold: 3, warmup: 4 },
    valuesOf('a', [10, 12, 10, 12, 30, 11, 15]),
    valuesOf('b', [10, 1000, 10, 12]),
  );
  // Mean 11, sample deviation √(4/3): 30 is 16.454 away and is not learnt; with 11, √1 remains, and 15 is 4 away.
  assert.deepEqual(found, [
    { key: 'a', start: 5000, end: 5000, value: 30, expected: 11, score: 16.454 },
    { key: 'a', start: 7000, end: 7000, value: 15, expected: 11, score: 4 },
  ]);
});

test('ewma: the band follows what is new, anomalies included', async () => {
  const found = await told(
    { type: 'ewma', value: 'v', threshold: 3, warmup: 2, alpha: 0.5 },
    valuesOf('a', [10, 12, 11, 20, 16]),
  );
  // Means 10, 11, 11, 15.5; variances 0, 1, 0.5, 20.5: 20 is 9/√0.5 away, 16 then only 0.5/√20.5.
  assert.deepEqual(found, [{ key: 'a', start: 4000, end: 4000, value: 20, expected: 11, score: 12.728 }]);
});

test('seasonal: each bucket of the season has its own mean', async () => {
  // Seasons of two seconds: seconds 1, 3, 5 … are low, 2, 4, 6 … high.
  const values = [1, 100, 3, 104, 1, 100, 3, 104, 100, 2];
  const found = await told(
    { type: 'seasonal', value: 'v', threshold: 3, warmup: 4, seasonMs: 2000, buckets: 2 },
    valuesOf('a', values),
  );
  // Means 2 and 102, deviations √(4/3) and √(16/3).
  assert.deepEqual(found, [
    { key: 'a', start: 9000, end: 9000, value: 100, expected: 2, score: 84.87 },
    { key: 'a', start: 10_000, end: 10_000, value: 2, expected: 102, score: 43.301 },
  ]);
});

test('rate: change per second against the value before, whatever the time between them', async () => {
  const found = await told({ type: 'rate', value: 'v', maxPerSecond: 5 }, [
    { at: 1000, k: 'a', v: 0 },
    { at: 2000, k: 'a', v: 5 },
    { at: 2500, k: 'a', v: 10 },
    { at: 12_500, k: 'a', v: 60 },
    { at: 13_500, k: 'a', v: 40 },
    { at: 13_500, k: 'a', v: 900 },
  ]);
  assert.deepEqual(found, [
    { key: 'a', start: 2500, end: 2500, value: 10, expected: 5, score: 2 },
    { key: 'a', start: 13_500, end: 13_500, value: 40, expected: 60, score: 4 },
  ]);
});

test('of a window, its results are the values, with the bounds of the window', async () => {
  const found = await told({ type: 'rate', window: 'w', value: 'm', maxPerSecond: 5 }, valuesOf('a', [1, 3, 20, 21]), [
    { at: 9000, k: 'z', v: 0 },
  ]);
  assert.deepEqual(found, [{ key: 'a', start: 3000, end: 4000, value: 20, expected: 3, score: 3.4 }]);
});

const MISSING = { type: 'missing', value: 'v', afterMs: 5000 } as const;

test('missing: a key is told once when the others go on without it, and again when it was there in between', async () => {
  const found = await told(
    MISSING,
    [
      { at: 1000, k: 'a', v: 7 },
      { at: 2000, k: 'b', v: 8 },
    ],
    [{ at: 6001, k: 'b', v: 9 }],
    [{ at: 9000, k: 'b', v: 9 }],
    [{ at: 9500, k: 'a', v: 6 }],
    [{ at: 14_501, k: 'b', v: 9 }],
  );
  assert.deepEqual(found, [
    { key: 'a', start: 1000, end: 6000, value: 7, expected: 1000, score: 1 },
    { key: 'a', start: 9500, end: 14_500, value: 6, expected: 9500, score: 1 },
    { key: 'b', start: 9000, end: 14_000, value: 9, expected: 9000, score: 1 },
  ]);
});

test('missing: of a window, a key is seen by its results, be their value a text', async () => {
  const { windows: _, ...stream } = streamOf({ ...MISSING, window: 'w', value: 'name' });
  const aggregates = { name: { fn: 'last', of: 'k' } } as const;
  const rig = await openRig([{ ...stream, windows: [{ name: 'w', type: 'tumbling', sizeMs: 1000, aggregates }] }]);
  try {
    for (const at of [1000, 2000, 6999, 7000]) await rig.send('s', [{ at, k: at === 1000 ? 'a' : 'b', v: 1 }]);
    assert.deepEqual(toldBy(rig), [{ key: 'a', start: 1000, end: 6000, value: 0, expected: 1000, score: 1 }]);
  } finally {
    await rig.close();
  }
});

test('missing: when nothing comes at all, time goes on by the clock, once every partition is idle', async () => {
  const rig = await openRig([streamOf(MISSING)]);
  try {
    await rig.send('s', [
      { at: 1000, k: 'a', v: 7 },
      { at: 3000, k: 'b', v: 8 },
    ]);
    const after = async (ms: number): Promise<string[]> => {
      rig.nowMs += ms;
      rig.tick();
      await rig.settled();
      return toldBy(rig).map(({ end, key }) => `${key} ${end}`);
    };
    // 3000 was the newest time, so `a` is due after three seconds and `b` after five.
    assert.deepEqual(await after(2999), []);
    assert.deepEqual(await after(1), ['a 6000']);
    assert.deepEqual(await after(1999), ['a 6000']);
    assert.deepEqual(await after(1), ['a 6000', 'b 8000']);
    assert.deepEqual(await after(100_000), ['a 6000', 'b 8000']);
    // One that comes back is there, and is missed again; its time had not stood still for the others.
    await rig.send('s', [{ at: 50_000, k: 'a', v: 1 }]);
    assert.deepEqual(await after(4999), ['a 6000', 'b 8000']);
    assert.deepEqual(await after(1), ['a 6000', 'b 8000', 'a 55000']);
  } finally {
    await rig.close();
  }
});

test('missing: is told though the clock was ahead when the newest came, and was set back', async () => {
  let clockMs = 0;
  const rig = await openRig([streamOf(MISSING)], { monotonic: () => clockMs });
  try {
    rig.nowMs += 3_600_000;
    await rig.send('s', [{ at: 1000, k: 'a', v: 7 }]);
    rig.nowMs -= 3_600_000;
    const after = async (ms: number): Promise<number> => {
      rig.nowMs += ms;
      clockMs += ms;
      rig.tick();
      await rig.settled();
      return toldBy(rig).length;
    };
    assert.deepEqual([await after(0), await after(IDLE_MS), await after(4999), await after(1)], [0, 0, 0, 1]);
  } finally {
    await rig.close();
  }
});

test('missing: a stream that is never idle has no time but that of its events', async () => {
  const rig = await openRig([{ ...streamOf(MISSING), time: { maxFutureMs: 0, idleAfterMs: 0 } }]);
  try {
    await rig.send('s', [{ at: 1000, k: 'a', v: 7 }]);
    rig.nowMs += 1_000_000;
    rig.tick();
    await rig.settled();
    assert.deepEqual(toldBy(rig), []);
  } finally {
    await rig.close();
  }
});

test('missing: a replay tells the same, from a checkpoint or from the log alone', async () => {
  for (const checkpoint of [false, true]) {
    const stores = lastingStores();
    const tap = createTap();
    let nowMs = 1_000_000;
    const open = (): Promise<Rig> => openRig([streamOf(MISSING)], { stores, tap, now: () => nowMs });
    let rig = await open();
    await rig.send('s', [{ at: 1000, k: 'a', v: 7 }]);
    nowMs += 4000;
    rig.tick();
    if (checkpoint) await rig.checkpoint();
    await rig.abandon();
    rig = await open();
    nowMs += 999;
    rig.tick();
    await rig.settled();
    assert.deepEqual(toldBy(rig), []);
    nowMs += 1;
    rig.tick();
    await rig.settled();
    assert.equal(toldBy(rig).length, 1);
    const before = await rig.rows('s', 'odd');
    await rig.abandon();
    rig = await open();
    try {
      assert.deepEqual(await rig.rows('s', 'odd'), before);
      rig.tick();
      await rig.settled();
      assert.equal(toldBy(rig).length, 1);
    } finally {
      await rig.close();
    }
  }
});

/** Other keys and partitions let it come late: nothing is late for the stream. */
async function toldInDisorder(anomaly: Omit<AnomalyDefinition, 'name'>, events: readonly object[]): Promise<Told[]> {
  const stream = streamOf(anomaly);
  const rig = await openRig([{ ...stream, time: { ...stream.time, outOfOrderMs: 1_000_000 } }]);
  try {
    for (const event of events) await rig.send('s', [event]);
    await rig.settled();
    return toldBy(rig);
  } finally {
    await rig.close();
  }
}

test('rate: what comes late has no part in the change to the value after it', async () => {
  const found = await toldInDisorder({ type: 'rate', value: 'v', maxPerSecond: 20 }, [
    { at: 1000, k: 'a', v: 0 },
    { at: 11_000, k: 'a', v: 100 },
    { at: 6000, k: 'a', v: 50 },
    // Ten per second, as all along; 60 after the late one.
    { at: 12_000, k: 'a', v: 110 },
    { at: 13_000, k: 'a', v: 140 },
  ]);
  assert.deepEqual(found, [{ key: 'a', start: 13_000, end: 13_000, value: 140, expected: 110, score: 1.5 }]);
});

test('seasonal: what comes late is of the bucket of its own time', async () => {
  const season = { type: 'seasonal', value: 'v', threshold: 3, warmup: 4, seasonMs: 2000, buckets: 2 } as const;
  const values = [1, 100, 3, 104, 1, 100, 3, 104, 1, 100].map((v, i) => ({ at: i * 1000, k: 'a', v }));
  const found = await toldInDisorder(season, [...values, { at: 8500, k: 'a', v: 2 }, { at: 8600, k: 'a', v: 102 }]);
  assert.deepEqual(
    found.map(({ start, value }) => [start, value]),
    [[8600, 102]],
  );
});

test('missing: what comes late is not a sign of life, and nothing is told twice', async () => {
  const found = await told(
    { type: 'missing', value: 'v', afterMs: 50 },
    [{ at: 100, k: 'a', v: 1 }],
    [{ at: 200, k: 'b', v: 1 }],
    [
      { at: 90, k: 'a', v: 2 },
      { at: 100, k: 'a', v: 3 },
    ],
    [{ at: 210, k: 'b', v: 1 }],
  );
  assert.deepEqual(
    found.map(({ end, key, start }) => [key, start, end]),
    [['a', 100, 150]],
  );
});

for (const type of ['zscore', 'ewma', 'seasonal'] as const) {
  test(`${type}: values beyond all bounds are told with a score, and leave the key able to hear`, async () => {
    const season = type === 'seasonal' ? { seasonMs: 1000, buckets: 1 } : {};
    const usual = Array.from({ length: 300 }, (_, i) => 10 + (i % 2));
    const found = await told({ type, value: 'v', threshold: 3, warmup: 4, ...season }, [
      ...valuesOf('a', [...usual, 1e308, -1e308, ...usual, 1000]),
      ...valuesOf('b', [1e308, -1e308, ...usual, 1000]),
    ]);
    const of = (k: string): number[] => found.filter(({ key }) => key === k).map(({ value }) => value);
    assert.deepEqual([of('a'), of('b').at(-1)], [[1e308, -1e308, 1000], 1000]);
    for (const { score } of found) assert.ok(score > 3, `score ${score}`);
  });
}

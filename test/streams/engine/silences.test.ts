/**
 * Silences of a key by event time, whatever batches its events came in and however often the process began again: beside an
 * interpreter that has all times before it.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import type { ResultLine } from '../../../src/streams/engine/port.ts';
import { randomFrom } from '../../random.ts';
import { lastingStores } from './faults.ts';
import { createTap, openRig, type Rig, type Tap } from './rig.ts';

const AFTER_MS = 50;

const streamOf = (outOfOrderMs: number): StreamDefinition => ({
  name: 's',
  schema: { fields: { at: 'integer', k: 'string', v: 'integer' }, timestamp: { field: 'at' }, key: ['k'] },
  time: { outOfOrderMs, maxFutureMs: 0, idleAfterMs: 0 },
  anomalies: [{ name: 'odd', value: 'v', type: 'missing', afterMs: AFTER_MS }],
  sinks: [{ type: 'tap' }],
});

interface Event {
  readonly at: number;
  readonly k: string;
  readonly v: number;
}

type Silence = readonly [key: unknown, from: unknown, to: unknown, value: unknown];

const toldBy = (tap: Tap): Silence[] =>
  tap
    .lines()
    .map((line) => JSON.parse(line) as ResultLine)
    .map(({ end, key, start, values }) => [key['k'], start, end, values['value']] as const);

/** Of events of which none is late. */
function silencesOf(events: readonly Event[], watermark: number): Silence[] {
  const silences: Silence[] = [];
  for (const k of new Set(events.map((event) => event.k))) {
    // Of one time the newest value counts: sorting keeps their order.
    const its = events.filter((event) => event.k === k).toSorted((a, b) => a.at - b.at);
    for (const [i, { at, v }] of its.entries()) {
      const next = its[i + 1]?.at ?? Number.POSITIVE_INFINITY;
      if (next - at > AFTER_MS && at + AFTER_MS <= watermark) silences.push([k, at, at + AFTER_MS, v]);
    }
  }
  return silences;
}

const sorted = (silences: readonly Silence[]): string[] => silences.map((each) => JSON.stringify(each)).sort();

test('a silence between two events of one batch, and of two batches in a row, is told', async () => {
  const rig = await openRig([streamOf(0)]);
  try {
    await rig.send('s', [
      { at: 100, k: 'a', v: 1 },
      { at: 150, k: 'a', v: 2 },
      { at: 201, k: 'a', v: 3 },
    ]);
    assert.deepEqual(toldBy(rig.tap), [['a', 150, 200, 2]]);
    await rig.send('s', [{ at: 300, k: 'a', v: 4 }]);
    assert.deepEqual(toldBy(rig.tap).slice(1), [['a', 201, 251, 3]]);
  } finally {
    await rig.close();
  }
});

for (const seed of [1, 2, 3, 4]) {
  const outOfOrderMs = seed % 2 === 0 ? 0 : 200;
  test(`silences are those of all times in order, seed ${seed}`, async () => {
    const random = randomFrom(seed);
    const stores = lastingStores();
    const tap = createTap();
    const open = (): Promise<Rig> => openRig([streamOf(outOfOrderMs)], { stores, tap });
    let rig = await open();
    const events: Event[] = [];
    let highest = 1000;
    for (let batch = 0; batch < 60; batch++) {
      const its = Array.from({ length: 1 + Math.floor(random() * 6) }, () => {
        highest += Math.floor(random() * 40);
        // Within the bound, before what came already.
        const at = highest - Math.floor(random() * outOfOrderMs);
        return { at, k: `k${Math.floor(random() * 4)}`, v: events.length + Math.floor(random() * 1000) };
      });
      if (outOfOrderMs === 0) its.sort((a, b) => a.at - b.at);
      await rig.send('s', its);
      events.push(...its);
      const watermark = Math.max(...events.map(({ at }) => at)) - outOfOrderMs - 1;
      assert.deepEqual(sorted(toldBy(tap)), sorted(silencesOf(events, watermark)), `batch ${batch}`);
      if (random() > 0.1) continue;
      if (random() > 0.5) await rig.checkpoint();
      await rig.abandon();
      rig = await open();
    }
    assert.ok(toldBy(tap).length > 10);
    await rig.abandon();
  });
}

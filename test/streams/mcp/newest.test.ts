/**
 * What a resource shows of an operator with more results than fit: closed and open ones, the newest first, and that there
 * are more.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StreamDefinition, WindowDefinition } from '../../../src/streams/define/definition.ts';
import type { ResultLine } from '../../../src/streams/engine/port.ts';
import { NEWEST_ROWS, newestResults } from '../../../src/streams/mcp/newest.ts';
import { openRig, type Rig } from '../engine/rig.ts';

const HALF = NEWEST_ROWS / 2;
const MANY = 3 * NEWEST_ROWS;

const streamOf = (window: Partial<WindowDefinition>): StreamDefinition => ({
  name: 's',
  schema: { fields: { at: 'integer', k: 'string' }, timestamp: { field: 'at' }, key: ['k'] },
  time: { maxFutureMs: 0, idleAfterMs: 0 },
  windows: [{ name: 'w', type: 'tumbling', sizeMs: 1000, aggregates: { n: 'count' }, ...window }],
});

/** One event of each key in this second; what was before it closes. */
const send = (rig: Rig, second: number, keys: number): Promise<unknown> =>
  rig.send(
    's',
    Array.from({ length: keys }, (_, i) => ({ at: second * 1000, k: `k${i}` })),
  );

/** Seconds in which closed and open rows end, in the order in which they are shown. */
function seconds(rows: readonly ResultLine[]): { readonly open: number[]; readonly closed: number[] } {
  const ends = (final: boolean): number[] =>
    rows.filter((row) => row.final === final).map(({ end }) => Number(end) / 1000);
  return { open: ends(false), closed: ends(true) };
}

const times = (count: number, value: number): number[] => Array.from({ length: count }, () => value);

async function withRig(window: Partial<WindowDefinition>, work: (rig: Rig) => Promise<void>): Promise<void> {
  const rig = await openRig([streamOf(window)]);
  try {
    await work(rig);
  } finally {
    await rig.close();
  }
}

test('with more keys than rows, what has closed is seen beside what is open', async () => {
  await withRig({}, async (rig) => {
    for (const second of [0, 1, 2]) await send(rig, second, MANY);
    const { rows, truncated, truncatedBy, watermark } = await newestResults(rig.service, 's', 'w');
    assert.deepEqual(seconds(rows), { open: times(HALF, 3), closed: times(HALF, 2) });
    assert.deepEqual([truncated, truncatedBy, watermark], [true, ['limit'], 1999]);
    const ends = rows.map(({ end }) => Number(end));
    assert.deepEqual(
      ends,
      ends.toSorted((a, b) => b - a),
    );
  });
});

test('what either does not need the other has', async () => {
  await withRig({}, async (rig) => {
    await send(rig, 0, MANY);
    assert.deepEqual(seconds((await newestResults(rig.service, 's', 'w')).rows), {
      open: times(NEWEST_ROWS, 1),
      closed: [],
    });
    await send(rig, 1, 10);
    assert.deepEqual(seconds((await newestResults(rig.service, 's', 'w')).rows), {
      open: times(10, 2),
      closed: times(NEWEST_ROWS - 10, 1),
    });
  });
  await withRig({ retainRows: 20 }, async (rig) => {
    await send(rig, 0, 20);
    await send(rig, 1, MANY);
    const { rows } = await newestResults(rig.service, 's', 'w');
    assert.deepEqual(seconds(rows), { open: times(NEWEST_ROWS - 20, 2), closed: times(20, 1) });
  });
});

test('where all fit none are missing, and nothing is said to be', async () => {
  await withRig({}, async (rig) => {
    for (const second of [0, 1, 2, 3]) await send(rig, second, 20);
    const { rows, truncated, truncatedBy } = await newestResults(rig.service, 's', 'w');
    assert.deepEqual(seconds(rows), {
      open: times(20, 4),
      closed: [...times(20, 3), ...times(20, 2), ...times(20, 1)],
    });
    assert.deepEqual([truncated, truncatedBy], [false, []]);
  });
});

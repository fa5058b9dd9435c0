/**
 * A plan has its place in the log: all records before it are applied under the plan before, none of them is left out by the
 * checkpoint that follows, however many wait when it comes.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { lastingStores } from './faults.ts';
import { createTap, openRig } from './rig.ts';

const BATCHES = 60;
const COUNTED: StreamDefinition = {
  name: 's',
  schema: { fields: { at: 'integer' }, timestamp: { field: 'at' } },
  windows: [{ name: 'w', type: 'tumbling', sizeMs: 1000, aggregates: { n: 'count' } }],
  sinks: [{ type: 'tap', of: ['w'] }],
};
const MORE = { name: 'more', type: 'tumbling', sizeMs: 1000, aggregates: { n: 'count' } };

for (const when of ['before', 'between', 'after'] as const) {
  test(`batches that wait when a window is defined ${when} them are counted once, before and after a crash`, async () => {
    const stores = lastingStores();
    const tap = createTap();
    const first = await openRig([COUNTED], { stores, tap });
    const send = (from: number, to: number): Promise<unknown>[] =>
      Array.from({ length: to - from }, (_, i) => first.send('s', [{ at: from + i }]));
    const sent: Promise<unknown>[] = [];
    const middle = { before: 0, between: BATCHES / 2, after: BATCHES }[when];
    sent.push(...send(0, middle));
    const defined = first.service.define('s', 'windows', MORE);
    sent.push(...send(middle, BATCHES));
    await defined;
    // Of the windows as they are when the checkpoint of the definition is there.
    await Promise.all(sent);
    const live = (await first.rows('s', 'more', 'open')).map(({ values }) => values);
    await first.abandon();

    const next = await openRig([COUNTED], { stores, tap });
    assert.deepEqual(
      (await next.rows('s', 'w', 'open')).map(({ values }) => values),
      [{ n: BATCHES }],
    );
    assert.deepEqual(
      (await next.rows('s', 'more', 'open')).map(({ values }) => values),
      live,
    );
    await next.send('s', [{ at: 5_000 }]);
    await next.settled();
    assert.deepEqual(
      tap.lines().map((line) => (JSON.parse(line) as { values: object }).values),
      [{ n: BATCHES }],
    );
    await next.close();
  });
}

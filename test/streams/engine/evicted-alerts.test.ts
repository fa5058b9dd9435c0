/**
 * Alerts of a stream that lets keys go: one that is raised comes to an end, by what its key brings, or with the reason
 * that its key was let go.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import type { RaisedAlert, ResultLine } from '../../../src/streams/engine/port.ts';
import { randomFrom } from '../../random.ts';
import { lastingStores, MortalThreads } from './faults.ts';
import { createTap, openRig, type Rig, type RigOptions } from './rig.ts';

const KEYS_MAX = 80;
const STREAM: StreamDefinition = {
  name: 's',
  schema: { fields: { at: 'integer', k: 'string', v: 'number' }, timestamp: { field: 'at' }, key: ['k'] },
  limits: { keysMax: KEYS_MAX, onFull: 'evict-idle' },
  windows: [{ name: 'w', type: 'tumbling', sizeMs: 10, aggregates: { v: { fn: 'max', of: 'v' } } }],
  alerts: [{ name: 'hot', on: 'w', when: 'v > 10' }],
  sinks: [{ type: 'tap' }],
};

const HOT = 20;
const COLD = 0;

/** Each batch closes the windows of the one before. */
const send = (rig: Rig, second: number, keys: readonly string[], v: number): Promise<unknown> =>
  rig.send(
    's',
    keys.map((k) => ({ at: second * 10, k, v })),
  );

const named = (prefix: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${prefix}${i}`);
const active = (rig: Rig): Promise<readonly RaisedAlert[]> | readonly RaisedAlert[] =>
  rig.service.alerts({ stream: 's', active: true, limit: 10_000 });
const keysOf = (alerts: readonly RaisedAlert[]): string[] => alerts.map(({ key }) => String(key['k'])).toSorted();

function told(rig: Rig): ResultLine[] {
  return rig.tap
    .lines()
    .map((line) => JSON.parse(line) as ResultLine)
    .filter(({ name }) => name === 'hot');
}

test('a raised alert is there when others go, and is cleared by what its key brings', async () => {
  const rig = await openRig([STREAM]);
  await send(rig, 0, ['a'], HOT);
  for (let second = 1; second < 20; second++) await send(rig, second, named(`k${second}-`, 200), COLD);
  assert.deepEqual(keysOf(await active(rig)), ['a']);
  await send(rig, 20, ['a'], COLD);
  await send(rig, 21, ['z'], COLD);
  assert.deepEqual(keysOf(await active(rig)), []);
  const changes = told(rig).map(({ start, values }) => [values['state'], values['message'], start]);
  assert.deepEqual(changes, [
    ['raised', 'hot', 0],
    ['cleared', 'hot', 200],
  ]);
  await rig.close();
});

async function playMany(rig: Rig, from: number, to: number): Promise<void> {
  for (let second = from; second < to; second++) await send(rig, second, named(`k${second}-`, 30), HOT);
}

test('where more are raised than there is room for, those idle the longest are cleared with the reason', async () => {
  const runs: (readonly (readonly [string, unknown])[])[] = [];
  for (const fate of ['none', 'threads', 'process'] as const) {
    const options: RigOptions = {
      stores: lastingStores(),
      tap: createTap(),
      ...(fate === 'threads' ? { threads: (parts) => new MortalThreads(parts, randomFrom(3), 0.1) } : {}),
    };
    let rig = await openRig([STREAM], options);
    await playMany(rig, 0, 10);
    if (fate === 'process') {
      await rig.checkpoint();
      await playMany(rig, 10, 15);
      await rig.abandon();
      rig = await openRig([STREAM], options);
      await playMany(rig, 15, 20);
    } else await playMany(rig, 10, 20);
    // Closes the last windows.
    await send(rig, 50, ['z'], COLD);
    const changes = told(rig);
    const ended = changes.filter(({ values }) => values['state'] === 'cleared');
    assert.equal(new Set(changes.map(({ id }) => id)).size, changes.length, 'ids');
    assert.ok(ended.length > 0);
    for (const { id, key, start, values } of ended) {
      assert.match(String(values['message']), /^hot: its key was let go, since the stream has no room for more/);
      const begun = changes.find((each) => each.values['state'] === 'raised' && each.key['k'] === key['k']);
      assert.deepEqual([begun?.start, id], [start, begun?.id.replace(/\/0$/, '/evicted/0')]);
    }
    // What is said to be raised is: each ends with what its key brings.
    const raised = keysOf(await active(rig));
    assert.equal(raised.length, changes.length - 2 * ended.length);
    assert.ok(raised.length <= KEYS_MAX + 30, `${raised.length}`);
    assert.equal(rig.service.list()[0]?.keysEvicted['hot'], ended.length);
    for (const [i, key] of raised.entries()) await send(rig, 100 + i, [key], COLD);
    await send(rig, 1000, ['z'], COLD);
    assert.deepEqual(keysOf(await active(rig)), []);
    runs.push(told(rig).map(({ id, values }) => [id, values['state']]));
    await rig.close();
  }
  assert.deepEqual(runs[1], runs[0]);
  assert.deepEqual(runs[2], runs[0]);
});

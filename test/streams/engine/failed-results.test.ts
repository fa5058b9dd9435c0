/**
 * Reducers that throw when a window is to tell what it holds: that result says so, all others are told, and whoever sent
 * the event that closed it is not refused for it.
 */
import assert from 'node:assert/strict';
import { extname } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { StreamDefinition, WindowDefinition } from '../../../src/streams/define/definition.ts';
import type { ResultLine } from '../../../src/streams/engine/port.ts';
import { lastingStores } from './faults.ts';
import { createTap, openRig, type Rig } from './rig.ts';

const module = fileURLToPath(new URL(`./failing-reducers${extname(import.meta.url)}`, import.meta.url));
const KEYS = ['a', 'b', 'c', 'bad', 'd', 'e', 'f', 'g'];

const aggregatesOf = (name: string) => ({ n: 'count', x: { fn: 'custom', of: 'v', module, export: name } }) as const;

const streamOf = (window: WindowDefinition, more: Partial<StreamDefinition> = {}): StreamDefinition => ({
  name: 's',
  schema: { fields: { at: 'integer', k: 'string', v: 'integer' }, timestamp: { field: 'at' }, key: ['k'] },
  windows: [window],
  sinks: [{ type: 'tap' }],
  ...more,
});

/** Of each key one event, that of `bad` negative. */
const ofAll = (at: number): object[] => KEYS.map((k) => ({ at, k, v: k === 'bad' ? -1 : 1 }));
const linesOf = (rig: Rig): ResultLine[] => rig.tap.lines().map((line) => JSON.parse(line) as ResultLine);

const WINDOWS: Record<string, Omit<WindowDefinition, 'aggregates'>> = {
  tumbling: { name: 'w', type: 'tumbling', sizeMs: 100 },
  hopping: { name: 'w', type: 'hopping', sizeMs: 100, slideMs: 20 },
  retracting: {
    name: 'w',
    type: 'tumbling',
    sizeMs: 100,
    allowedLatenessMs: 500,
    trigger: { everyCount: 1 },
    accumulation: 'retracting',
  },
  top: { name: 'w', type: 'tumbling', sizeMs: 100, top: { by: 'x', limit: 8 } },
  session: { name: 'w', type: 'session', gapMs: 50, trigger: { everyCount: 1 }, accumulation: 'retracting' },
  count: { name: 'w', type: 'count', count: 2, trigger: { everyCount: 1 } },
  global: { name: 'w', type: 'global', trigger: { everyCount: 1 }, accumulation: 'retracting' },
};

for (const [type, window] of Object.entries(WINDOWS)) {
  for (const reducer of ['unfinished', 'unwritable', 'textless']) {
    test(`a result that cannot be had (${type}, ${reducer}) is told as such, beside all others, by a replay as well`, async () => {
      const stores = lastingStores();
      const definition = streamOf({ ...window, aggregates: aggregatesOf(reducer) } as WindowDefinition);
      const open = (): Promise<Rig> => openRig([definition], { stores, tap: createTap() });
      let rig = await open();
      for (const at of [1, 30, 260]) {
        assert.deepEqual(await rig.send('s', ofAll(at)), { accepted: KEYS.length, rejected: 0, late: 0 });
      }
      await rig.send('s', [{ at: 1000, k: 'z', v: 1 }]);
      await rig.settled();
      const told = rig.tap.lines();
      const good = linesOf(rig).filter(({ key }) => key['k'] !== 'bad' && key['k'] !== 'z');
      const bad = linesOf(rig).filter(({ key }) => key['k'] === 'bad');
      assert.ok(bad.length > 0);
      assert.equal(good.length, bad.length * (KEYS.length - 1));
      for (const { failed, values } of good) assert.ok(failed === undefined && values['x'] !== null);
      for (const { failed, retraction, values } of bad) {
        assert.equal(values['x'], null);
        assert.ok((values['n'] as number) > 0);
        if (retraction !== true) assert.ok((failed?.['x'] ?? '').length > 0);
      }
      const failures = bad.filter(({ retraction }) => retraction !== true).length;
      assert.deepEqual(rig.service.list()[0]?.resultsFailed, { w: failures });
      assert.equal(rig.service.list()[0]?.stepsLeftOut, 0);
      assert.equal(rig.troubles.filter(({ message }) => message.includes('a reducer threw')).length, 1);
      await rig.abandon();
      rig = await open();
      assert.deepEqual(rig.tap.lines(), told);
      await rig.close();
    });
  }
}

for (const reducer of ['unmergeable', 'unkept']) {
  for (const type of ['hopping', 'session'] as const) {
    test(`states that cannot be merged (${reducer}, ${type}) have no result, and cost nobody else theirs`, async () => {
      const stores = lastingStores();
      const window = { ...WINDOWS[type], aggregates: aggregatesOf(reducer) } as WindowDefinition;
      const definition = streamOf(window, { time: { outOfOrderMs: 100 } });
      const open = (): Promise<Rig> => openRig([definition], { stores, tap: createTap() });
      let rig = await open();
      for (const at of [1, 81, 41, 240]) {
        assert.deepEqual(await rig.send('s', ofAll(at)), { accepted: KEYS.length, rejected: 0, late: 0 });
      }
      await rig.send('s', [{ at: 1000, k: 'z', v: 1 }]);
      await rig.settled();
      const lines = linesOf(rig);
      assert.ok(lines.some(({ failed, key }) => key['k'] === 'bad' && failed !== undefined));
      assert.ok(lines.every(({ failed, key }) => key['k'] === 'bad' || failed === undefined));
      // What came after it begins anew: it was never merged with anything.
      const last = lines.findLast(({ key }) => key['k'] === 'bad');
      assert.deepEqual([last?.values['x'], last?.failed], [1, undefined]);
      assert.equal(rig.service.list()[0]?.stepsLeftOut, 0);
      const told = rig.tap.lines();
      await rig.abandon();
      rig = await open();
      assert.deepEqual(rig.tap.lines(), told);
      await rig.close();
    });
  }
}

test('a window whose results fail is degraded until it has a round without', async () => {
  const window = { ...WINDOWS['tumbling'], aggregates: aggregatesOf('unfinished') } as WindowDefinition;
  const rig = await openRig([streamOf(window)]);
  await rig.send('s', ofAll(1));
  const [row] = (await rig.rows('s', 'w', 'open')).filter(({ key }) => key['k'] === 'bad');
  assert.deepEqual([row?.values['x'], row?.failed], [null, { x: 'no negative values' }]);
  // Nothing was told of it.
  assert.deepEqual([rig.service.degraded, rig.service.list()[0]?.resultsFailed], [[], {}]);
  await rig.send('s', [{ at: 150, k: 'a', v: 1 }]);
  assert.deepEqual(rig.service.degraded, ['stream results of s/w']);
  await rig.send('s', [{ at: 250, k: 'a', v: 1 }]);
  assert.deepEqual([rig.service.degraded, rig.service.list()[0]?.resultsFailed], [[], { w: 1 }]);
  await rig.close();
});

test('an alert neither begins nor ends by a value that could not be had', async () => {
  const window = { ...WINDOWS['tumbling'], aggregates: aggregatesOf('unfinished') } as WindowDefinition;
  const alerts: StreamDefinition['alerts'] = [
    { name: 'high', on: 'w', when: 'x > 1' },
    { name: 'many', on: 'w', when: 'n > 1' },
  ];
  const rig = await openRig([streamOf(window, { alerts })]);
  const send = (at: number, ...values: number[]) =>
    rig.send(
      's',
      values.map((v) => ({ at, k: 'a', v })),
    );
  const active = (): string[] =>
    (rig.service.alerts({ stream: 's', active: true, limit: 10 }) as readonly { alert: string }[])
      .map(({ alert }) => alert)
      .sort();
  await send(1, 1, 1);
  await send(101, -1);
  assert.deepEqual(active(), ['high', 'many']);
  await send(201, 1);
  // The window from 100 has failed: `x` says nothing, `n` does.
  assert.deepEqual(active(), ['high']);
  await send(301, 1);
  assert.deepEqual(active(), []);
  await rig.close();
});

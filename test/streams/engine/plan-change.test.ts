/**
 * A plan that is without an operator holds none of its keys, whatever kind of operator it was.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { MemoryLog } from '../../../src/streams/log/memory-log.ts';
import { lastingStores } from './faults.ts';
import { openRig, refusalOf } from './rig.ts';

const KEYS = 40;

/** What has the same key as the window that stays. */
const DROPPED: Readonly<Record<string, Partial<StreamDefinition>>> = {
  'a tumbling window': { windows: [{ name: 'x', type: 'tumbling', sizeMs: 1e9, aggregates: { n: 'count' } }] },
  'a hopping window': {
    windows: [{ name: 'x', type: 'hopping', sizeMs: 1e9, slideMs: 1e8, aggregates: { n: 'count' } }],
  },
  'a session window': { windows: [{ name: 'x', type: 'session', gapMs: 1e9, aggregates: { n: 'count' } }] },
  'a count window': { windows: [{ name: 'x', type: 'count', count: 1000, aggregates: { n: 'count' } }] },
  'a pattern': {
    patterns: [{ name: 'x', steps: [{ name: 'a' }, { name: 'b', where: 'v > 5' }], select: { v: 'last(b).v' } }],
  },
  'an anomaly': { anomalies: [{ name: 'x', value: 'v', type: 'zscore' }] },
};

const KEPT: StreamDefinition = {
  name: 's',
  schema: { fields: { at: 'integer', k: 'string', v: 'number' }, timestamp: { field: 'at' }, key: ['k'] },
  limits: { keysMax: KEYS },
};
const WINDOW = { name: 'w', type: 'tumbling' as const, sizeMs: 100, aggregates: { n: 'count' as const } };

function withOperators(more: Partial<StreamDefinition>): StreamDefinition {
  return { ...KEPT, ...more, windows: [WINDOW, ...(more.windows ?? [])] };
}

const eventsOf = (prefix: string, at: number): object[] =>
  Array.from({ length: KEYS }, (_, i) => ({ at, k: `${prefix}${i}`, v: 1 }));

describe('keys of an operator that a new plan is without are let go', () => {
  for (const [name, dropped] of Object.entries(DROPPED)) {
    test(`${name}`, async () => {
      const stores = lastingStores();
      const before = await openRig([withOperators(dropped)], { stores });
      await before.send('s', eventsOf('a', 1));
      await before.checkpoint();
      await before.abandon();

      const rig = await openRig([withOperators({})], { stores });
      // The window of the first keys closes; only one key is left, until it closes as well.
      await rig.send('s', [{ at: 1000, k: 'z', v: 1 }]);
      await rig.send('s', [{ at: 5000, k: 'z', v: 1 }]);
      await rig.send('s', eventsOf('b', 9000));
      assert.equal((await rig.rows('s', 'w')).length, KEYS + 2);
      const full = await refusalOf(rig.send('s', [{ at: 9001, k: 'c', v: 1 }]));
      assert.equal(full, '', 'there is room again');
      await rig.close();
    });
  }
});

describe('while a new plan is put in force', () => {
  const stream: StreamDefinition = {
    name: 's',
    schema: {
      fields: { at: 'integer', k: 'string', j: 'string', v: 'number' },
      timestamp: { field: 'at' },
      key: ['k'],
    },
    windows: [WINDOW],
    patterns: [{ name: 'p', steps: [{ name: 'a' }, { name: 'b', where: 'v > 5' }] }],
  };
  const byJ = { name: 'by_j', type: 'tumbling', sizeMs: 100, key: ['j'], aggregates: { sum: { fn: 'sum', of: 'v' } } };

  test('a batch that has come already is decoded by the plan it is applied under', async () => {
    const rig = await openRig([stream]);
    const sent: Promise<unknown>[] = [];
    const defined = rig.service.define('s', 'windows', byJ);
    let isOver = false;
    void defined.finally(() => {
      isOver = true;
    });
    do {
      sent.push(rig.send('s', [{ at: sent.length, k: 'a', j: 'x', v: 1 }]));
      await new Promise((resolve) => setImmediate(resolve));
    } while (!isOver);
    await Promise.all(sent);
    await rig.send('s', [{ at: 1_000_000, k: 'a', j: 'x', v: 1 }]);
    const ofWindow = await rig.rows('s', 'w');
    assert.deepEqual(new Set(ofWindow.map(({ key }) => JSON.stringify(key))), new Set(['{"k":"a"}']));
    const counted = ofWindow.reduce((sum, { values }) => sum + Number(values['n']), 0);
    assert.equal(counted, sent.length, 'none is lost, none counts for another key');
    const keys = (await rig.rows('s', 'by_j')).map(({ key }) => JSON.stringify(key));
    assert.deepEqual(new Set(keys), new Set(['{"j":"x"}']));
    assert.deepEqual(rig.troubles, []);
    await rig.close();
  });

  test('a question is answered by the operator it names', async () => {
    const log = heldLog();
    const stores = async () => ({ ...(await lastingStores()()), eventLog: log.eventLog });
    const rig = await openRig([stream], { stores });
    await rig.send('s', [{ at: 1, k: 'a', j: 'x', v: 1 }]);
    // Not at step b, and of the watermark of a later event.
    await rig.send('s', [{ at: 5000, k: 'b', j: 'x', v: 1 }]);
    const defined = rig.service.define('s', 'windows', byJ);
    await log.planComes;
    const asked = rig.rows('s', 'p', 'open');
    log.letPlanIn();
    await defined;
    const rows = await asked;
    assert.deepEqual([rows.length, rows[0]?.name], [1, 'p']);
    await rig.close();
  });
});

/** A log that takes what is declared, and the next plan when it is told to. */
function heldLog(): { eventLog: MemoryLog; planComes: Promise<void>; letPlanIn(): void } {
  const eventLog = new MemoryLog();
  let letPlanIn = (): void => undefined;
  let comes = (): void => undefined;
  const gate = new Promise<void>((resolve) => {
    letPlanIn = resolve;
  });
  const planComes = new Promise<void>((resolve) => {
    comes = resolve;
  });
  const append = eventLog.append.bind(eventLog);
  let plans = 0;
  eventLog.append = (record) => {
    const appended = append(record);
    if (record.kind !== 'plan') return appended;
    plans += 1;
    if (plans === 1) return appended;
    comes();
    return { ...appended, durable: gate };
  };
  return { eventLog, planComes, letPlanIn };
}

/**
 * Keys as large as a body: what is kept of results and alerts is bounded by what they hold, not by their number alone.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AlertBook } from '../../../src/streams/alerts/alert-book.ts';
import type { ResultLine, WindowAnswer, WindowQuery } from '../../../src/streams/engine/port.ts';
import { Retained } from '../../../src/streams/engine/results/retained.ts';
import type { AlertPlan, OperatorPlan } from '../../../src/streams/plan.ts';
import { EVERYTHING } from '../rig-parts.ts';
import { openRig } from './rig.ts';

const MIB = 1024 * 1024;

test('closed results are kept within a bound of bytes, the newest ones, and an answer says that some are gone', () => {
  const retained = new Retained({ kind: 'view' } as OperatorPlan);
  for (let i = 0; i < 200; i++) {
    const line = `${JSON.stringify({ key: { k: 'x'.repeat(MIB) }, start: i, end: i })}\n`;
    retained.add({ output: '', start: i, end: i, count: 1, lines: Buffer.from(line) });
  }
  // To be ordered, all of them are looked at.
  const { isAll, rows } = retained.find({ ...EVERYTHING, by: 'v' });
  assert.ok(rows.length > 50 && rows.length <= 64, `${rows.length} rows of 1 MiB`);
  assert.deepEqual([rows[0]?.start, isAll], [199, false]);
});

test('an answer has room for so much, open and closed, and says that there is more', async () => {
  const fields = { at: 'integer', k: 'string', v: 'integer' } as const;
  const rig = await openRig([
    {
      name: 's',
      schema: { fields, timestamp: { field: 'at' }, key: ['k'] },
      time: { maxFutureMs: 0, idleAfterMs: 0 },
      windows: [{ name: 'w', type: 'tumbling', sizeMs: 1000, aggregates: { v: { fn: 'sum', of: 'v' } } }],
    },
  ]);
  const ask = (more: Partial<WindowQuery>): Promise<WindowAnswer> =>
    rig.service.query({ stream: 's', name: 'w', include: 'all', ...EVERYTHING, ...more });
  // A line has its key twice, in its id.
  const keys = Array.from({ length: 80 }, (_, v) => ({ at: 5, k: `${v}${'x'.repeat(MIB / 8)}`, v }));
  try {
    for (const event of keys) await rig.send('s', [event]);
    const isCut = ({ rows, truncated, truncatedBy }: WindowAnswer): void => {
      const length = JSON.stringify(rows).length;
      assert.ok(length > 4 * MIB && length < 6.1 * MIB, `${length} characters`);
      assert.deepEqual([truncated, truncatedBy], [true, ['size']]);
    };
    isCut(await ask({}));
    const best = await ask({ by: 'v', limit: 3 });
    assert.deepEqual([best.rows.map(({ values }) => values['v']), best.truncatedBy], [[79, 78, 77], ['limit']]);
    await rig.send('s', [{ at: 2000, k: 'small', v: 0 }]);
    for (const by of ['', 'v']) isCut(await ask({ include: 'closed', by }));
    assert.deepEqual((await ask({ include: 'open' })).truncatedBy, []);
  } finally {
    await rig.close();
  }
});

test('alerts are remembered within a bound of characters, and their names do not grow with their keys', () => {
  const book = new AlertBook({ log: { warn: () => undefined } });
  const plan = { name: 'a', when: 'v > 1', clear: '', groupBy: [], silenceMs: 1000, actions: [], severity: 'info' };
  const line = (k: string, state: string): ResultLine => ({
    ...{ id: k, stream: 's', name: 'a', key: { k }, start: 0, end: 1, pane: 0, timing: 'on-time', final: true },
    values: { state, severity: 'info', message: '', values: {} },
  });
  const keys = Array.from({ length: 100 }, (_, i) => `${i}${'x'.repeat(MIB)}`);
  for (const k of keys) book.take('s', plan as unknown as AlertPlan, [line(k, 'raised')], 1);
  const listed = book.list({ stream: '', active: true, limit: 1000 });
  assert.ok(listed.length > 10 && listed.length < 64, `${listed.length} alerts of 2 MiB`);
  assert.equal(listed[0]?.key['k'], keys.at(-1));
  const { alerts, ...others } = book.facts();
  assert.equal(alerts.length, listed.length);
  assert.equal(others.begun.length, keys.length);
  assert.ok(JSON.stringify(others).length < 100_000, 'of what is not shown only names are kept');
});

/**
 * Every pane of sessions, count windows and the global window, early ones above all, is what plain loops say: whatever the
 * disorder, the trigger, what panes hold, the number of shards, and restarts. One seed is one case.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { modelled, panesOf, WINDOWS } from './keyed-panes.ts';
import { type Action, casesOf, differenceOf, type PaneCase, ran } from './pane-case.ts';

const SEEDS = Number(process.env['STREAM_SEEDS'] ?? 100);
const FIRST = Number(process.env['STREAM_SEED'] ?? 1);

const SEEN: Readonly<Record<keyof typeof WINDOWS, readonly string[]>> = {
  session: ['early', 'early again', 'on-time', 'on-time again', 'late', 'late again', 'taken back'],
  count: ['early', 'early again', 'on-time', 'on-time again', 'taken back'],
  global: ['early', 'early again', 'taken back'],
};

/** Every event has a value. */
const valued = (action: Action): Action =>
  action.kind === 'batch'
    ? { ...action, events: action.events.map(({ v, ...event }) => ({ ...event, v: v ?? 0 })) }
    : action;

for (const [type, windows] of Object.entries(WINDOWS)) {
  test(`panes of a ${type} window, ${SEEDS} seeded cases`, async () => {
    const cases = casesOf(windows);
    const seen = new Set<string>();
    for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
      const [drawn] = fc.sample(cases, { seed, numRuns: 1 }) as [PaneCase];
      const given = { ...drawn, actions: drawn.actions.map(valued) };
      const expected = modelled(given);
      const lines = await ran(given);
      const difference = differenceOf(expected, panesOf(lines));
      assert.equal(difference, '', `seed ${seed}: ${JSON.stringify(given)}\n${difference}`);
      const ids = lines.map(({ id }) => id);
      assert.equal(new Set(ids).size, ids.length, `seed ${seed}: ids are unique`);
      for (const { id, retraction } of lines) {
        if (retraction === true) assert.ok(ids.includes(id.replace(/\/retraction$/, '')), `seed ${seed}: ${id}`);
      }
      for (const { pane, retraction, timing } of expected) {
        seen.add(retraction ? 'taken back' : `${timing}${pane > 0 ? ' again' : ''}`);
      }
    }
    assert.deepEqual([...seen].sort(), [...SEEN[type as keyof typeof WINDOWS]].sort());
  });
}

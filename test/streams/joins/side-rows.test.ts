/** Rows of a key of a join: in order of time whatever order events come in, those of one time as they came. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { JoinState } from '../../../src/streams/joins/join-state.ts';
import { RowLayout } from '../../../src/streams/joins/row-layout.ts';
import { batchOf } from '../expressions/rows.ts';
import { KeyRegistry } from '../keyed-states/key-registry.ts';
import { FIELDS } from './join-run.ts';

const NO_CONTEXT = new Uint8Array(0);

test('each event has its place behind those that are not later', () => {
  const times = fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 1, maxLength: 80 });
  fc.assert(
    fc.property(times, fc.boolean(), (given, dropsSome) => {
      const layout = new RowLayout(FIELDS, ['n']);
      const state = new JoinState(JoinState.create(), new KeyRegistry(), [layout, layout], true);
      const rows = state.sides[0];
      const batch = batchOf(
        FIELDS,
        given.map((ts, n) => ({ ts, name: '', note: '', n, hot: false })),
      );
      state.beginTurn();
      let held: { ts: number; n: number }[] = [];
      for (const [n, ts] of given.entries()) {
        const place = rows.placeOf(state.block(0, 0), ts);
        assert.equal(place, held.filter((other) => other.ts <= ts).length);
        state.insert(0, 0, place, batch, n, 1, NO_CONTEXT);
        held.splice(place, 0, { ts, n });
        if (dropsSome && n % 20 === 19) {
          state.drop(0, 0, 7);
          held = held.slice(7);
        }
        const block = state.block(0, 0);
        const seen = held.map((_, i) => ({ ts: rows.tsAt(block, i), n: rows.number(rows.rowAt(block, i), 0) }));
        assert.deepEqual(seen, held);
      }
    }),
    { numRuns: 200 },
  );
});

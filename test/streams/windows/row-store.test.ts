/**
 * Rows by unit and key against a Map, with keys that are dense, sparse or far from the others: tables of both kinds.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ShardMemory } from '../../../src/streams/state/memory.ts';
import { RowStore, rowStoreBytes } from '../../../src/streams/windows/row-store.ts';
import { shapeFor } from '../../../src/streams/windows/unit-table.ts';

const STRIDE = 3;

const key = fc.oneof(
  { weight: 4, arbitrary: fc.nat(60) },
  fc.nat(20).map((n) => n * 1024),
  fc.nat(5000),
  fc.constantFrom(2 ** 24, 2 ** 31, 2 ** 32 - 2),
);
const put = fc.record({ do: fc.constant('put' as const), unit: fc.nat(3), keys: fc.array(key, { maxLength: 80 }) });
const retire = fc.record({ do: fc.constant('retire' as const), unit: fc.nat(3) });
const without = fc.record({ do: fc.constant('without' as const), unit: fc.nat(3), keys: fc.array(key) });
const attach = fc.record({ do: fc.constant('attach' as const) });

test('a key has the row it was given, in each unit, and none where it was not', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(put, put, retire, without, attach), { maxLength: 25 }), (steps) => {
      const memory = ShardMemory.create(...rowStoreBytes(STRIDE));
      let store = new RowStore(memory, 0, STRIDE);
      const model = new Map<number, Map<number, number>>();
      for (const step of steps) {
        if (step.do === 'attach') store = new RowStore(memory, 0, STRIDE);
        else if (step.do === 'put') {
          const rows = model.get(step.unit) ?? new Map<number, number>();
          model.set(step.unit, rows);
          store.select(store.open(step.unit));
          for (const each of step.keys) if (!rows.has(each)) rows.set(each, store.insert(each));
        } else if (model.has(step.unit)) {
          const record = store.recordOf(step.unit);
          if (step.do === 'retire') {
            store.retire(record);
            model.delete(step.unit);
          } else {
            store.without(record, new Set(step.keys), () => undefined);
            for (const each of step.keys) model.get(step.unit)?.delete(each);
          }
        }
        for (const [unit, rows] of model) {
          store.select(store.recordOf(unit));
          for (const [each, row] of rows) {
            assert.equal(store.find(each), row);
            if (!rows.has(each + 1)) assert.equal(store.find(each + 1), 0);
          }
        }
      }
      assert.equal(
        store.liveRows,
        [...model.values()].reduce((sum, rows) => sum + rows.size, 0),
      );
    }),
    { numRuns: 200 },
  );
});

test('a slot for each id only where that costs no more than twice the other kind', () => {
  assert.deepEqual(shapeFor(1000, 1500), { log2: 11, direct: true });
  assert.deepEqual(shapeFor(1000, 4095), { log2: 12, direct: true });
  assert.deepEqual(shapeFor(1000, 8192), { log2: 11, direct: false });
  assert.deepEqual(shapeFor(3, 2 ** 31), { log2: 4, direct: false });
});

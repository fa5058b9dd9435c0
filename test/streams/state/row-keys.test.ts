/**
 * Ids of a shard's rows: the same whether a batch has numbers for its keys or not, batch after batch.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EventBatch } from '../../../src/streams/decode/event-batch.ts';
import { hashKey } from '../../../src/streams/decode/key-hash.ts';
import { KeyTable } from '../../../src/streams/state/key-table.ts';
import { RowKeys } from '../../../src/streams/state/row-keys.ts';
import { decode, planOf } from '../decode/plan-of.ts';

test('keys have the ids that a look-up of every row gives them, in that order', () => {
  const plan = planOf({ s: 'string', x: 'integer' }, { keys: [['s'], ['x', 's']] });
  const inputs = [[0], [1, 0]];
  for (const [k, fields] of inputs.entries()) {
    const tables = [0, 1].map(() => new KeyTable(KeyTable.create(plan, k), plan, k, hashKey)) as [KeyTable, KeyTable];
    const keys = new RowKeys();
    // Of few keys, of more than fit at first, of few rows, and of keys that do not repeat.
    for (const [rows, different] of [
      [3000, 40],
      [9000, 2500],
      [70, 7],
      [10, 2],
      [3000, 1e6],
      [2000, 40],
    ] as const) {
      const lines = Array.from({ length: rows }, (_, i) => `{"s":"host-${(i * 7919) % different}","x":${i % 3}}`);
      const { events } = decode(plan, 'ndjson', lines.join('\n'));
      assert.equal(events.differentKeys(k) > 0, rows >= 64 && different < 1e6);
      for (let shard = 0; shard < plan.shards; shard++) assertSame(events, k, fields, shard, keys, tables);
    }
  }
});

function assertSame(
  events: EventBatch,
  k: number,
  fields: readonly number[],
  shard: number,
  keys: RowKeys,
  [table, other]: readonly [KeyTable, KeyTable],
): void {
  const rows = events.rowsOfShard(k, shard);
  const ids = new Uint32Array(rows.length);
  other.internRows(events, fields, events.hashes[k] as Uint32Array, rows, rows.length, ids);
  keys.rows(events, k, fields, rows, table);
  assert.deepEqual(keys.ids.subarray(0, rows.length), ids);
  assert.equal(table.size, other.size);
}

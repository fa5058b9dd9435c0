/**
 * Columns of keys against Maps: rows by shard, and one number for each different key, whatever the keys are made of.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { EventBatch, KeyColumns } from '../../../src/streams/decode/event-batch.ts';
import { FIRST_OF_KEY, KEY_NUMBER } from '../../../src/streams/decode/key-columns.ts';
import { hashKey, type KeyValue } from '../../../src/streams/decode/key-hash.ts';
import { decode, planOf } from './plan-of.ts';

/** Different texts of one hash. */
const ALIKE = ['k92685', 'k98246'] as const;

const plan = planOf(
  { s: 'string?', x: 'number?', b: 'boolean?' },
  { keys: [['s'], ['x'], ['b'], ['b', 's', 'x'], []] },
);

interface Row {
  readonly s: string | null;
  readonly x: number | null;
  readonly b: boolean | null;
}

const keysOf = ({ b, s, x }: Row): KeyValue[][] => [[s], [x], [b], [b, s, x], []];

/** −0 is 0. */
const textOf = (key: readonly KeyValue[]): string =>
  JSON.stringify(key.map((value) => (typeof value === 'number' ? value + 0 : value)));

function assertNumbers(batch: EventBatch, k: number, texts: readonly string[]): void {
  const { numbers } = batch.keys[k] as KeyColumns;
  const known = new Map<string, number>();
  for (const [row, text] of texts.entries()) {
    const isFirst = !known.has(text);
    if (isFirst) known.set(text, known.size);
    const number = numbers[row] as number;
    assert.equal(number & KEY_NUMBER, known.get(text), `row ${row}, ${text}`);
    assert.equal(number >= FIRST_OF_KEY, isFirst, `row ${row}, ${text}`);
  }
  assert.equal(batch.differentKeys(k), known.size);
}

function assertShards(batch: EventBatch, k: number): void {
  const shards: number[][] = Array.from({ length: plan.shards }, () => []);
  for (let row = 0; row < batch.count; row++) {
    shards[(batch.hashes[k]?.[row] as number) & (plan.shards - 1)]?.push(row);
  }
  for (const [shard, rows] of shards.entries()) assert.deepEqual([...batch.rowsOfShard(k, shard)], rows);
}

const decodeRows = (rows: readonly object[]): EventBatch =>
  decode(plan, 'ndjson', rows.map((row) => JSON.stringify(row)).join('\n')).events;

describe('columns of keys', () => {
  test('rows by shard, and the same number for the same key only', () => {
    const row = fc.record({
      s: fc.option(fc.constantFrom('', 'a', 'é', 'abc', 'abd', 'host-000001', 'host-100001', 'x'.repeat(70), ...ALIKE)),
      x: fc.option(fc.constantFrom(0, -0, 1, -1.5, 1e300)),
      b: fc.option(fc.boolean()),
    });
    fc.assert(
      fc.property(fc.array(row, { minLength: 64, maxLength: 200 }), (rows) => {
        const batch = decodeRows(rows);
        for (let k = 0; k < 5; k++) {
          const texts = rows.map((each) => textOf(keysOf(each)[k] as KeyValue[]));
          assertShards(batch, k);
          assertNumbers(batch, k, texts);
        }
      }),
    );
  });

  test('more keys than there were slots for at first, and few again', () => {
    for (const keys of [9000, 50, 3000]) {
      const rows = Array.from({ length: 30_000 }, (_, i) => ({ s: `key-${(i * i) % keys}`, x: i % 512 }));
      const batch = decodeRows(rows);
      assertNumbers(
        batch,
        0,
        rows.map(({ s }) => s),
      );
      assertNumbers(
        batch,
        1,
        rows.map(({ x }) => `${x}`),
      );
      assertShards(batch, 0);
    }
  });

  test('keys that come in turn repeat, and so do those that come one after the other', () => {
    const rows = Array.from({ length: 6000 }, (_, i) => ({ s: `key-${i % 1000}`, x: i < 5400 ? i : 5400 }));
    const batch = decodeRows(rows);
    assertNumbers(
      batch,
      0,
      rows.map(({ s }) => s),
    );
    assert.equal(batch.differentKeys(1), 0);
    assert.equal(decodeRows(rows.toReversed()).differentKeys(1), 5401);
  });

  test('no numbers where keys hardly repeat, or rows are few', () => {
    const unlike = decodeRows(Array.from({ length: 5000 }, (_, i) => ({ s: `key-${i}` })));
    assert.equal(unlike.differentKeys(0), 0);
    assert.equal(unlike.differentKeys(4), 1);
    assertShards(unlike, 0);
    assert.equal(decodeRows([{ s: 'a' }, { s: 'a' }]).differentKeys(0), 0);
    assert.equal(decodeRows([]).rowsOfShard(0, 0).length, 0);
  });

  test('the texts of one hash that these tests rely on', () => {
    assert.equal(hashKey([ALIKE[0]]), hashKey([ALIKE[1]]));
  });
});

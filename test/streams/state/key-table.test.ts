/**
 * The key table against a Map of JSON texts: any members, bad hashes, growth, forgetting, and tables taken up anew.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ABSENT, EventBatch } from '../../../src/streams/decode/event-batch.ts';
import { hashKey } from '../../../src/streams/decode/key-hash.ts';
import type { FieldType } from '../../../src/streams/define/definition.ts';
import { LineBuffer } from '../../../src/streams/lines/line-buffer.ts';
import type { Plan } from '../../../src/streams/plan.ts';
import type { KeyMember } from '../../../src/streams/state/key-bytes.ts';
import { KeyTable } from '../../../src/streams/state/key-table.ts';
import { ShardMemory } from '../../../src/streams/state/memory.ts';
import { streamPlan } from '../plan-parts.ts';

function planOf(types: readonly FieldType[]): Plan {
  const fields = types.map((type, i) => ({ name: `f${i}`, type, optional: true }));
  const stream = streamPlan({ fields, key: fields.map((_, i) => i) });
  const group = { index: 0, inputs: [{ stream: 0, fields: stream.key }], keyNames: fields.map(({ name }) => name) };
  return { epoch: 1, shards: 1, streams: [stream], groups: [group], operators: [] };
}

type HashKey = (values: readonly KeyMember[]) => number;

function batchOf(plan: Plan, keys: readonly (readonly KeyMember[])[], hash: HashKey): EventBatch {
  const batch = EventBatch.allocate(
    plan,
    0,
    Math.max(1, keys.length),
    100 + Buffer.byteLength(JSON.stringify(keys)) * 2,
  );
  let at = 3;
  for (const [row, key] of keys.entries()) {
    (batch.hashes[0] as Uint32Array)[row] = hash(key);
    for (const [field, member] of key.entries()) {
      if (plan.streams[0]?.fields[field]?.type !== 'string') {
        (batch.values[field] as Float64Array)[row] = member === null ? Number.NaN : Number(member);
        continue;
      }
      const text = Buffer.from((member as string | null) ?? '');
      batch.bytes.set(text, at);
      (batch.at[field] as Uint32Array)[row] = at;
      (batch.length[field] as Uint32Array)[row] = member === null ? ABSENT : text.length;
      at += text.length;
    }
  }
  batch.count = keys.length;
  return batch;
}

class Tables {
  readonly plan: Plan;
  readonly hash: HashKey;
  #memory: ShardMemory;
  table!: KeyTable;

  constructor(types: readonly FieldType[], hash: HashKey) {
    this.plan = planOf(types);
    this.hash = hash;
    this.#memory = KeyTable.create(this.plan, 0);
    this.attach(false);
  }

  attach(copied: boolean): void {
    const { buffers, generation } = this.#memory.image();
    this.#memory = new ShardMemory({
      generation,
      buffers: copied ? buffers.map((buffer) => buffer.slice(0)) : buffers,
    });
    this.table = new KeyTable(this.#memory, this.plan, 0, this.hash);
  }

  intern(keys: readonly (readonly KeyMember[])[]): Uint32Array {
    const batch = batchOf(this.plan, keys, this.hash);
    const ids = new Uint32Array(keys.length);
    const rows = Uint32Array.from(keys, (_, i) => i);
    const fields = this.plan.streams[0]?.key ?? [];
    this.table.internRows(batch, fields, batch.hashes[0] as Uint32Array, rows, keys.length, ids);
    return ids;
  }
}

const texts = fc.oneof(
  fc.constantFrom('', '\u0000', 'a"b\\c', 'a', 'ab', 'abc', 'abcd', 'abcde'),
  fc.string({ unit: 'grapheme', maxLength: 6 }),
  fc.constantFrom(40, 41, 100, 101).map((length) => 'long'.repeat(30).slice(0, length)),
);
const numbers = fc.oneof(fc.constantFrom(0, -0, 1, 2, 3, 1e300), fc.double({ noNaN: true, noDefaultInfinity: true }));
const MEMBERS: Readonly<Record<FieldType, fc.Arbitrary<KeyMember>>> = {
  string: fc.option(texts, { nil: null }),
  number: fc.option(numbers, { nil: null }),
  integer: fc.option(fc.integer({ min: 0, max: 5 }), { nil: null }),
  boolean: fc.option(fc.boolean(), { nil: null }),
};

const cases = fc
  .array(fc.constantFrom<FieldType>('string', 'number', 'integer', 'boolean'), { maxLength: 3 })
  .chain((types) => {
    const key = fc.tuple(...types.map((type) => MEMBERS[type]));
    const step = fc.oneof(
      {
        weight: 4,
        arbitrary: fc.record({ do: fc.constant('intern' as const), keys: fc.array(key, { maxLength: 12 }) }),
      },
      { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('retain', 'release'), nth: fc.nat(50) }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('sweep', 'attach', 'copy') }) },
    );
    return fc.record({
      types: fc.constant(types),
      hashBits: fc.constantFrom(0, 3, 0xffffffff),
      steps: fc.array(step, { maxLength: 30 }) as fc.Arbitrary<readonly Step[]>,
    });
  });

type Step =
  | { readonly do: 'intern'; readonly keys: readonly (readonly KeyMember[])[] }
  | { readonly do: 'retain' | 'release'; readonly nth: number }
  | { readonly do: 'sweep' | 'attach' | 'copy' };

interface Known {
  readonly id: number;
  readonly key: readonly KeyMember[];
  held: number;
}

function check(tables: Tables, model: ReadonlyMap<string, Known>): void {
  const { table } = tables;
  assert.equal(table.size, model.size);
  assert.equal(new Set([...model.values()].map(({ id }) => id)).size, model.size);
  for (const { id, key } of model.values()) {
    const shown = key.map((member) => (Object.is(member, -0) ? 0 : member));
    assert.deepEqual(table.values(id), shown);
    const json = JSON.stringify(Object.fromEntries(shown.map((member, i) => [`f${i}`, member])));
    assert.equal(table.json(id), json);
    const out = new LineBuffer();
    table.write(id, false, out);
    assert.equal(Buffer.from(out.take()).toString(), json);
    table.write(id, true, out);
    assert.equal(Buffer.from(out.take()).toString(), JSON.stringify(json).slice(1, -1));
    assert.equal(table.find(key), id);
  }
}

test('one id for one key as long as someone holds it, for any members and the worst hashes', () => {
  fc.assert(
    fc.property(cases, ({ hashBits, steps, types }) => {
      const tables = new Tables(types, (values) => (hashKey(values) & hashBits) >>> 0);
      const model = new Map<string, Known>();
      for (const step of steps) {
        if (step.do === 'intern') {
          const ids = tables.intern(step.keys);
          for (const [i, key] of step.keys.entries()) {
            const text = JSON.stringify(key);
            const known = model.get(text);
            if (known === undefined) model.set(text, { id: ids[i] as number, key, held: 0 });
            else assert.equal(ids[i], known.id);
          }
        } else if (step.do === 'retain' || step.do === 'release') {
          const known = [...model.values()][step.nth % Math.max(1, model.size)];
          if (known === undefined || (step.do === 'release' && known.held === 0)) continue;
          known.held += step.do === 'retain' ? 1 : -1;
          tables.table[step.do](known.id);
        } else if (step.do === 'sweep') {
          tables.table.sweep();
          for (const [text, { held, key }] of model) {
            if (held > 0) continue;
            assert.equal(tables.table.find(key), -1);
            model.delete(text);
          }
        } else tables.attach(step.do === 'copy');
        check(tables, model);
      }
    }),
    { numRuns: 600 },
  );
});

test('a hundred thousand keys come, stay the same and go; their ids and room are used again', () => {
  const tables = new Tables(['string'], hashKey);
  const keys = Array.from({ length: 100_000 }, (_, i) => [i % 7 === 0 ? `host-${i}-${'x'.repeat(40)}` : `host-${i}`]);
  const ids = tables.intern(keys);
  for (const id of ids) tables.table.retain(id);
  tables.attach(false);
  assert.deepEqual(tables.intern(keys), ids);
  tables.table.sweep();
  assert.equal(tables.table.size, 100_000);
  const { byteLength } = tables.table;
  for (const [i, id] of ids.entries()) if (i % 2 === 0) tables.table.release(id);
  tables.table.sweep();
  assert.equal(tables.table.size, 50_000);
  for (const [i, key] of keys.entries()) assert.equal(tables.table.find(key), i % 2 === 0 ? -1 : ids[i]);
  const again = tables.intern(keys.map(([key]) => [`again-${key}`]).slice(0, 50_000));
  assert.ok(again.every((id) => id < 100_000));
  assert.equal(tables.table.byteLength, byteLength);
});

test('the text of a key is not that of the key which had its id before', () => {
  const tables = new Tables(['string'], hashKey);
  const [before] = tables.intern([['first']]);
  assert.equal(tables.table.json(before as number), '{"f0":"first"}');
  tables.table.sweep();
  const [after] = tables.intern([['second']]);
  assert.equal(after, before);
  assert.equal(tables.table.json(after as number), '{"f0":"second"}');
});

test('an absent member is no text, even where hash and bytes agree', () => {
  const tables = new Tables(['string'], () => 0);
  const ids = tables.intern([['\u0000'], [null], ['\u0000'], [null]]);
  assert.deepEqual([...ids], [0, 1, 0, 1]);
  assert.deepEqual(tables.table.values(1), [null]);
});

test('releasing what nobody holds is a bug that shows', () => {
  const tables = new Tables(['string'], hashKey);
  const [id] = tables.intern([['a']]);
  assert.throws(() => tables.table.release(id as number), /more often/);
});

test('an unkeyed stream has one key, shown as no members', () => {
  const tables = new Tables([], hashKey);
  const ids = tables.intern([[], [], []]);
  assert.deepEqual([...ids], [0, 0, 0]);
  assert.equal(tables.table.json(0), '{}');
  assert.equal(tables.table.find([]), 0);
});

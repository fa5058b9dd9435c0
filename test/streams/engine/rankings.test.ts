/**
 * A ranking over shards is the ranking of all keys at once, whatever shards they are in and whatever their values are:
 * numbers, none, and those that JSON does not have.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compilePlan } from '../../../src/streams/define/compile.ts';
import type { ResultLine } from '../../../src/streams/engine/port.ts';
import { Rankings } from '../../../src/streams/engine/results/rankings.ts';
import type { ResultChunk } from '../../../src/streams/engine/task.ts';
import { bytesOfLines, linesOf } from '../../../src/streams/lines/lines-of.ts';
import type { Plan } from '../../../src/streams/plan.ts';
import { Ranking } from '../../../src/streams/windows/ranking.ts';

const SHARDS = 4;

interface Given {
  readonly key: number;
  readonly shard: number;
  readonly value: unknown;
}

interface Top {
  readonly limit: number;
  readonly ties: boolean;
}

const keyOf = (key: number): { k: string } => ({ k: `k${key}` });
const nameOf = (key: number): string => JSON.stringify(keyOf(key));

function planOf(top: Top, allowedLatenessMs: number): Plan {
  return compilePlan(
    [
      {
        name: 's',
        schema: { fields: { at: 'integer', k: 'string', v: 'number' }, timestamp: { field: 'at' }, key: ['k'] },
        windows: [
          {
            ...{ name: 'w', type: 'tumbling', sizeMs: 100, aggregates: { v: { fn: 'sum', of: 'v' } } },
            ...{ allowedLatenessMs, top: { by: 'v', ...top } },
          },
        ],
      },
    ],
    { epoch: 1, shards: SHARDS },
  );
}

/** What a shard gives of its keys, best first. */
function chunkOf(given: readonly Given[], shard: number, { limit, ties }: Top): ResultChunk[] {
  const ranking = new Ranking(limit, ties, nameOf);
  for (const [i, each] of given.entries()) if (each.shard === shard) ranking.add(each.value, i, each.key);
  const lines: string[] = [];
  ranking.take((i) => {
    const { key, value } = given[i] as Given;
    const bounds = { start: 0, end: 100, pane: 0, timing: 'on-time', final: true };
    lines.push(
      JSON.stringify({ id: `s/w/${key}/0`, stream: 's', name: 'w', key: keyOf(key), ...bounds, values: { v: value } }),
    );
  });
  if (lines.length === 0) return [];
  const where = { seq: 1, operator: 0, shard, output: '', start: 0, end: 100 } as const;
  return [{ ...where, count: lines.length, lines: bytesOfLines(lines) }];
}

test('any values in any shards: the ranking of all of them', () => {
  const values = fc.oneof(
    fc.integer({ min: -2, max: 2 }),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.constantFrom<unknown>(Infinity, -Infinity, Number.NaN, -Number.MAX_VALUE, -0, null, '7'),
  );
  const row = fc.record({ key: fc.nat(99), shard: fc.nat(SHARDS - 1), value: values });
  const rows = fc.uniqueArray(row, { selector: ({ key }) => key, maxLength: 20 });
  const tops = fc.record({ limit: fc.integer({ min: 1, max: 5 }), ties: fc.boolean() });
  fc.assert(
    fc.property(rows, tops, fc.constantFrom(0, 50), (given, top, latenessMs) => {
      const shards = Array.from({ length: SHARDS }, (_, shard) => shard);
      const chunks = new Rankings(planOf(top, latenessMs)).of(shards.flatMap((shard) => chunkOf(given, shard, top)));
      const found = chunks.flatMap(({ lines }) => linesOf(lines)).map((line) => JSON.parse(line) as ResultLine);
      const counted = given.map(({ key, value }) => ({
        name: nameOf(key),
        value: typeof value === 'number' && Math.abs(value) <= Number.MAX_VALUE ? value : -Infinity,
      }));
      const sorted = counted.toSorted((a, b) =>
        a.value === b.value ? (a.name < b.name ? -1 : 1) : a.value > b.value ? -1 : 1,
      );
      const last = sorted[top.limit - 1]?.value;
      const best = sorted.filter(({ value }, i) => i < top.limit || (top.ties && value === last));
      assert.deepEqual(
        found.map(({ key }) => JSON.stringify(key)),
        best.map(({ name }) => name),
      );
    }),
    { numRuns: 500 },
  );
});

test('what is not ranked keeps its order: of the log, the plan, its outputs, the shards', () => {
  const top = { limit: 2, ties: false };
  const rows = [0, 1].map((key) => ({ key, shard: key, value: key }));
  const other = (output: ResultChunk['output'], shard: number): ResultChunk => {
    const lines = bytesOfLines([JSON.stringify({ output, shard })]);
    return { seq: 1, operator: 1, shard, output, start: 0, end: 0, count: 1, lines };
  };
  const others = [other('', 0), other('', 1), other('timeout', 0), other('timeout', 1)];
  const [ranked, ...kept] = new Rankings(planOf(top, 0)).of([
    ...rows.flatMap((_, shard) => chunkOf(rows, shard, top)),
    ...others,
  ]);
  assert.equal(ranked?.count, 2);
  assert.deepEqual(kept, others);
});

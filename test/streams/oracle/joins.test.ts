/**
 * The oracle for joins stands on its own: cases worked out by hand, and agreement on random cases with a program that
 * goes through the batches one by one and holds events in lists.
 */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import fc from 'fast-check';
import type { JoinDefinition, StreamDefinition } from '../../../src/streams/define/definition.ts';
import { type AdmittedEvent, admit } from './admission.ts';
import { joinCaseArbitrary } from './arbitrary.ts';
import type { OracleBatch, OracleCase } from './case.ts';
import { oracleDatabase } from './database.ts';
import { expectedJoin } from './joins.ts';

after(async () => (await oracleDatabase()).close());

const RUNS = 150;
const on = { left: ['id'], right: ['id'] };
const select = { l: 'left.v', r: 'right.v' };
const INTERVAL: JoinDefinition = { name: 'j', with: 'b', type: 'interval', on, lowerMs: -5, upperMs: 5, select };
const WINDOW: JoinDefinition = { name: 'j', with: 'b', type: 'window', on, sizeMs: 16, select };
const LOOKUP: JoinDefinition = { name: 'j', with: 'b', type: 'lookup', on, select };

type Row = readonly [at: number, id: string, v: number];

async function pairs(
  join: JoinDefinition,
  ...batches: readonly [stream: string, ...rows: Row[]][]
): Promise<unknown[]> {
  const side = (name: string, joins: JoinDefinition[]): StreamDefinition => ({
    name,
    schema: { fields: { at: 'integer', id: 'string', v: 'number' }, timestamp: { field: 'at' } },
    time: { outOfOrderMs: 0, maxFutureMs: 0 },
    joins,
  });
  const steps = batches.map(
    ([stream, ...rows]): OracleBatch => ({
      stream,
      partition: 'p',
      source: '',
      arrivalMs: 0,
      events: rows.map(([at, id, v]) => ({ id: '', fields: { at, id, v } })),
    }),
  );
  const rows = await expectedJoin({ streams: [side('a', [join]), side('b', [])], steps });
  return rows.map(({ end, start, values }) => [start, end, values['l'], values['r']]).sort();
}

const END: readonly [string, ...Row[]][] = [
  ['a', [1000, 'end', 0]],
  ['b', [1000, 'other', 0]],
];

describe('joins by hand', () => {
  const left: [string, ...Row[]] = ['a', [10, 'x', 1], [20, 'y', 2]];
  const right: [string, ...Row[]] = ['b', [5, 'x', 3], [15, 'x', 4], [16, 'x', 5]];

  test('interval: both bounds are included', async () => {
    assert.deepEqual(await pairs(INTERVAL, left, right), [
      [10, 15, 1, 4],
      [5, 10, 1, 3],
    ]);
  });

  test('outer: a left event is told alone once nothing can come for it', async () => {
    const join: JoinDefinition = { ...INTERVAL, kind: 'left', where: 'right.v > 3' };
    assert.deepEqual(await pairs(join, left, right), [[10, 15, 1, 4]]);
    assert.deepEqual(await pairs(join, left, right, ...END), [
      [10, 15, 1, 4],
      [20, 20, 2, null],
    ]);
  });

  test('interval: the first of a pair must still be held when the second comes', async () => {
    // The watermark of the join is 15 and then 16: the left event at 10 is of use up to 15.
    const until = (ts: number): [string, ...Row[]][] => [
      ['a', [10, 'x', 1], [ts, 'z', 0]],
      ['b', [ts, 'z', 0]],
    ];
    assert.deepEqual(await pairs(INTERVAL, ...until(15), ['b', [12, 'x', 3]]), [
      [10, 12, 1, 3],
      [15, 15, 0, 0],
    ]);
    assert.deepEqual(await pairs(INTERVAL, ...until(16), ['b', [12, 'x', 3]]), [[16, 16, 0, 0]]);
  });

  test('window: pairs within one tumbling window, told when it closes', async () => {
    assert.deepEqual(await pairs(WINDOW, left, ['b', [5, 'x', 3], [15, 'x', 4]]), []);
    assert.deepEqual(await pairs(WINDOW, left, right, ...END), [
      [10, 15, 1, 4],
      [5, 10, 1, 3],
    ]);
  });

  test('lookup: the newest version not after the event, as far as it had come', async () => {
    assert.deepEqual(await pairs(LOOKUP, left, right, ...END), [[5, 10, 1, 3]]);
    const late: [string, ...Row[]] = ['b', [9, 'x', 7]];
    assert.deepEqual(await pairs(LOOKUP, left, late, right, ...END), [[9, 10, 1, 7]]);
    assert.deepEqual(await pairs(LOOKUP, left, right, late, ...END), [[5, 10, 1, 3]]);
    assert.deepEqual(await pairs({ ...LOOKUP, ttlMs: 4, kind: 'left' }, left, right, ...END), [
      [10, 10, 1, null],
      [20, 20, 2, null],
    ]);
  });
});

interface Held {
  readonly event: AdmittedEvent;
  matched: boolean;
}

/** Batch by batch, with what is held in lists. Gives [left n, right n] pairs without conditions. */
function simulate(given: OracleCase): string[] {
  const [left, right] = given.streams as [StreamDefinition, StreamDefinition];
  const join = left.joins?.[0] as JoinDefinition;
  const { lowerMs = 0, sizeMs = 1, ttlMs = 0, upperMs = 0 } = join;
  const [ofLeft, ofRight] = [admit(given, left), admit(given, right)];
  const told: string[] = [];
  const [lefts, rights]: [Held[], Held[]] = [[], []];
  const windowOf = (ts: number): number => Math.floor(ts / sizeMs);
  const lastUse = (ts: number, isLeft: boolean): number => {
    if (join.type === 'interval') return isLeft ? ts + upperMs : ts - lowerMs;
    if (join.type === 'window') return (windowOf(ts) + 1) * sizeMs - 1;
    return isLeft ? ts : Number.POSITIVE_INFINITY;
  };
  const keyOf = ({ fields }: AdmittedEvent): string => JSON.stringify(join.on.left.map((name) => fields[name]));
  const tell = (a: AdmittedEvent, b: AdmittedEvent | null): void => {
    const times = b === null ? [a.ts, a.ts] : [Math.min(a.ts, b.ts), Math.max(a.ts, b.ts)];
    told.push(JSON.stringify([...times, a.fields['n'], a.fields['v'], b?.fields['n'] ?? null, b?.fields['v'] ?? null]));
  };
  const meet = (a: Held, b: Held): void => {
    if (keyOf(a.event) !== keyOf(b.event)) return;
    a.matched = true;
    tell(a.event, b.event);
  };
  let watermark = Number.NEGATIVE_INFINITY;
  given.steps.forEach((step, index) => {
    const isLeft = step.stream === left.name;
    for (const event of (isLeft ? ofLeft : ofRight).events.filter((each) => each.step === index)) {
      const held = { event, matched: false };
      if (join.type === 'interval') {
        for (const other of isLeft ? rights : lefts) {
          const [a, b] = isLeft ? [held, other] : [other, held];
          const apart = b.event.ts - a.event.ts;
          if (apart >= lowerMs && apart <= upperMs) meet(a, b);
        }
      }
      if (lastUse(event.ts, isLeft) > watermark) (isLeft ? lefts : rights).push(held);
      else if (isLeft && event.ts > watermark && !held.matched && join.kind === 'left') tell(event, null);
    }
    watermark = Math.min(ofLeft.watermarks[index] as number, ofRight.watermarks[index] as number);
    const goes = (held: Held, ofSide: boolean): boolean => lastUse(held.event.ts, ofSide) <= watermark;
    for (const a of lefts.filter((held) => goes(held, true))) {
      if (join.type === 'window') {
        for (const b of rights) if (windowOf(a.event.ts) === windowOf(b.event.ts)) meet(a, b);
      }
      if (join.type === 'lookup') {
        const usable = rights.filter(({ event }) => event.ts <= a.event.ts && keyOf(event) === keyOf(a.event));
        const newest = usable.toSorted((x, y) => x.event.ts - y.event.ts).at(-1);
        if (newest !== undefined && (ttlMs === 0 || a.event.ts - newest.event.ts <= ttlMs)) meet(a, newest);
      }
      if (!a.matched && join.kind === 'left') tell(a.event, null);
    }
    lefts.splice(0, lefts.length, ...lefts.filter((held) => !goes(held, true)));
    rights.splice(0, rights.length, ...rights.filter((held) => !goes(held, false)));
  });
  return told.sort();
}

test('random joins agree with a program that goes batch by batch', async () => {
  let told = 0;
  await fc.assert(
    fc.asyncProperty(joinCaseArbitrary(), async (random) => {
      const [left, right] = random.streams as [StreamDefinition, StreamDefinition];
      const [declared] = left.joins as [JoinDefinition];
      const { where: _, ...join } = declared;
      const given = { ...random, streams: [{ ...left, joins: [join] }, right] };
      const rows = await expectedJoin(given);
      const simulated = simulate(given);
      told += simulated.length;
      const brief = rows.map(({ end, start, values: { m, n, v, w } }) => JSON.stringify([start, end, n, v, m, w]));
      assert.deepEqual(brief.sort(), simulated);
    }),
    { numRuns: RUNS, seed: 6 },
  );
  assert.ok(told > RUNS);
});

/**
 * On random cases the oracle agrees with programs that share nothing with its SQL: windows one by one, and sessions cut
 * at gaps.
 */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import fc from 'fast-check';
import type { StreamDefinition, WindowDefinition } from '../../../src/streams/define/definition.ts';
import { admit } from './admission.ts';
import { caseArbitrary, randomCase } from './arbitrary.ts';
import type { OracleCase, Scalar } from './case.ts';
import { oracleDatabase } from './database.ts';
import { expectedWindows } from './windows.ts';

after(async () => (await oracleDatabase()).close());

const RUNS = 60;

/** Count, sum and bounds per key and window, one event and one window after the other. */
function naive(given: OracleCase, passes: (fields: Readonly<Record<string, Scalar>>) => boolean): unknown[] {
  const stream = given.streams[0] as StreamDefinition;
  const window = stream.windows?.[0] as WindowDefinition;
  const { sizeMs = 0, slideMs = sizeMs, offsetMs = 0, allowedLatenessMs = 0 } = window;
  const admitted = admit(given, stream);
  const found = new Map<string, number>();
  for (const { fields, ts, watermark } of admitted.events) {
    if (!passes(fields)) continue;
    const key = (window.key ?? ['key']).map((name) => fields[name]);
    for (let start = ts - ((((ts - offsetMs) % slideMs) + slideMs) % slideMs); start + sizeMs > ts; start -= slideMs) {
      const end = start + sizeMs;
      if (watermark >= end - 1 + allowedLatenessMs || end - 1 > admitted.watermark) continue;
      const name = JSON.stringify([key, start, end]);
      found.set(name, (found.get(name) ?? 0) + 1);
    }
  }
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1));
}

test('random tumbling and hopping windows agree with a naive program', async () => {
  const shape = { eventsMax: 60, types: ['tumbling', 'hopping'] as const, fractions: false };
  await fc.assert(
    fc.asyncProperty(caseArbitrary(shape), async (random) => {
      const stream = random.streams[0] as StreamDefinition;
      const [drawn] = stream.windows as [WindowDefinition];
      const { top: _top, ...all } = drawn;
      const window = { ...all, where: 'n >= 3 && n < 40 || city == "Oslo"' };
      const given = { ...random, streams: [{ ...stream, windows: [window] }] };
      const rows = await expectedWindows(given);
      const brought = rows
        .map((row) => [JSON.stringify([Object.values(row.key), row.start, row.end]), row.events])
        .sort(([a = ''], [b = '']) => (a < b ? -1 : 1));
      const passes = ({ city, n }: Readonly<Record<string, Scalar>>): boolean =>
        (Number(n) >= 3 && Number(n) < 40) || city === 'Oslo';
      assert.deepEqual(brought, naive(given, passes));
    }),
    { numRuns: RUNS, seed: 4 },
  );
});

type Cut = [key: string, start: number, end: number, events: number];

function cutAtGaps(times: ReadonlyMap<string, readonly number[]>, gapMs: number): Cut[] {
  const cuts: Cut[] = [];
  for (const [key, unsorted] of times) {
    let end = Number.NEGATIVE_INFINITY;
    for (const ts of unsorted.toSorted((a, b) => a - b)) {
      if (ts >= end) cuts.push([key, ts, ts, 0]);
      end = ts + gapMs;
      const open = cuts.at(-1) as Cut;
      open[2] = end;
      open[3]++;
    }
  }
  return cuts;
}

const sorted = (rows: readonly unknown[]): string[] => rows.map((row) => JSON.stringify(row)).sort();

test('sessions without late events are what cutting at gaps gives', async () => {
  const shape = { eventsMax: 60, types: ['session'] as const, fractions: false };
  let sessions = 0;
  await fc.assert(
    fc.asyncProperty(caseArbitrary(shape), async (random) => {
      const declared = random.streams[0] as StreamDefinition;
      const { where: _, ...window } = { ...(declared.windows?.[0] as WindowDefinition), key: ['key'] };
      const stream = { ...declared, time: { ...declared.time, outOfOrderMs: 10_000 }, windows: [window] };
      const given = { ...random, streams: [stream] };
      const { events, watermark } = admit(given, stream);
      const byKey = new Map<string, number[]>();
      for (const { fields, ts } of events) {
        const key = String(fields['key']);
        byKey.set(key, [...(byKey.get(key) ?? []), ts]);
      }
      const closed = cutAtGaps(byKey, window.gapMs ?? 0).filter(([, , end]) => end - 1 <= watermark);
      sessions += closed.length;
      const rows = await expectedWindows(given);
      assert.deepEqual(sorted(rows.map((row) => [row.key['key'], row.start, row.end, row.events])), sorted(closed));
    }),
    { numRuns: RUNS, seed: 5 },
  );
  assert.ok(sessions > RUNS);
});

test('a seed gives one case, and seeds differ', () => {
  assert.deepEqual(randomCase(7), randomCase(7));
  assert.notDeepEqual(randomCase(7), randomCase(8));
});

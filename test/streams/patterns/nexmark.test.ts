/** The patterns of Nexmark's CEP queries, against scans that look for one row after the other. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { PatternPlan, PatternStepPlan } from '../../../src/streams/plan.ts';
import { fieldsOf } from '../expressions/rows.ts';
import { planned } from './letters.ts';
import { type KeyedEvent, patternPlan, ShardRun } from './shard-run.ts';

interface Bid {
  readonly price: number;
  readonly ts: number;
}

const fields = fieldsOf({ name: 'string', price: 'integer' });
const strict = { contiguity: 'next', inner: 'next' } as const;
const step = (name: string, where: string, more: Partial<PatternStepPlan> = {}): PatternStepPlan => ({
  ...planned({ name, where: '.', ...strict }),
  where,
  ...more,
});
const repeated = { min: 1, max: Infinity, greedy: true } as const;

/** Bids of a few keys, their prices near each other. */
const bids = (prices: number[]) =>
  fc
    .array(fc.tuple(fc.constantFrom(...prices), fc.nat(2), fc.integer({ min: 0, max: 2000 })), {
      maxLength: 40,
      size: 'max',
    })
    .map((all) => {
      let ts = 0;
      return all.map(([price, key, after], i): KeyedEvent => {
        ts += after;
        return { key, name: `${i}`, price, ts };
      });
    });

function matchesOf(parts: Pick<PatternPlan, 'steps' | 'skip'> & Partial<PatternPlan>, events: KeyedEvent[]): string[] {
  const select = [{ name: 'n', expression: 'name' }];
  const shard = new ShardRun(patternPlan({ ...parts, select, timeouts: false }), fields);
  for (let i = 0; i < events.length; i += 7) {
    const part = events.slice(i, i + 7);
    shard.events(part);
    shard.advance((part.at(-1)?.ts ?? 0) - 1);
  }
  shard.advance(Infinity);
  return shard.given.map(({ key, start, end, values }) => `${key}: ${start}-${end} ${values[0]}`).sort();
}

/** The match may still come: rows after its first one have to wait for it. */
const OPEN = -2;

/** For each row a match can begin with, the row it ends with (or none), going on where `next` says. */
function scanned(
  events: readonly KeyedEvent[],
  endOf: (rows: readonly Bid[], from: number) => number,
  next: (from: number, end: number) => number,
): string[] {
  const found: string[] = [];
  for (const key of [0, 1, 2]) {
    const rows = events.filter((event) => event.key === key);
    for (let from = 0; from < rows.length; ) {
      const end = endOf(rows as unknown as Bid[], from);
      if (end === OPEN) break;
      if (end >= 0) found.push(`${key}: ${rows[from]?.ts}-${rows[end]?.ts} ${rows[end]?.name}`);
      from = end >= 0 ? next(from, end) : from + 1;
    }
  }
  return found.sort();
}

const priceAt = (rows: readonly Bid[], i: number): number => rows[i]?.price ?? Number.NaN;

describe('Nexmark', () => {
  it('CEP q0: prices that fall and rise again, each from the last rise on', () => {
    const steps = [step('start', ''), step('down', 'price < prev.price', repeated), step('up', 'price > prev.price')];
    fc.assert(
      fc.property(bids([1, 2, 3, 4]), (events) => {
        const endOf = (rows: readonly Bid[], from: number): number => {
          let i = from + 1;
          while (priceAt(rows, i) < priceAt(rows, i - 1)) i++;
          return i > from + 1 && priceAt(rows, i) > priceAt(rows, i - 1) ? i : -1;
        };
        assert.deepEqual(
          matchesOf({ steps, skip: { mode: 'toLast', step: 'up' } }, events),
          scanned(events, endOf, (_, end) => end),
        );
      }),
      { numRuns: 400 },
    );
  });

  const cheap = (rows: readonly Bid[], from: number): number => {
    let sum = 0;
    for (let i = from; i < rows.length; i++) {
      sum += priceAt(rows, i);
      if (sum / (i - from + 1) >= 10_000) return i > from ? i : -1;
    }
    return OPEN;
  };
  const average = [step('a', '(sum(a.price) + price) / (count(a) + 1) < 10000', repeated), step('b', '')];

  it('CEP q1: bids as long as they are cheap on average, and the one after, past the last row', () => {
    fc.assert(
      fc.property(bids([5000, 9000, 12_000, 15_000]), (events) => {
        assert.deepEqual(
          matchesOf({ steps: average, skip: { mode: 'skipPastLast', step: '' } }, events),
          scanned(events, cheap, (_, end) => end + 1),
        );
      }),
      { numRuns: 400 },
    );
  });

  it('CEP q2: the same from each row', () => {
    fc.assert(
      fc.property(bids([5000, 9000, 12_000, 15_000]), (events) => {
        assert.deepEqual(
          matchesOf({ steps: average, skip: { mode: 'skipToNext', step: '' } }, events),
          scanned(events, cheap, (from) => from + 1),
        );
      }),
      { numRuns: 400 },
    );
  });

  it('CEP q3: a bid 50 below an earlier one within five seconds', () => {
    const between = { min: 1, max: Infinity, optional: true } as const;
    const steps = [
      step('a', ''),
      step('b', 'price > last(a).price - 50', between),
      step('c', 'price < last(a).price - 50'),
    ];
    fc.assert(
      fc.property(bids([100, 130, 149, 150, 200, 240]), (events) => {
        const endOf = (rows: readonly Bid[], from: number): number => {
          for (let i = from + 1; i < rows.length; i++) {
            const drop = priceAt(rows, from) - priceAt(rows, i);
            if ((rows[i] as Bid).ts - (rows[from] as Bid).ts >= 5000 || drop === 50) return -1;
            if (drop > 50) return i;
          }
          return -1;
        };
        assert.deepEqual(
          matchesOf({ steps, withinMs: 5000, skip: { mode: 'skipPastLast', step: '' } }, events),
          scanned(events, endOf, (_, end) => end + 1),
        );
      }),
      { numRuns: 400 },
    );
  });
});

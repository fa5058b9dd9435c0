/**
 * The pattern queries of Nexmark (MATCH_RECOGNIZE per auction and bidder in order of time), and their answers found by
 * plain loops, as DuckDB has no MATCH_RECOGNIZE.
 *
 * Role: strict contiguity throughout, as between rows of a table. Where SQL's greedy `A+ B` relies on B meaning "the
 * first that is not an A", the pattern says so.
 */
import type { PatternDefinition } from '../../../src/streams/define/definition.ts';
import { bid, type NexmarkQuery, type Table } from './streams.ts';

export interface PatternBid {
  readonly auction: number;
  readonly bidder: number;
  readonly price: number;
  readonly dateTime: number;
}

/** The answer from all bids of one auction and bidder in order: for each match, the columns after the key. */
type Finder = (bids: readonly PatternBid[]) => number[][];

export interface PatternQuery extends NexmarkQuery {
  readonly find: Finder;
}

const AVERAGE_MAX = 10_000;
const WITHIN_MS = 5000;
const FALL = 50;

function pattern(
  name: string,
  definition: Omit<PatternDefinition, 'name' | 'key'>,
  find: Finder,
  note: string,
): PatternQuery {
  const select = Object.keys(definition.select ?? {});
  return {
    name,
    streams: [bid({ patterns: [{ name, key: ['auction', 'bidder'], ...definition }] })],
    answer: { stream: 'bid', operator: name },
    columns: ['auction', 'bidder', 'start', 'end', ...select],
    sql: null,
    find,
    note,
  };
}

/** Falls for some bids, then rises: the match ends at the first rise, and the next one may begin there. */
function findValleys(bids: readonly PatternBid[]): number[][] {
  const found: number[][] = [];
  for (let start = 0; start < bids.length; ) {
    let at = start + 1;
    while (at < bids.length && price(bids, at) < price(bids, at - 1)) at++;
    const isValley = at > start + 1 && at < bids.length && price(bids, at) > price(bids, at - 1);
    if (!isValley) {
      start++;
      continue;
    }
    found.push([time(bids, start), time(bids, at), price(bids, start), price(bids, at - 1), price(bids, at)]);
    start = at;
  }
  return found;
}

/**
 * As many bids as keep the average below the bound, and the one after them. A start that may still become a match holds
 * back those that began after it, and no time limit ends it.
 */
function findAverages(bids: readonly PatternBid[], pastLast: boolean): number[][] {
  const found: number[][] = [];
  for (let start = 0; start < bids.length; ) {
    let sum = 0;
    let at = start;
    while (at < bids.length && (sum + price(bids, at)) / (at - start + 1) < AVERAGE_MAX) sum += price(bids, at++);
    if (at === bids.length) return found;
    const isMatch = at > start;
    if (isMatch) found.push([time(bids, start), time(bids, at), at - start, sum / (at - start)]);
    start = isMatch && pastLast ? at + 1 : start + 1;
  }
  return found;
}

/** A bid, others not much lower, and one that is, all within a time. */
function findFalls(bids: readonly PatternBid[]): number[][] {
  const found: number[][] = [];
  for (let start = 0; start < bids.length; ) {
    let at = start + 1;
    const bound = price(bids, start) - FALL;
    while (at < bids.length && price(bids, at) > bound) at++;
    const inTime = at < bids.length && time(bids, at) - time(bids, start) < WITHIN_MS;
    const isMatch = inTime && price(bids, at) < bound;
    if (isMatch) found.push([time(bids, start), time(bids, at), price(bids, start), price(bids, at)]);
    start = isMatch ? at + 1 : start + 1;
  }
  return found;
}

const price = (bids: readonly PatternBid[], at: number): number => bids[at]?.price as number;
const time = (bids: readonly PatternBid[], at: number): number => bids[at]?.dateTime as number;

/** Of the pattern's own step `a`, were the event taken into it. */
const AVERAGE_WITH = '(sum(a.price) + price) / (count(a) + 1)';
const AVERAGES: Pick<PatternDefinition, 'steps' | 'select'> = {
  steps: [
    {
      name: 'a',
      where: `${AVERAGE_WITH} < ${AVERAGE_MAX}`,
      times: { min: 1, max: null },
      inner: 'next',
      greedy: true,
    },
    { name: 'b', where: `${AVERAGE_WITH} >= ${AVERAGE_MAX}`, contiguity: 'next' },
  ],
  select: { bids: 'count(a)', average: 'avg(a.price)' },
};

export const cep0 = pattern(
  'cep0',
  {
    steps: [
      { name: 'begin' },
      {
        name: 'down',
        where: 'price < prev.price',
        contiguity: 'next',
        times: { min: 1, max: null },
        inner: 'next',
        greedy: true,
      },
      { name: 'up', where: 'price > prev.price', contiguity: 'next' },
    ],
    skip: { toLast: 'up' },
    select: { from: 'first(begin).price', bottom: 'last(down).price', to: 'last(up).price' },
  },
  findValleys,
  'UP: higher than the lowest bid',
);

export const cep1 = pattern(
  'cep1',
  { ...AVERAGES, skip: 'skipPastLast' },
  (bids) => findAverages(bids, true),
  'B: the bid that would lift the average to the bound; what is not over holds back later matches of its key',
);

export const cep2 = pattern(
  'cep2',
  { ...AVERAGES, skip: 'skipToNext' },
  (bids) => findAverages(bids, false),
  'as cep1, from every bid',
);

export const cep3 = pattern(
  'cep3',
  {
    steps: [
      { name: 'a' },
      {
        name: 'b',
        where: `price > first(a).price - ${FALL}`,
        contiguity: 'next',
        times: { min: 1, max: null },
        inner: 'next',
        optional: true,
        greedy: true,
      },
      { name: 'c', where: `price < first(a).price - ${FALL}`, contiguity: 'next' },
    ],
    withinMs: WITHIN_MS,
    skip: 'skipPastLast',
    select: { from: 'first(a).price', to: 'last(c).price' },
  },
  findFalls,
  'B: not lower than A by 50; a bid lower by exactly 50 ends the match',
);

export const PATTERN_QUERIES: readonly PatternQuery[] = [cep0, cep1, cep2, cep3];

/** Of each auction and bidder, in order of time. */
export type BidsByKey = readonly (readonly PatternBid[])[];

/** `bids` in order of arrival; equal times stay in that order. */
export function groupBids(bids: readonly PatternBid[]): BidsByKey {
  const byAuction = new Map<number, Map<number, PatternBid[]>>();
  for (const each of bids) {
    const byBidder = byAuction.get(each.auction) ?? new Map<number, PatternBid[]>();
    if (byBidder.size === 0) byAuction.set(each.auction, byBidder);
    const of = byBidder.get(each.bidder);
    if (of === undefined) byBidder.set(each.bidder, [each]);
    else of.push(each);
  }
  const groups = [...byAuction.values()].flatMap((byBidder) => [...byBidder.values()]);
  return groups.map((of) => of.sort((a, b) => a.dateTime - b.dateTime));
}

export function matchesOf(query: PatternQuery, groups: BidsByKey): Table {
  return groups.flatMap((of) => {
    const [{ auction, bidder }] = of as [PatternBid];
    return query.find(of).map((match) => [auction, bidder, ...match]);
  });
}

/**
 * The expected answers themselves: on a few thousand events the SQL agrees with plain programs over the same objects, and
 * no query is empty.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { NexmarkGenerator } from '../../../src/streams/sources/nexmark.ts';
import { eventBatches, type FeedOptions, feed } from './feed.ts';
import { differences } from './judge.ts';
import { NEXMARK_QUERIES, queryNamed } from './queries.ts';
import { groupBids, matchesOf, PATTERN_QUERIES } from './queries-patterns.ts';
import type { Cell, Table } from './streams.ts';
import { NexmarkTables } from './tables.ts';

/** Slow enough for several windows and sessions: 500 events a second. */
const OPTIONS: FeedOptions = { generator: { seed: 8, ratePerS: 500 }, events: 20_000, eventsPerBatch: 3000 };
const generator = new NexmarkGenerator(OPTIONS.generator);
const all = Array.from({ length: OPTIONS.events }, (_, n) => generator.event(n));
const bids = all.flatMap((event) => (event.kind === 'bid' ? [event.row] : []));
const auctions = all.flatMap((event) => (event.kind === 'auction' ? [event.row] : []));
const people = all.flatMap((event) => (event.kind === 'person' ? [event.row] : []));

let tables: NexmarkTables;
before(async () => {
  tables = await NexmarkTables.load(eventBatches(OPTIONS));
});
after(() => tables.close());

async function agrees(name: string, rows: Table): Promise<void> {
  const query = queryNamed(name);
  assert.ok(rows.length > 0);
  assert.equal(differences(query, await tables.expected(query), rows), '');
}

const groupBy = <T>(rows: readonly T[], keyOf: (row: T) => string): Map<string, T[]> => {
  const groups = new Map<string, T[]>();
  for (const row of rows) {
    const group = groups.get(keyOf(row));
    if (group === undefined) groups.set(keyOf(row), [row]);
    else group.push(row);
  }
  return groups;
};
const byBidder = groupBy(bids, ({ bidder }) => String(bidder));
const byAuction = groupBy(bids, ({ auction }) => String(auction));
const validBids = (auction: (typeof auctions)[number]): typeof bids =>
  (byAuction.get(String(auction.id)) ?? []).filter(
    ({ dateTime }) => dateTime >= auction.dateTime && dateTime <= auction.expires,
  );

describe('expected answers', () => {
  test('of every query there are some', async () => {
    for (const query of NEXMARK_QUERIES) {
      const rows = await tables.expected(query);
      assert.ok(rows.length > 0, query.name);
      assert.ok(
        rows.every((row) => row.length === query.columns.length && row.every((cell) => cell !== null)),
        query.name,
      );
    }
  });

  test('Q2: every 123rd auction', () =>
    agrees(
      'q2',
      bids.filter(({ auction }) => auction % 123 === 0).map(({ auction, price }) => [auction, price]),
    ));

  test('Q3: sellers of category 10 in three states', () => {
    const byId = new Map(people.map((row) => [row.id, row]));
    const rows = auctions.flatMap(({ category, id, seller }) => {
      const row = byId.get(seller);
      if (category !== 10 || row === undefined || !['OR', 'ID', 'CA'].includes(row.state)) return [];
      return [[row.name, row.city, row.state, id]];
    });
    return agrees('q3', rows);
  });

  test('Q4: average final price per category', () => {
    const finals = auctions.flatMap((auction) => {
      const valid = validBids(auction);
      return valid.length === 0
        ? []
        : [{ category: auction.category, final: Math.max(...valid.map(({ price }) => price)) }];
    });
    const rows = [...groupBy(finals, ({ category }) => String(category)).values()].map((group): Cell[] => [
      group[0]?.category as number,
      group.reduce((sum, { final }) => sum + final, 0) / group.length,
    ]);
    return agrees('q4', rows);
  });

  test('Q5: the busiest auctions of each hop', () => {
    const rows: Cell[][] = [];
    const [first, last] = [bids[0]?.dateTime as number, bids.at(-1)?.dateTime as number];
    for (let start = first - 10_000 - (first % 2000); start <= last; start += 2000) {
      const inside = bids.filter(({ dateTime }) => dateTime >= start && dateTime < start + 10_000);
      const groups = [...groupBy(inside, ({ auction }) => String(auction)).values()];
      const most = Math.max(0, ...groups.map(({ length }) => length));
      for (const group of groups) if (group.length === most) rows.push([start, group[0]?.auction as number, most]);
    }
    return agrees('q5', rows);
  });

  test('Q6: the average of the last ten winning bids of a seller', () => {
    const finals = auctions
      .flatMap((auction) => {
        const [best] = validBids(auction).toSorted((a, b) => b.price - a.price || a.dateTime - b.dateTime);
        return best === undefined ? [] : [{ ...best, id: auction.id, seller: auction.seller }];
      })
      .sort((a, b) => a.dateTime - b.dateTime || a.id - b.id);
    const bySeller = groupBy(finals, ({ seller }) => String(seller));
    assert.ok([...bySeller.values()].some(({ length }) => length > 10));
    const rows = [...bySeller.values()].map((group): Cell[] => {
      const last = group.slice(-10);
      return [group[0]?.seller as number, last.reduce((sum, { price }) => sum + price, 0) / last.length];
    });
    return agrees('q6', rows);
  });

  test('Q7: the highest bids, bids at the end of the window among them', () => {
    const rows: Cell[][] = [];
    for (const group of groupBy(bids, ({ dateTime }) => String(Math.floor(dateTime / 10_000))).values()) {
      const highest = Math.max(...group.map(({ price }) => price));
      const end = (Math.floor((group[0]?.dateTime as number) / 10_000) + 1) * 10_000;
      for (const { auction, bidder, dateTime, extra, price } of bids) {
        if (price === highest && dateTime >= end - 10_000 && dateTime <= end)
          rows.push([auction, price, bidder, dateTime, extra]);
      }
    }
    return agrees('q7', rows);
  });

  test('Q8: people who sold in the window they registered in', () => {
    const windowOf = (time: number): number => time - (time % 10_000);
    const sold = new Set(auctions.map(({ dateTime, seller }) => `${seller}/${windowOf(dateTime)}`));
    const rows = people
      .filter(({ dateTime, id }) => sold.has(`${id}/${windowOf(dateTime)}`))
      .map(({ dateTime, id, name }) => [id, name, windowOf(dateTime)]);
    return agrees('q8', rows);
  });

  test('Q9: the highest, earliest bid of each auction', () => {
    const rows = auctions.flatMap((auction) => {
      const [best] = validBids(auction).toSorted((a, b) => b.price - a.price || a.dateTime - b.dateTime);
      return best === undefined ? [] : [[auction.id, best.price, best.dateTime]];
    });
    return agrees('q9', rows);
  });

  test('Q10: every bid with its date and minute', () =>
    agrees(
      'q10',
      bids.map(({ auction, bidder, dateTime, extra, price }) => {
        const time = new Date(dateTime);
        const minute = time.getUTCHours() * 60 + time.getUTCMinutes();
        return [auction, bidder, price, dateTime, extra, time.toISOString().slice(0, 10), minute];
      }),
    ));

  test('Q11: sessions of bidders', () => {
    const rows: Cell[][] = [];
    for (const group of byBidder.values()) {
      let count = 0;
      group.forEach(({ bidder, dateTime }, i) => {
        count++;
        const next = group[i + 1]?.dateTime ?? Number.POSITIVE_INFINITY;
        if (next - dateTime < 10_000) return;
        rows.push([bidder, count, group[i + 1 - count]?.dateTime as number, dateTime + 10_000]);
        count = 0;
      });
    }
    assert.ok(rows.length > byBidder.size);
    return agrees('q11', rows);
  });

  test('Q18: the last bid of a bidder for an auction', () => {
    const groups = groupBy(bids, ({ auction, bidder }) => `${bidder}/${auction}`);
    const rows = [...groups.values()].map((group): Cell[] => {
      const { auction, bidder, channel, dateTime, price } = group.at(-1) as (typeof bids)[number];
      return [bidder, auction, price, channel, dateTime];
    });
    return agrees('q18', rows);
  });

  test('Q19: the ten highest prices of an auction', () => {
    const rows = [...byAuction].flatMap(([auction, group]) =>
      group
        .map(({ price }) => price)
        .sort((a, b) => b - a)
        .slice(0, 10)
        .map((price, i): Cell[] => [Number(auction), i + 1, price]),
    );
    return agrees('q19', rows);
  });

  test('Q23: bids of people who sell, for each auction they sell', () => {
    const names = new Map(people.map(({ id, name }) => [id, name]));
    const sold = groupBy(auctions, ({ seller }) => String(seller));
    const rows = bids.flatMap(({ auction, bidder, dateTime, price }) => {
      const name = names.get(bidder);
      if (name === undefined) return [];
      const of = sold.get(String(bidder)) ?? [];
      return of.map(({ id, initialBid }): Cell[] => [auction, bidder, price, dateTime, name, id, initialBid]);
    });
    return agrees('q23', rows);
  });
});

describe('patterns by hand', () => {
  const match = (name: string, prices: readonly number[], stepMs = 1000): unknown[] => {
    const query = PATTERN_QUERIES.find((each) => each.name === name);
    assert.ok(query !== undefined);
    const rows = prices.map((price, i) => ({ auction: 1, bidder: 2, price, dateTime: i * stepMs }));
    return matchesOf(query, groupBids(rows)).map((row) => row.slice(2));
  };

  test('a valley ends at the first rise, and the next one may begin there', () => {
    assert.deepEqual(match('cep0', [5, 3, 1, 4, 2, 6, 7]), [
      [0, 3000, 5, 1, 4],
      [3000, 5000, 4, 2, 6],
    ]);
    assert.deepEqual(match('cep0', [5, 3, 3, 4, 5]), []);
  });

  test('averages: as long as they stay below the bound', () => {
    assert.deepEqual(match('cep1', [5000, 9000, 30_000, 1000, 40_000]), [
      [0, 2000, 2, 7000],
      [3000, 4000, 1, 1000],
    ]);
    assert.deepEqual(match('cep2', [5000, 9000, 30_000]), [
      [0, 2000, 2, 7000],
      [1000, 2000, 1, 9000],
    ]);
  });

  test('a start that is not over holds back those after it', () => {
    assert.deepEqual(match('cep1', [2863, 2520, 18_386]), []);
    assert.deepEqual(match('cep2', [2863, 2520, 18_386, 40_000]), [
      [0, 3000, 3, 7923],
      [1000, 2000, 1, 2520],
    ]);
  });

  test('a fall by more than 50 in less than five seconds', () => {
    assert.deepEqual(match('cep3', [100, 120, 51, 49, 0]), [[0, 3000, 100, 49]]);
    assert.deepEqual(match('cep3', [100, 120, 50, 49]), [[1000, 2000, 120, 50]]);
    // From 100 and from 90 it takes five seconds.
    assert.deepEqual(match('cep3', [100, 90, 80, 70, 60, 49, 9]), [[2000, 6000, 80, 9]]);
  });
});

test('the feed holds every event once, in order, and ends with one far ahead per stream', () => {
  const query = queryNamed('q13');
  const batches = [...feed(query, OPTIONS)];
  assert.equal(batches[0]?.stream, 'side');
  const lines = (stream: string): string[] =>
    batches
      .filter((batch) => batch.stream === stream)
      .flatMap(({ body }) => new TextDecoder().decode(body).trimEnd().split('\n'));
  const fed = lines('bid').map((each) => JSON.parse(each) as (typeof bids)[number]);
  assert.deepEqual(fed.slice(0, -1), bids);
  assert.ok((fed.at(-1)?.dateTime as number) - (bids.at(-1)?.dateTime as number) > 86_400_000);
  assert.deepEqual(lines('person'), []);
});

/**
 * Nexmark queries about auctions that are over: Q4, Q6, Q9.
 *
 * Role: each as streams and as SQL. An auction is over when a session of its bids is: none of them is further from
 * another than an auction may last, which holds at the generator's default rate of 10,000 events per second.
 */
import { fileURLToPath } from 'node:url';
import type { WindowDefinition } from '../../../src/streams/define/definition.ts';
import type { ResultLine } from '../oracle/compare.ts';
import { AUCTIONS_MAX } from './last-auctions.ts';
import { auction, bid, derived, into, type NexmarkQuery, type Table } from './streams.ts';

/** At the generator's default rate: at most 1 + 2 × 167 ms. */
const AUCTION_MS_MAX = 400;
/** The reducer's module, beside this one, as source or built. */
const LAST_AUCTIONS_MODULE = fileURLToPath(import.meta.url).replace('queries-auctions', 'last-auctions');

/** Bids that came while their auction was open. */
function bidsOfAuctions(target: string): ReturnType<typeof auction> {
  return auction({
    joins: [
      {
        name: 'valid',
        with: 'bid',
        type: 'interval',
        on: { left: ['id'], right: ['auction'] },
        lowerMs: 0,
        upperMs: AUCTION_MS_MAX,
        where: 'right.dateTime <= left.expires',
        select: {
          auction: 'left.id',
          category: 'left.category',
          seller: 'left.seller',
          opened: 'left.dateTime',
          price: 'right.price',
          // Price first, then the earlier bid, in one number.
          rank: `right.price * 1024 + (1023 - (right.dateTime - left.dateTime))`,
          at: 'right.dateTime',
        },
      },
    ],
    sinks: into(target, 'valid'),
  });
}

const VALID_FIELDS = {
  auction: 'integer',
  category: 'integer',
  seller: 'integer',
  opened: 'integer',
  price: 'integer',
  rank: 'integer',
  at: 'integer',
} as const;

/** All of an auction's bids are within its length. */
const wholeAuction = (name: string, key: string[], aggregates: WindowDefinition['aggregates']): WindowDefinition => ({
  name,
  type: 'session',
  gapMs: AUCTION_MS_MAX + 1,
  key,
  aggregates,
});

/** Of results that are revised, the last ones. */
function newestOf(lines: readonly ResultLine[], member: string): Map<number, number> {
  return new Map(lines.map(({ key, values }) => [key[member] as number, values['average'] as number]));
}

export const q4: NexmarkQuery = {
  name: 'q4',
  streams: [
    bidsOfAuctions('q4_bids'),
    bid(),
    derived('q4_bids', VALID_FIELDS, 'at', {
      windows: [wholeAuction('final', ['auction', 'category'], { final: { fn: 'max', of: 'price' } })],
      sinks: into('q4_finals', 'final'),
    }),
    derived('q4_finals', { category: 'integer', final: 'integer', end: 'integer' }, 'end', {
      windows: [
        {
          name: 'q4',
          type: 'global',
          key: ['category'],
          aggregates: { average: { fn: 'mean', of: 'final' } },
          trigger: { everyCount: 1 },
        },
      ],
    }),
  ],
  answer: { stream: 'q4_finals', operator: 'q4' },
  columns: ['category', 'average'],
  sql: `SELECT category, avg(final) AS average FROM (
          SELECT A.id, A.category, max(B.price) AS final FROM auction A JOIN bid B ON A.id = B.auction
          WHERE B.dateTime BETWEEN A.dateTime AND A.expires GROUP BY ALL) GROUP BY category`,
  rows: (lines): Table => [...newestOf(lines, 'category')],
  note: 'each auction counts once, when it is over, instead of with every bid; the last result per category is judged',
};

export const q6: NexmarkQuery = {
  name: 'q6',
  streams: [
    bidsOfAuctions('q6_bids'),
    bid(),
    derived('q6_bids', VALID_FIELDS, 'at', {
      windows: [wholeAuction('final', ['auction', 'seller', 'opened'], { rank: { fn: 'max', of: 'rank' } })],
      sinks: into('q6_finals', 'final'),
    }),
    derived(
      'q6_finals',
      { auction: 'integer', seller: 'integer', opened: 'integer', rank: 'integer', end: 'integer' },
      'end',
      {
        windows: [
          {
            name: 'q6',
            type: 'global',
            key: ['seller'],
            aggregates: { average: { fn: 'custom', module: LAST_AUCTIONS_MODULE, export: 'lastAuctions' } },
            trigger: { everyCount: 1 },
          },
        ],
      },
    ),
  ],
  answer: { stream: 'q6_finals', operator: 'q6' },
  columns: ['seller', 'average'],
  sql: `SELECT seller, avg(price) AS average FROM (SELECT * FROM (
          SELECT A.id, A.seller, B.price, B.dateTime FROM auction A JOIN bid B ON A.id = B.auction
          WHERE B.dateTime BETWEEN A.dateTime AND A.expires
          QUALIFY row_number() OVER (PARTITION BY A.id ORDER BY B.price DESC, B.dateTime) = 1)
        QUALIFY row_number() OVER (PARTITION BY seller ORDER BY dateTime DESC, id DESC) <= ${AUCTIONS_MAX})
        GROUP BY seller`,
  rows: (lines): Table => [...newestOf(lines, 'seller')],
  note: 'by a reducer of the user; the last result per seller is judged; ten auctions, where the SQL text has eleven',
};

export const q9: NexmarkQuery = {
  name: 'q9',
  streams: [
    bidsOfAuctions('q9_bids'),
    bid(),
    derived('q9_bids', VALID_FIELDS, 'at', {
      windows: [wholeAuction('q9', ['auction', 'opened'], { rank: { fn: 'max', of: 'rank' } })],
    }),
  ],
  answer: { stream: 'q9_bids', operator: 'q9' },
  columns: ['auction', 'price', 'dateTime'],
  sql: `SELECT A.id AS auction, B.price, B.dateTime FROM auction A JOIN bid B ON A.id = B.auction
        WHERE B.dateTime BETWEEN A.dateTime AND A.expires
        QUALIFY row_number() OVER (PARTITION BY A.id ORDER BY B.price DESC, B.dateTime) = 1`,
  rows: (lines): Table =>
    lines.map(({ key, values }) => {
      const rank = values['rank'] as number;
      const at = (key['opened'] as number) + 1023 - (rank % 1024);
      return [key['auction'] as number, Math.floor(rank / 1024), at];
    }),
  note: 'there is no arg-max: price and time are ranked as one number; the other columns would be joined back',
};

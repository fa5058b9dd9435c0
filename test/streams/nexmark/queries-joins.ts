/**
 * Nexmark queries that join, and those over windows of event time: Q3, Q5, Q7, Q8, Q11, Q13, Q20, Q23.
 *
 * Role: each as streams and as SQL. A join without bounds is an interval join with bounds nobody reaches. Several steps
 * are derived streams; their watermarks move with what is derived, which the closing events of `feed.ts` see to.
 */
import { auction, bid, derived, into, type NexmarkQuery, person, type Table } from './streams.ts';

const SECOND_MS = 1000;
const WINDOW_MS = 10 * SECOND_MS;
/** More than any time between two events. */
const FOREVER_MS = 1e12;
const BID_FIELDS = { auction: 'integer', bidder: 'integer', price: 'integer', dateTime: 'integer' } as const;

export const q3: NexmarkQuery = {
  name: 'q3',
  streams: [
    person(),
    auction({
      joins: [
        {
          name: 'q3',
          with: 'person',
          type: 'interval',
          on: { left: ['seller'], right: ['id'] },
          lowerMs: -FOREVER_MS,
          upperMs: FOREVER_MS,
          where: 'left.category == 10 && right.state in ["OR", "ID", "CA"]',
          select: { name: 'right.name', city: 'right.city', state: 'right.state', id: 'left.id' },
        },
      ],
    }),
  ],
  answer: { stream: 'auction', operator: 'q3' },
  columns: ['name', 'city', 'state', 'id'],
  sql: `SELECT P.name, P.city, P.state, A.id FROM auction A JOIN person P ON A.seller = P.id
        WHERE A.category = 10 AND P.state IN ('OR', 'ID', 'CA')`,
  note: 'state is kept for ever, as in the original',
};

export const q5: NexmarkQuery = {
  name: 'q5',
  streams: [
    bid({
      windows: [
        {
          name: 'q5',
          type: 'hopping',
          sizeMs: WINDOW_MS,
          slideMs: 2 * SECOND_MS,
          key: ['auction'],
          aggregates: { num: 'count' },
          top: { by: 'num', limit: 1, ties: true },
        },
      ],
    }),
  ],
  answer: { stream: 'bid', operator: 'q5' },
  columns: ['start', 'auction', 'num'],
  sql: `SELECT start, auction, count(*) AS num FROM (
          SELECT dateTime - dateTime % 2000 - hop * 2000 AS start, auction FROM bid, range(5) AS hops(hop))
        GROUP BY start, auction QUALIFY rank() OVER (PARTITION BY start ORDER BY num DESC) = 1`,
  note: '',
};

export const q7: NexmarkQuery = {
  name: 'q7',
  streams: [
    bid({
      windows: [
        {
          name: 'highest',
          type: 'tumbling',
          sizeMs: WINDOW_MS,
          key: [],
          aggregates: { maxPrice: { fn: 'max', of: 'price' } },
        },
      ],
      joins: [
        {
          name: 'q7',
          with: 'q7_highest',
          type: 'interval',
          on: { left: ['price'], right: ['maxPrice'] },
          lowerMs: 0,
          upperMs: WINDOW_MS,
          select: {
            auction: 'left.auction',
            price: 'left.price',
            bidder: 'left.bidder',
            dateTime: 'left.dateTime',
            extra: 'left.extra',
          },
        },
      ],
      sinks: into('q7_highest', 'highest'),
    }),
    derived('q7_highest', { end: 'integer', maxPrice: 'integer' }, 'end'),
  ],
  answer: { stream: 'bid', operator: 'q7' },
  columns: ['auction', 'price', 'bidder', 'dateTime', 'extra'],
  sql: `SELECT B.auction, B.price, B.bidder, B.dateTime, B.extra FROM bid B JOIN (
          SELECT max(price) AS maxPrice, dateTime - dateTime % ${WINDOW_MS} + ${WINDOW_MS} AS closing FROM bid GROUP BY closing) W
        ON B.price = W.maxPrice WHERE B.dateTime BETWEEN W.closing - ${WINDOW_MS} AND W.closing`,
  note: 'a bid at the very end of a window counts for it, as in the original',
};

export const q8: NexmarkQuery = {
  name: 'q8',
  streams: [
    auction(),
    person({
      joins: [
        {
          name: 'q8',
          with: 'auction',
          type: 'window',
          on: { left: ['id'], right: ['seller'] },
          sizeMs: WINDOW_MS,
          select: { id: 'left.id', name: 'left.name', startTime: `left.dateTime - left.dateTime % ${WINDOW_MS}` },
        },
      ],
    }),
  ],
  answer: { stream: 'person', operator: 'q8' },
  columns: ['id', 'name', 'startTime'],
  sql: `SELECT DISTINCT P.id, P.name, P.dateTime - P.dateTime % ${WINDOW_MS} AS startTime
        FROM person P JOIN auction A ON P.id = A.seller
        AND P.dateTime - P.dateTime % ${WINDOW_MS} = A.dateTime - A.dateTime % ${WINDOW_MS}`,
  rows(lines): Table {
    const distinct = new Map(lines.map(({ values }) => [JSON.stringify(values), values]));
    return [...distinct.values()].map(({ id, name, startTime }) => [id as number, name as string, startTime as number]);
  },
  note: 'the join gives a row per auction, the query one per seller: repeated rows are taken once',
};

export const q11: NexmarkQuery = {
  name: 'q11',
  streams: [
    bid({
      windows: [{ name: 'q11', type: 'session', gapMs: WINDOW_MS, key: ['bidder'], aggregates: { bidCount: 'count' } }],
    }),
  ],
  answer: { stream: 'bid', operator: 'q11' },
  columns: ['bidder', 'bidCount', 'start', 'end'],
  sql: `SELECT bidder, count(*) AS bidCount, min(dateTime) AS start, max(dateTime) + ${WINDOW_MS} AS "end" FROM (
          SELECT *, sum(opens::INTEGER) OVER (PARTITION BY bidder ORDER BY dateTime, n) AS session FROM (
            SELECT *, coalesce(dateTime - lag(dateTime) OVER (PARTITION BY bidder ORDER BY dateTime, n) >= ${WINDOW_MS}, TRUE) AS opens
            FROM bid)) GROUP BY bidder, session`,
  note: '',
};

/** Auctions of the first 1,600,000 events have smaller ids. */
const SIDE_ROWS = 100_000;

/** Nexmark's side table has rows (i, i) for i below 10,000, looked up by id mod 10,000. */
const sideRow = (id: number): string => `{"key":${id},"value":"${id % 10_000}","at":0}\n`;

export const q13: NexmarkQuery = {
  name: 'q13',
  streams: [
    derived('side', { key: 'integer', value: 'string', at: 'integer' }, 'at'),
    bid({
      joins: [
        {
          name: 'q13',
          with: 'side',
          type: 'lookup',
          on: { left: ['auction'], right: ['key'] },
          select: {
            auction: 'left.auction',
            bidder: 'left.bidder',
            price: 'left.price',
            dateTime: 'left.dateTime',
            value: 'right.value',
          },
        },
      ],
    }),
  ],
  answer: { stream: 'bid', operator: 'q13' },
  columns: ['auction', 'bidder', 'price', 'dateTime', 'value'],
  side: {
    stream: 'side',
    body: () => Array.from({ length: SIDE_ROWS }, (_, id) => sideRow(id)).join(''),
  },
  sql: `SELECT auction, bidder, price, dateTime, side.value FROM bid JOIN side ON auction = side.key`,
  note: 'keys of joins are fields, not expressions: the side table has a row per auction id instead of per id mod 10,000',
};

export const q20: NexmarkQuery = {
  name: 'q20',
  streams: [
    auction(),
    bid({
      joins: [
        {
          name: 'q20',
          with: 'auction',
          type: 'interval',
          on: { left: ['auction'], right: ['id'] },
          lowerMs: -FOREVER_MS,
          upperMs: FOREVER_MS,
          where: 'right.category == 10',
          select: {
            auction: 'left.auction',
            bidder: 'left.bidder',
            price: 'left.price',
            dateTime: 'left.dateTime',
            itemName: 'right.itemName',
            seller: 'right.seller',
            expires: 'right.expires',
          },
        },
      ],
    }),
  ],
  answer: { stream: 'bid', operator: 'q20' },
  columns: ['auction', 'bidder', 'price', 'dateTime', 'itemName', 'seller', 'expires'],
  sql: `SELECT B.auction, B.bidder, B.price, B.dateTime, A.itemName, A.seller, A.expires
        FROM bid B JOIN auction A ON B.auction = A.id WHERE A.category = 10`,
  note: 'state is kept for ever, as in the original; some of the columns',
};

export const q23: NexmarkQuery = {
  name: 'q23',
  streams: [
    person(),
    auction(),
    bid({
      joins: [
        {
          name: 'bidders',
          with: 'person',
          type: 'interval',
          on: { left: ['bidder'], right: ['id'] },
          lowerMs: -FOREVER_MS,
          upperMs: FOREVER_MS,
          select: {
            auction: 'left.auction',
            bidder: 'left.bidder',
            price: 'left.price',
            dateTime: 'left.dateTime',
            name: 'right.name',
          },
        },
      ],
      sinks: into('q23_bids', 'bidders'),
    }),
    derived('q23_bids', { ...BID_FIELDS, name: 'string' }, 'dateTime', {
      joins: [
        {
          name: 'q23',
          with: 'auction',
          type: 'interval',
          on: { left: ['bidder'], right: ['seller'] },
          lowerMs: -FOREVER_MS,
          upperMs: FOREVER_MS,
          select: {
            auction: 'left.auction',
            bidder: 'left.bidder',
            price: 'left.price',
            dateTime: 'left.dateTime',
            name: 'left.name',
            sold: 'right.id',
            initialBid: 'right.initialBid',
          },
        },
      ],
    }),
  ],
  answer: { stream: 'q23_bids', operator: 'q23' },
  columns: ['auction', 'bidder', 'price', 'dateTime', 'name', 'sold', 'initialBid'],
  sql: `SELECT B.auction, B.bidder, B.price, B.dateTime, P.name, A.id AS sold, A.initialBid
        FROM bid B JOIN person P ON P.id = B.bidder JOIN auction A ON A.seller = B.bidder`,
  note: 'state is kept for ever, as in the original; some of the columns',
};

/**
 * Nexmark queries over bids alone, event by event: Q0, Q1, Q2, Q10, Q14, Q21, Q22; and per key without time: Q12, Q15 … Q19.
 *
 * Role: each as streams and as SQL. Queries per day are windows of one day. What differs from the published text is said
 * in QUERIES.md.
 */
import { fileURLToPath } from 'node:url';
import type { AggregateDefinition } from '../../../src/streams/define/definition.ts';
import { bid, type NexmarkQuery, type Table } from './streams.ts';

const DAY_MS = 86_400_000;
const SECOND_MS = 1000;
/** The reducer's module, beside this one, as source or built. */
const TOP_BIDS_MODULE = fileURLToPath(import.meta.url).replace('queries-bids', 'top-bids');

function view(
  name: string,
  select: Readonly<Record<string, string>>,
  where: string,
  sql: string,
  note = '',
): NexmarkQuery {
  const condition = where === '' ? {} : { where };
  return {
    name,
    streams: [bid({ views: [{ name, select: { ...select }, ...condition }] })],
    answer: { stream: 'bid', operator: name },
    columns: Object.keys(select),
    sql,
    note,
  };
}

export const q0 = view(
  'q0',
  { auction: 'auction', bidder: 'bidder', price: 'price', dateTime: 'dateTime', extra: 'extra' },
  '',
  'SELECT auction, bidder, price, dateTime, extra FROM bid',
);

export const q1 = view(
  'q1',
  { auction: 'auction', bidder: 'bidder', price: '0.908 * price', dateTime: 'dateTime', extra: 'extra' },
  '',
  'SELECT auction, bidder, 0.908::DOUBLE * price AS price, dateTime, extra FROM bid',
  'a double where Nexmark has DECIMAL(23, 3)',
);

export const q2 = view(
  'q2',
  { auction: 'auction', price: 'price' },
  'auction % 123 == 0',
  'SELECT auction, price FROM bid WHERE auction % 123 = 0',
);

export const q10: NexmarkQuery = {
  ...view(
    'q10',
    {
      auction: 'auction',
      bidder: 'bidder',
      price: 'price',
      dateTime: 'dateTime',
      extra: 'extra',
      date: 'date(dateTime)',
      minute: 'floor(dateTime / 60000) % 1440',
    },
    '',
    `SELECT auction, bidder, price, dateTime, extra, strftime(make_timestamp(dateTime * 1000), '%Y-%m-%d') AS date,
       dateTime // 60000 % 1440 AS minute FROM bid`,
    'Parquet files, cut by rows instead of by date and minute, which are columns of them',
  ),
  sink: 'parquet',
};

export const q14 = view(
  'q14',
  {
    auction: 'auction',
    bidder: 'bidder',
    price: '0.908 * price',
    bidTimeType:
      'hour(dateTime) >= 8 && hour(dateTime) <= 18 ? "dayTime" : ' +
      '(hour(dateTime) <= 6 || hour(dateTime) >= 20 ? "nightTime" : "otherTime")',
    dateTime: 'dateTime',
    extra: 'extra',
    cCounts: 'occurrences(extra, "c")',
  },
  '0.908 * price > 1000000 && 0.908 * price < 50000000',
  `SELECT auction, bidder, 0.908::DOUBLE * price AS price,
     CASE WHEN hour(make_timestamp(dateTime * 1000)) BETWEEN 8 AND 18 THEN 'dayTime'
          WHEN hour(make_timestamp(dateTime * 1000)) <= 6 OR hour(make_timestamp(dateTime * 1000)) >= 20 THEN 'nightTime'
          ELSE 'otherTime' END AS bidTimeType,
     dateTime, extra, length(extra) - length(replace(extra, 'c', '')) AS cCounts
   FROM bid WHERE 0.908::DOUBLE * price > 1000000 AND 0.908::DOUBLE * price < 50000000`,
  'hours of UTC',
);

export const q21 = view(
  'q21',
  {
    auction: 'auction',
    bidder: 'bidder',
    price: 'price',
    channel: 'channel',
    channelId:
      'lower(channel) == "apple" ? "0" : lower(channel) == "google" ? "1" : lower(channel) == "facebook" ? "2" : ' +
      'lower(channel) == "baidu" ? "3" : part(part(url, "channel_id=", 1), "&", 0)',
  },
  'lower(channel) in ["apple", "google", "facebook", "baidu"] || url.contains("channel_id=")',
  `SELECT * FROM (SELECT auction, bidder, price, channel,
     CASE lower(channel) WHEN 'apple' THEN '0' WHEN 'google' THEN '1' WHEN 'facebook' THEN '2' WHEN 'baidu' THEN '3'
       ELSE nullif(regexp_extract(url, '(&|^)channel_id=([^&]*)', 2), '') END AS channelId FROM bid)
   WHERE channelId IS NOT NULL`,
  'the text between `channel_id=` and `&`, for want of regular expressions',
);

export const q22 = view(
  'q22',
  {
    auction: 'auction',
    bidder: 'bidder',
    price: 'price',
    channel: 'channel',
    dir1: 'part(url, "/", 3)',
    dir2: 'part(url, "/", 4)',
    dir3: 'part(url, "/", 5)',
  },
  '',
  `SELECT auction, bidder, price, channel, split_part(url, '/', 4) AS dir1, split_part(url, '/', 5) AS dir2,
     split_part(url, '/', 6) AS dir3 FROM bid`,
);

export const q12: NexmarkQuery = {
  name: 'q12',
  streams: [
    bid({
      windows: [
        {
          name: 'q12',
          type: 'tumbling',
          time: 'processing',
          sizeMs: 10 * SECOND_MS,
          key: ['bidder'],
          aggregates: { bidCount: 'count' },
        },
      ],
    }),
  ],
  answer: { stream: 'bid', operator: 'q12' },
  columns: ['bidder', 'bidCount'],
  sql: 'SELECT bidder, count(*) AS bidCount FROM bid GROUP BY bidder',
  rows(lines): Table {
    const totals = new Map<number, number>();
    for (const { key, values } of lines) {
      const bidder = key['bidder'] as number;
      totals.set(bidder, (totals.get(bidder) ?? 0) + (values['bidCount'] as number));
    }
    return [...totals];
  },
  note: 'processing time: where windows begin is not in the data, so totals per bidder are judged',
};

/** Bids, and those of three ranges of price: counted, and their different bidders and auctions. */
const RANGES = [
  ['', ''],
  ['Rank1', 'price < 10000'],
  ['Rank2', 'price >= 10000 && price < 1000000'],
  ['Rank3', 'price >= 1000000'],
] as const;

const sqlOf = (condition: string): string =>
  condition === '' ? '' : ` FILTER (WHERE ${condition.replaceAll('&&', 'AND')})`;

function counts(prefix: string, of: string): [Record<string, AggregateDefinition>, string] {
  const aggregates = RANGES.map(([range, where]): [string, AggregateDefinition] => {
    const value = of === '' ? { fn: 'count' } : { fn: 'distinct', of };
    return [`${prefix}${range}`, { ...value, ...(where === '' ? {} : { where }) }];
  });
  const counted = of === '' ? 'count(*)' : `count(DISTINCT ${of})`;
  const sql = RANGES.map(([range, where]) => `${counted}${sqlOf(where)} AS ${prefix}${range}`).join(', ');
  return [Object.fromEntries(aggregates), sql];
}

const [BIDS, BIDS_SQL] = counts('bids', '');
const [BIDDERS, BIDDERS_SQL] = counts('bidders', 'bidder');
const [AUCTIONS, AUCTIONS_SQL] = counts('auctions', 'auction');
const DAY_SQL = `dateTime - dateTime % ${DAY_MS} AS start`;

function perDay(
  name: string,
  key: readonly string[],
  aggregates: Readonly<Record<string, AggregateDefinition>>,
  sql: string,
  note = '',
): NexmarkQuery {
  return {
    name,
    streams: [
      bid({ windows: [{ name, type: 'tumbling', sizeMs: DAY_MS, key: [...key], aggregates: { ...aggregates } }] }),
    ],
    answer: { stream: 'bid', operator: name },
    columns: ['start', ...key, ...Object.keys(aggregates)],
    sql: `SELECT ${[DAY_SQL, ...key, sql].join(', ')} FROM bid GROUP BY ALL`,
    note,
  };
}

const EXACT = 'distinct counts above 1,024 are estimates: judged within 4 %';

export const q15 = perDay(
  'q15',
  [],
  { ...BIDS, ...BIDDERS, ...AUCTIONS },
  [BIDS_SQL, BIDDERS_SQL, AUCTIONS_SQL].join(', '),
  EXACT,
);

export const q16 = perDay(
  'q16',
  ['channel'],
  { lastTime: { fn: 'max', of: 'dateTime' }, ...BIDS, ...BIDDERS, ...AUCTIONS },
  ['max(dateTime) AS lastTime', BIDS_SQL, BIDDERS_SQL, AUCTIONS_SQL].join(', '),
  `the latest time is a number, not HH:mm; ${EXACT}`,
);

export const q17 = perDay(
  'q17',
  ['auction'],
  {
    ...BIDS,
    minPrice: { fn: 'min', of: 'price' },
    maxPrice: { fn: 'max', of: 'price' },
    avgPrice: { fn: 'mean', of: 'price' },
    sumPrice: { fn: 'sum', of: 'price' },
  },
  `${BIDS_SQL}, min(price) AS minPrice, max(price) AS maxPrice, avg(price) AS avgPrice, sum(price) AS sumPrice`,
);

export const q18: NexmarkQuery = {
  ...perDay(
    'q18',
    ['bidder', 'auction'],
    {
      price: { fn: 'last', of: 'price' },
      channel: { fn: 'last', of: 'channel' },
      dateTime: { fn: 'last', of: 'dateTime' },
    },
    '',
    'per day; of bids in the same millisecond the one that arrived last',
  ),
  columns: ['bidder', 'auction', 'price', 'channel', 'dateTime'],
  sql: `SELECT bidder, auction, price, channel, dateTime FROM bid
        QUALIFY row_number() OVER (PARTITION BY bidder, auction ORDER BY dateTime DESC, n DESC) = 1`,
};

export const q19: NexmarkQuery = {
  name: 'q19',
  streams: [
    bid({
      windows: [
        {
          name: 'q19',
          type: 'tumbling',
          sizeMs: DAY_MS,
          key: ['auction'],
          aggregates: { best: { fn: 'custom', module: TOP_BIDS_MODULE, export: 'topBids', of: 'price' } },
        },
      ],
    }),
  ],
  answer: { stream: 'bid', operator: 'q19' },
  columns: ['auction', 'rank', 'price'],
  sql: `SELECT auction, row_number() OVER ranked AS rank, price FROM bid
        WINDOW ranked AS (PARTITION BY auction ORDER BY price DESC) QUALIFY rank <= 10`,
  rows: (lines): Table =>
    lines.flatMap(({ key, values }) =>
      (values['best'] as number[]).map((price, i) => [key['auction'] as number, i + 1, price]),
    ),
  note: 'by a reducer of the user, prices only; per day',
};

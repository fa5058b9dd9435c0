/**
 * The streams of Nexmark as people would declare them, and how a query is described.
 *
 * Role: what all queries build on. A query adds operators to the three streams and sometimes streams derived from their
 * results (a sink of type `stream`; a derived event has `start`, `end`, the key's members and the values side by side).
 */
import type { SchemaDefinition, StreamDefinition } from '../../../src/streams/define/definition.ts';
import type { Scalar } from '../oracle/case.ts';
import type { ResultLine } from '../oracle/compare.ts';

export type Cell = Scalar;
export type Table = readonly (readonly Cell[])[];

export interface NexmarkQuery {
  readonly name: string;
  /** Person, auction, bid and what is derived from them. */
  readonly streams: readonly StreamDefinition[];
  /** Operator whose lines are the answer. */
  readonly answer: { readonly stream: string; readonly operator: string };
  /** Columns of the answer, and of the SQL. */
  readonly columns: readonly string[];
  /** DuckDB, over the tables `person`, `auction`, `bid` (with `n`, the order of arrival) and `side`; `null`: see `reference`. */
  readonly sql: string | null;
  /** Where the answer is written to; by default lines. `parquet`: the sink of that type, its columns `value_…`. */
  readonly sink?: 'parquet';
  /** From lines to rows; by default each column is a value, a member of the key, `start` or `end`. */
  rows?(lines: readonly ResultLine[]): Table;
  /** Batches that come before all events, NDJSON. */
  readonly side?: { readonly stream: string; body(): string };
  /** What differs from the published query; `''` for nothing. */
  readonly note: string;
}

/** As in Nexmark's DDL: the watermark is four seconds behind. */
const TIME = { outOfOrderMs: 4000, idleAfterMs: 0, maxFutureMs: 0 };
const LIMITS = { keysMax: 4_000_000, stateBytesMax: 2 ** 32, pendingBytesMax: 2 ** 28 };

export const PERSON: SchemaDefinition = {
  fields: {
    id: 'integer',
    name: 'string',
    emailAddress: 'string',
    creditCard: 'string',
    city: 'string',
    state: 'string',
    dateTime: 'integer',
    extra: 'string',
  },
  timestamp: { field: 'dateTime' },
};

export const AUCTION: SchemaDefinition = {
  fields: {
    id: 'integer',
    itemName: 'string',
    description: 'string',
    initialBid: 'integer',
    reserve: 'integer',
    dateTime: 'integer',
    expires: 'integer',
    seller: 'integer',
    category: 'integer',
    extra: 'string',
  },
  timestamp: { field: 'dateTime' },
};

export const BID: SchemaDefinition = {
  fields: {
    auction: 'integer',
    bidder: 'integer',
    price: 'integer',
    channel: 'string',
    url: 'string',
    dateTime: 'integer',
    extra: 'string',
  },
  timestamp: { field: 'dateTime' },
};

type Operators = Pick<StreamDefinition, 'windows' | 'patterns' | 'joins' | 'views' | 'sinks'>;

function stream(name: string, schema: SchemaDefinition, operators: Operators = {}): StreamDefinition {
  return { name, schema, time: TIME, durability: 'memory', limits: LIMITS, ...operators };
}

export const person = (operators: Operators = {}): StreamDefinition => stream('person', PERSON, operators);
export const auction = (operators: Operators = {}): StreamDefinition => stream('auction', AUCTION, operators);
export const bid = (operators: Operators = {}): StreamDefinition => stream('bid', BID, operators);

/** A stream of results: numbers and texts by name, and the one that is its time. */
export function derived(
  name: string,
  fields: SchemaDefinition['fields'],
  timestamp: string,
  operators: Operators = {},
): StreamDefinition {
  return stream(name, { fields, timestamp: { field: timestamp } }, operators);
}

/** Results of these operators become events of that stream. */
export const into = (target: string, ...of: readonly string[]): NonNullable<Operators['sinks']> => [
  { type: 'stream', stream: target, of: [...of] },
];

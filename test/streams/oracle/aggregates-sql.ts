/**
 * Aggregates of a window definition as SQL, and how near a result must be to what SQL says.
 *
 * Role: counts, extremes, distinct values and ranked values must be equal; sums and what is made of them within
 * rounding. `first` and `last` go by event time, then by arrival. A quantile or a distinct count of many values may be a
 * sketch's, within its stated error.
 */
import type { AggregateDefinition } from '../../../src/streams/define/definition.ts';
import type { Scalar } from './case.ts';
import { expressionSql, quoted } from './expression-sql.ts';

export type Expected =
  | { readonly rule: 'equal'; readonly value: Scalar }
  /** Within `relative` of the value, or `absolute`. */
  | { readonly rule: 'near'; readonly value: number; readonly relative: number; readonly absolute: number };

export interface SketchLimits {
  /** Values of a window and key up to which a quantile is exact. */
  readonly quantileExactMax: number;
  /** Distinct values up to which they are counted exactly. */
  readonly distinctExactMax: number;
  readonly distinctRelativeError: number;
}

export const SKETCH_LIMITS: SketchLimits = {
  quantileExactMax: 256,
  distinctExactMax: 1024,
  distinctRelativeError: 0.04,
};

const ROUNDING = 1e-9;

export interface AggregateSql {
  /** Select items, named `{name}`, and for some `{name}#n`: how many values there were. */
  readonly select: readonly string[];
  expected(row: Readonly<Record<string, unknown>>): Expected;
}

/** The parts an aggregate's SQL is made of. */
interface Parts {
  readonly name: string;
  /** Value that is aggregated, `''` for none. */
  readonly of: string;
  /** ` FILTER (WHERE …)` or `''`. */
  readonly filter: string;
  readonly q: number;
  readonly relativeError: number;
}

export function aggregateSql(name: string, aggregate: AggregateDefinition, limits: SketchLimits): AggregateSql {
  const given = typeof aggregate === 'string' ? { fn: aggregate } : aggregate;
  const parts: Parts = {
    name,
    of: given.of === undefined ? '' : expressionSql(given.of),
    filter: given.where === undefined ? '' : ` FILTER (WHERE ${expressionSql(given.where)})`,
    q: given.q ?? 0.5,
    relativeError: given.relativeError ?? 0.01,
  };
  const { of } = parts;
  if (given.fn === 'count') return equal(parts, `count(${of === '' ? '*' : of})`);
  if (of === '') throw new Error(`${given.fn} needs a value`);
  switch (given.fn) {
    case 'min':
    case 'max':
      return equal(parts, `${given.fn}(${of})`);
    case 'sum':
      return near(parts, `fsum(${of})`, 1);
    case 'mean':
      return near(parts, `favg(${of})`, 1);
    case 'variance':
      return near(parts, `var_samp(${of})`, 2);
    case 'stddev':
      return near(parts, `stddev_samp(${of})`, 1);
    case 'first':
      return atTime(parts, 'ASC');
    case 'last':
      return atTime(parts, 'DESC');
    case 'distinct':
      return sketched(parts, `count(DISTINCT ${of})`, limits.distinctExactMax, limits.distinctRelativeError);
    case 'quantile':
      return sketched(parts, `quantile_disc(${of}, ${parts.q})`, limits.quantileExactMax, parts.relativeError);
    default:
      throw new Error(`the oracle knows no ${given.fn}`);
  }
}

const item = ({ filter }: Parts, sql: string, name: string, cast = ''): string =>
  `(${sql}${filter})${cast} AS ${quoted(name)}`;

function equal(parts: Parts, sql: string): AggregateSql {
  const { name } = parts;
  const cast = sql.startsWith('count(') ? '::DOUBLE' : '';
  return {
    select: [item(parts, sql, name, cast)],
    expected: (row) => ({ rule: 'equal', value: (row[name] ?? null) as Scalar }),
  };
}

/** Rounding is bounded by the greatest magnitude that went in, to the power the result has. */
function near(parts: Parts, sql: string, power: number): AggregateSql {
  const { name, of } = parts;
  const greatest = `${name}#max`;
  return {
    select: [item(parts, sql, name), item(parts, `max(abs(${of}))`, greatest)],
    expected: (row) => within(row[name], ROUNDING, ROUNDING * Number(row[greatest] ?? 0) ** power),
  };
}

/** Of equal times, the first is the one that arrived first and the last the one that arrived last. */
function atTime(parts: Parts, order: 'ASC' | 'DESC'): AggregateSql {
  const { filter, name, of } = parts;
  const present =
    filter === '' ? ` FILTER (WHERE ${of} IS NOT NULL)` : filter.replace(/\)$/, ` AND ${of} IS NOT NULL)`);
  const by = ['_ts', '_step', '_row'].map((column) => `${column} ${order}`);
  return equal({ ...parts, filter: present, name }, `first(${of} ORDER BY ${by.join(', ')})`);
}

/** Exact up to a number of values, then within a relative error. */
function sketched(parts: Parts, sql: string, exactMax: number, relative: number): AggregateSql {
  const { name, of } = parts;
  const counted = `${name}#n`;
  const isCount = sql.startsWith('count(');
  return {
    select: [
      item(parts, sql, name, isCount ? '::DOUBLE' : ''),
      item(parts, isCount ? sql : `count(${of})`, counted, '::DOUBLE'),
    ],
    expected: (row) =>
      Number(row[counted]) <= exactMax
        ? { rule: 'equal', value: (row[name] ?? null) as Scalar }
        : within(row[name], relative, 1e-12),
  };
}

function within(value: unknown, relative: number, absolute: number): Expected {
  if (typeof value !== 'number') return { rule: 'equal', value: null };
  return { rule: 'near', value, relative, absolute };
}

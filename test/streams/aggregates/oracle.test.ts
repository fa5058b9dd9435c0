/** The same values in DuckDB: where aggregates are exact they are equal to SQL's, else within rounding. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { QUANTILE_EXACT_MAX } from '../../../src/streams/aggregates/quantile.ts';
import { randomFrom } from '../../random.ts';
import { aggregatePlan } from '../plan-parts.ts';
import { type Event, resultsOf } from './rows.ts';

const QS = [0.01, 0.05, 0.1, 0.25, 0.5, 0.55, 0.75, 0.9, 0.95, 0.99, 1] as const;
const GROUPS = 400;
const EXACT = [
  aggregatePlan({ fn: 'count' }),
  aggregatePlan({ fn: 'count', of: 'n' }),
  aggregatePlan({ fn: 'min', of: 'n' }),
  aggregatePlan({ fn: 'max', of: 'n' }),
  aggregatePlan({ fn: 'distinct', of: 'n' }),
  aggregatePlan({ fn: 'distinct', of: 's' }),
  ...QS.map((q) => aggregatePlan({ fn: 'quantile', name: `q${q}`, of: 'n', q })),
];
const ROUNDED = [
  aggregatePlan({ fn: 'sum', of: 'n' }),
  aggregatePlan({ fn: 'mean', of: 'n' }),
  aggregatePlan({ fn: 'variance', of: 'n' }),
  aggregatePlan({ fn: 'stddev', of: 'n' }),
  aggregatePlan({ fn: 'sum', of: 'n', where: 's == "s1"' }),
];
const SQL = `SELECT g, count(*)::DOUBLE, count(n)::DOUBLE, min(n), max(n), count(DISTINCT n)::DOUBLE, count(DISTINCT s)::DOUBLE,
  ${QS.map((q) => `quantile_disc(n, ${q})`).join(', ')},
  fsum(n), favg(n), var_samp(n), stddev_samp(n), fsum(n) FILTER (WHERE s = 's1') FROM events GROUP BY g ORDER BY g`;

describe('aggregates beside DuckDB', () => {
  let instance: DuckDBInstance;
  let connection: DuckDBConnection;
  before(async () => {
    instance = await DuckDBInstance.create(':memory:', { threads: '1' });
    connection = await instance.connect();
  });
  after(() => {
    connection.closeSync();
    instance.closeSync();
  });

  it('are equal, or within rounding', async () => {
    const next = randomFrom(17);
    const groups = Array.from({ length: GROUPS }, (_, g): Event[] =>
      Array.from({ length: 1 + (g % QUANTILE_EXACT_MAX) }, (_, ts) => ({
        ts,
        n: next() < 0.1 ? null : Math.round(next() * 200 - 100) / (g % 2 === 0 ? 1 : 7),
        s: next() < 0.1 ? null : `s${Math.floor(next() * 10)}`,
      })),
    );
    const tuples = groups.flatMap((events, g) =>
      events.map(({ n, s }) => `(${g}, ${n}, ${s === null ? null : `'${s}'`})`),
    );
    await connection.run('CREATE TABLE events (g INTEGER, n DOUBLE, s VARCHAR)');
    await connection.run(`INSERT INTO events VALUES ${tuples.join(', ')}`);
    const rows = (await connection.runAndReadAll(SQL)).getRowsJS();
    assert.equal(rows.length, GROUPS);
    for (const [g, events] of groups.entries()) {
      const [, ...expected] = rows[g] as unknown[];
      const normal = expected.map((value) => (typeof value === 'number' ? value + 0 : value));
      assert.deepEqual(resultsOf(EXACT, events).map(withoutSign), normal.slice(0, EXACT.length), `group ${g}`);
      const rounded = resultsOf(ROUNDED, events);
      for (const [i, value] of rounded.entries())
        near(value, normal[EXACT.length + i], `${ROUNDED[i]?.fn} of group ${g}`);
    }
  });
});

const withoutSign = (value: unknown): unknown => (value === 0 ? 0 : value);

function near(value: unknown, expected: unknown, what: string): void {
  if (typeof expected !== 'number' || typeof value !== 'number') {
    assert.equal(value, expected, what);
    return;
  }
  assert.ok(Math.abs(value - expected) <= 1e-10 * Math.max(1, Math.abs(expected)), `${what}: ${value} for ${expected}`);
}

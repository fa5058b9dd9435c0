/**
 * Answers are told from near misses: by the judge, and by the database where there are many rows.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { differenceOf } from './difference.ts';
import { eventBatches, type FeedOptions, feed } from './feed.ts';
import { differences, judge } from './judge.ts';
import { queryNamed } from './queries.ts';
import { runQuery } from './runner.ts';
import type { Cell, NexmarkQuery, Table } from './streams.ts';
import { NexmarkTables } from './tables.ts';

const OPTIONS: FeedOptions = { generator: { seed: 8, ratePerS: 500 }, events: 20_000, eventsPerBatch: 3000 };

let tables: NexmarkTables;
before(async () => {
  tables = await NexmarkTables.load(eventBatches(OPTIONS));
});
after(() => tables.close());

function lineOf(query: NexmarkQuery, row: readonly Cell[]): string {
  const cells = Object.fromEntries(query.columns.map((name, i) => [name, row[i]]));
  const { end = 0, start = 0, ...values } = cells;
  const kind = { pane: 0, timing: 'on-time', final: true };
  return JSON.stringify({ id: '', ...query.answer, key: {}, start, end, ...kind, values });
}

describe('the judge', () => {
  test('takes lines that say what is expected and names those that do not', async () => {
    for (const name of ['q0', 'q5', 'q11', 'q17', 'cep0']) {
      const query = queryNamed(name);
      const expected = await tables.expected(query);
      const lines = expected.map((row) => lineOf(query, row));
      assert.equal(judge(query, expected, lines.toReversed()), '');
      assert.match(judge(query, expected, lines.slice(1)), /1 of \d+ rows missing, 0 unexpected/);
      assert.match(judge(query, expected, [...lines, lines[0] as string]), /0 of \d+ rows missing, 1 unexpected/);
    }
  });

  test('leaves rows of closing events out, and takes estimates as such', async () => {
    const query = queryNamed('q1');
    assert.equal(judge(query, [], [lineOf(query, [0, 0, 0, 5, ''])]), '');
    const q15 = queryNamed('q15');
    const [row = []] = await tables.expected(q15);
    const changed = (column: string, by: number): Table => [
      row.map((cell, i) => (q15.columns[i] === column ? (cell as number) * by : cell)),
    ];
    const many = [row.map((cell, i) => (q15.columns[i] === 'auctions' ? 10_000 : cell))];
    assert.equal(differences(q15, many, [many[0]?.map((cell) => (cell === 10_000 ? 10_200 : cell)) ?? []]), '');
    assert.notEqual(differences(q15, many, [many[0]?.map((cell) => (cell === 10_000 ? 10_500 : cell)) ?? []]), '');
    assert.notEqual(differences(q15, [row], changed('bids', 1.01)), '');
  });
});

describe('answers compared in the database', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'nexmark-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  async function differenceIn(name: string, change: (rows: Table) => Table): Promise<string> {
    const query = queryNamed(name);
    const rows = change(await tables.expected(query));
    const path = join(folder, 'lines');
    writeFileSync(path, rows.map((row) => `${lineOf(query, row)}\n`).join(''));
    return await differenceOf(tables, query, path);
  }

  const changed =
    (column: number, to: (cell: Cell) => Cell) =>
    ([first = [], ...others]: Table): Table => [...others, first.map((cell, i) => (i === column ? to(cell) : cell))];

  test('are the same in any order, with rows of closing events', async () => {
    for (const name of ['q0', 'q1', 'q5', 'q11', 'q17', 'q21']) {
      const zeros = queryNamed(name).columns.map((): Cell => 0);
      assert.equal(await differenceIn(name, (rows) => rows.toReversed()), '', name);
      if (name !== 'q5') assert.equal(await differenceIn(name, (rows) => [zeros, ...rows]), '', name);
    }
  });

  test('differ by a row that is missing, twice there, or has another cell, and those are shown', async () => {
    const [row = []] = await tables.expected(queryNamed('q0'));
    const text = JSON.stringify(row);
    const missing = await differenceIn('q0', (rows) => rows.slice(1));
    assert.match(missing, /^q0: 1 of 18400 rows missing, 0 unexpected\n/);
    assert.ok(missing.endsWith(`\nmissing    ${text}`), missing);
    const twice = await differenceIn('q0', (rows) => [row, row, ...rows]);
    assert.match(twice, /^q0: 0 of 18400 rows missing, 2 unexpected\n/);
    const other = await differenceIn(
      'q0',
      changed(2, (price) => (price as number) + 1),
    );
    assert.match(other, /^q0: 1 of 18400 rows missing, 1 unexpected\n/);
    assert.ok(
      other.includes(
        `\nmissing    ${text}\nunexpected ${text.replace(String(row[2]), String((row[2] as number) + 1))}`,
      ),
      other,
    );
  });

  test('differ by a number that is a text, a text that is a number, and what is null', async () => {
    for (const [name, column] of [
      ['q0', 2],
      ['q1', 2],
      ['q21', 4],
    ] as const) {
      const turned = (cell: Cell): Cell => (typeof cell === 'number' ? String(cell) : Number(cell));
      assert.match(await differenceIn(name, changed(column, turned)), /: 1 of \d+ rows missing, 1 unexpected/);
      assert.match(
        await differenceIn(
          name,
          changed(column, () => null),
        ),
        /: 1 of \d+ rows missing, 1 unexpected/,
      );
    }
  });

  test('do not differ by the last digits of a fraction', async () => {
    const scaled = (by: number) => changed(2, (price) => (price as number) * by);
    assert.equal(await differenceIn('q1', scaled(1 + 4 * Number.EPSILON)), '');
    assert.match(await differenceIn('q1', scaled(1 + 1e-6)), /1 of 18400 rows missing, 1 unexpected/);
  });

  test('are those of a program, where there is no SQL', async () => {
    for (const name of ['cep0', 'cep1']) {
      assert.equal(await differenceIn(name, (rows) => rows.toReversed()), '', name);
      assert.match(await differenceIn(name, (rows) => rows.slice(1)), /: 1 of \d+ rows missing, 0 unexpected/);
      const last = queryNamed(name).columns.length - 1;
      const more = changed(last, (cell) => (cell as number) + 1);
      assert.match(await differenceIn(name, more), /: 1 of \d+ rows missing, 1 unexpected/);
    }
  });

  test('are rows of Parquet files, too', async () => {
    const query = queryNamed('q10');
    const path = join(folder, 'parts');
    await runQuery(query, feed(query, OPTIONS), path);
    assert.equal(await differenceOf(tables, query, path), '');
    const without = await differenceOf(
      tables,
      { ...query, sql: `SELECT * FROM (${query.sql}) WHERE minute > 0` },
      path,
    );
    assert.match(without, /^q10: 0 of \d+ rows missing, [1-9]\d* unexpected\n/);
    const other = await differenceOf(
      tables,
      { ...query, sql: `SELECT * REPLACE (price + 0.5 AS price) FROM (${query.sql})` },
      path,
    );
    assert.match(other, /^q10: 18400 of 18400 rows missing, 18400 unexpected\n/);
  });
});

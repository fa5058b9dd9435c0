/**
 * Parquet files as others read them: columns and types by hyparquet and by DuckDB; when a file is finished.
 */
import assert from 'node:assert/strict';
import { cp, mkdtemp, readdir, readFile, rename, rm, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { DuckDBInstance } from '@duckdb/node-api';
import { parquetMetadata } from 'hyparquet';
import { parquetSinkKind } from '../../../src/streams/sinks/parquet-sink.ts';
import { eventually } from '../../clients/eventually.ts';
import { failingHandles } from './failing-handles.ts';
import { filesOf, rowsOf } from './read-parquet.ts';
import { line } from './sink.contract.ts';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'parquet-'));
});
after(() => rm(folder, { recursive: true }));

const result = (n: number, over: object = {}): string =>
  JSON.stringify({
    id: `trades/w/${n}`,
    stream: 'trades',
    name: 'w',
    key: { symbol: `S${n % 2}`, venue: n },
    start: 1_767_225_600_000 + n,
    end: null,
    pane: n,
    timing: 'on-time',
    final: n % 2 === 0,
    values: { mean: n / 4, hot: n > 1, top: [n, 'x'], mixed: n === 0 ? 0 : 'one' },
    ...over,
  });

describe('parquet sink', () => {
  test('has columns and types that DuckDB and hyparquet agree on', async () => {
    const path = join(folder, 'types');
    const sink = parquetSinkKind.create({ path }, 'trades/parquet#0');
    await sink.open();
    const context = { events: ['1:0'], traces: [], correlationIds: [] };
    await sink.write({ seq: 4, lines: [result(0), result(1), result(2, { retraction: true, context })] });
    await sink.write({ seq: 9, lines: [result(3, { output: 'late', key: {}, values: { mean: null, other: 'o' } })] });
    await sink.close();
    assert.deepEqual(await readdir(path).then((names) => names.toSorted()), [
      'open-00000002.ndjson',
      'part-00000001-9.parquet',
    ]);

    const instance = await DuckDBInstance.create(':memory:');
    const connection = await instance.connect();
    const from = `read_parquet('${join(path, '*.parquet')}')`;
    const types = await (await connection.runAndReadAll(`describe select * from ${from}`)).getRowObjectsJson();
    assert.deepEqual(Object.fromEntries(types.map((each) => [each['column_name'], each['column_type']])), {
      ...{ id: 'VARCHAR', stream: 'VARCHAR', name: 'VARCHAR', timing: 'VARCHAR', output: 'VARCHAR' },
      ...{ pane: 'DOUBLE', final: 'BOOLEAN', retraction: 'BOOLEAN', context: 'VARCHAR' },
      ...{ start: types.find((each) => each['column_name'] === 'start')?.['column_type'] },
      ...{ end: types.find((each) => each['column_name'] === 'end')?.['column_type'] },
      ...{ key_symbol: 'VARCHAR', key_venue: 'DOUBLE', value_mean: 'DOUBLE', value_hot: 'BOOLEAN' },
      ...{ value_top: 'VARCHAR', value_mixed: 'VARCHAR', value_other: 'VARCHAR' },
    });
    assert.match(String(types.find((each) => each['column_name'] === 'start')?.['column_type']), /^TIMESTAMP/);
    const sums = await connection.runAndReadAll(
      `select key_symbol, sum(value_mean) as sum, min(epoch_ms("start")) as first, count(*) filter ("end" is null) as n
       from ${from} group by all order by key_symbol nulls last`,
    );
    assert.deepEqual(sums.getRowObjectsJson(), [
      { key_symbol: 'S0', sum: 0.5, first: '1767225600000', n: '2' },
      { key_symbol: 'S1', sum: 0.25, first: '1767225600001', n: '1' },
      { key_symbol: null, sum: null, first: '1767225600003', n: '1' },
    ]);
    connection.closeSync();
    instance.closeSync();

    const rows = await rowsOf(path);
    assert.deepEqual(
      rows.map((row) => row['value_top']),
      ['[0,"x"]', '[1,"x"]', '[2,"x"]', null],
    );
    assert.deepEqual(
      rows.map((row) => row['value_mixed']),
      ['0', 'one', 'one', null],
    );
    assert.deepEqual(
      rows.map((row) => row['retraction']),
      [false, false, true, false],
    );
    assert.deepEqual(JSON.parse(String(rows[2]?.['context'])), context);
    const bytes = await readFile(join(path, 'part-00000001-9.parquet'));
    const notes = parquetMetadata(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer);
    assert.deepEqual(
      notes.key_value_metadata?.filter(({ key }) => key.startsWith('millrace')),
      [
        { key: 'millrace.seq', value: '9' },
        { key: 'millrace.sink', value: 'trades/parquet#0' },
      ],
    );
  });

  test('finishes a file when it has its rows, and when its time has come', async (t) => {
    const path = join(folder, 'parts');
    const sink = parquetSinkKind.create({ path, rows: 3, everyMs: 1000 }, 's/p');
    await sink.open();
    t.mock.timers.enable({ apis: ['setTimeout'] });
    for (let n = 0; n < 5; n++) await sink.write({ seq: n + 1, lines: [line(2 * n), line(2 * n + 1)] });
    assert.deepEqual(await filesOf(path), ['part-00000001-2.parquet', 'part-00000002-4.parquet']);
    t.mock.timers.tick(1000);
    t.mock.timers.reset();
    const files = await eventually(
      'three files',
      () => filesOf(path),
      ({ length }) => length >= 3,
    );
    assert.equal(files.at(-1), 'part-00000003-5.parquet');
    assert.equal((await rowsOf(path)).length, 10);
    await sink.close();
    assert.equal((await filesOf(path)).length, 3);
  });

  test('takes up what a process that was killed had not finished', async () => {
    const killed = parquetSinkKind.create({ path: join(folder, 'before') }, 's/p');
    await killed.open();
    await killed.write({ seq: 3, lines: [line(0), line(1)] });
    // What is on the disk then.
    const path = join(folder, 'killed');
    await cp(join(folder, 'before'), path, { recursive: true });
    await killed.close();
    const sink = parquetSinkKind.create({ path, rows: 2 }, 's/p');
    assert.equal(await sink.open(), 3);
    assert.deepEqual(await filesOf(path), []);
    await sink.write({ seq: 4, lines: [line(2)] });
    assert.deepEqual(await filesOf(path), ['part-00000001-3.parquet']);
    await sink.close();
    assert.deepEqual(
      (await rowsOf(path)).map((row) => row['key_k']),
      [0, 1, 2],
    );
  });

  test('holds nothing of a batch that was not taken, and then all of it once', async () => {
    const path = join(folder, 'refused');
    let sink = parquetSinkKind.create({ path }, 's/p');
    await sink.open();
    await sink.write({ seq: 1, lines: [line(0)] });
    await failingHandles('datasync');
    await assert.rejects(sink.write({ seq: 2, lines: [line(1)] }), /ENOSPC/);
    await sink.close();
    sink = parquetSinkKind.create({ path }, 's/p');
    assert.equal(await sink.open(), 1);
    await sink.write({ seq: 2, lines: [line(1)] });
    await sink.close();
    assert.deepEqual(
      (await rowsOf(path)).map((row) => row['key_k']),
      [0, 1],
    );
  });

  test('has each row once, though a file that has its name could not be made safe at once', async (t) => {
    const path = join(folder, 'named');
    const sink = parquetSinkKind.create({ path, everyMs: 1000 }, 's/p');
    await sink.open();
    t.mock.timers.enable({ apis: ['setTimeout'] });
    await sink.write({ seq: 1, lines: [line(0)] });
    // The file itself is safe, its name in the folder is not.
    await failingHandles('sync', 1);
    t.mock.timers.tick(1000);
    await sink.write({ seq: 2, lines: [line(1)] });
    t.mock.timers.reset();
    await sink.close();
    assert.deepEqual(
      (await rowsOf(path)).map((row) => row['key_k']),
      [0, 1],
    );
    assert.deepEqual(await filesOf(path), ['part-00000001-1.parquet', 'part-00000002-2.parquet']);
  });

  for (const [how, away] of [
    ['deleted', unlink],
    ['moved', (path: string) => rename(path, `${path}.1`)],
  ] as const) {
    test(`loses no row though the file of what is not finished is ${how} while it is open`, async () => {
      const path = join(folder, how);
      const sink = parquetSinkKind.create({ path }, 's/p');
      await sink.open();
      await sink.write({ seq: 1, lines: [line(0), line(1)] });
      await away(join(path, 'open-00000001.ndjson'));
      await sink.write({ seq: 2, lines: [line(2)] });
      await away(join(path, 'open-00000002.ndjson'));
      await sink.close();
      assert.deepEqual(await filesOf(path), ['part-00000001-1.parquet', 'part-00000002-2.parquet']);
      assert.deepEqual(
        (await rowsOf(path)).map((row) => row['key_k']),
        [0, 1, 2],
      );
      const next = parquetSinkKind.create({ path }, 's/p');
      assert.equal(await next.open(), 2);
      await next.close();
    });
  }

  test('takes windows that reach beyond the first and the last date', async () => {
    const path = join(folder, 'ends');
    const sink = parquetSinkKind.create({ path, rows: 1 }, 's/p');
    await sink.open();
    const [first, last] = [-8.64e15, 8.64e15];
    await sink.write({ seq: 1, lines: [result(0, { start: first - 900, end: first + 100 })] });
    await sink.write({ seq: 2, lines: [result(1, { start: last, end: last + 1000 })] });
    await sink.close();
    const bounds = (await rowsOf(path)).map(({ start, end }) => [Number(start), Number(end)]);
    assert.deepEqual(bounds, [
      [first, first + 100],
      [last, last],
    ]);
  });

  test('finishes a file of few rows that are long', async () => {
    const path = join(folder, 'long');
    const sink = parquetSinkKind.create({ path }, 's/p');
    await sink.open();
    const long = result(0, { values: { text: 'x'.repeat(2 ** 20) } });
    for (let seq = 1; (await filesOf(path)).length === 0; seq++) {
      assert.ok(seq <= 70, `${seq} MB in one file that is not finished`);
      await sink.write({ seq, lines: [long] });
    }
    await sink.close();
  });
});

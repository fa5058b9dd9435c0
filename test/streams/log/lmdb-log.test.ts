import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { open } from 'lmdb';
import { openLmdbLog } from '../../../src/streams/log/lmdb-log.ts';
import { LogDamaged, LogUnavailable } from '../../../src/streams/log/port.ts';
import { decodeRecord, encodeRecord } from '../../../src/streams/log/record-codec.ts';
import { logContract } from './log-contract.ts';
import { numberedRecord, plain, readAll } from './records.ts';
import { Scratch } from './scratch.ts';

logContract('LMDB', (scratch, bytesMax) => openLmdbLog(scratch.open(), bytesMax === undefined ? {} : { bytesMax }));

/** A log with ten durable records, closed. */
async function tenRecords(scratch: Scratch): Promise<void> {
  const environment = scratch.open();
  const log = openLmdbLog(environment);
  for (let i = 1; i <= 10; i++) await log.append(numberedRecord(i, 500)).durable;
  await log.close();
  await environment.close();
}

describe('a log that is opened again', () => {
  test('holds the same records and goes on where it ended', async () => {
    await using scratch = new Scratch();
    await tenRecords(scratch);
    const environment = scratch.open();
    const log = openLmdbLog(environment);
    assert.deepEqual([log.first, log.last], [1, 10]);
    const { bytes } = log;
    assert.ok(bytes > 5000);
    assert.equal(log.append(numberedRecord(11, 500)).seq, 11);
    await log.truncate(3);
    await log.close();
    await environment.close();
    const again = openLmdbLog(scratch.open());
    assert.deepEqual([again.first, again.last], [4, 11]);
    assert.ok(Math.abs(again.bytes - bytes * 0.8) < 10);
    assert.deepEqual(
      (await readAll(again, 3)).map(({ record }) => record),
      Array.from({ length: 8 }, (_, i) => plain(numberedRecord(4 + i, 500))),
    );
  });

  test('goes on counting when all of it was truncated', async () => {
    await using scratch = new Scratch();
    await tenRecords(scratch);
    const environment = scratch.open();
    await openLmdbLog(environment).truncate(10);
    await environment.close();
    const log = openLmdbLog(scratch.open());
    assert.deepEqual([log.first, log.last, log.bytes], [11, 10, 0]);
    assert.equal(log.append(numberedRecord(11, 5)).seq, 11);
  });
});

describe('damage', () => {
  test('of any single bit, and any truncation, of a record is found', () => {
    const record = numberedRecord(3, 300);
    const value = encodeRecord(3, 1234, record);
    assert.deepEqual(plain(decodeRecord(3, value)), plain(record));
    for (let bit = 0; bit < value.byteLength * 8; bit++) {
      const altered = Buffer.from(value);
      altered[bit >> 3] = (altered[bit >> 3] as number) ^ (1 << (bit & 7));
      assert.throws(() => decodeRecord(3, altered), LogDamaged, `bit ${bit}`);
    }
    for (let end = 0; end < value.byteLength; end++) {
      assert.throws(() => decodeRecord(3, value.subarray(0, end)), LogDamaged, `cut at ${end}`);
    }
    assert.throws(() => decodeRecord(4, value), LogDamaged, 'another record’s place');
    assert.throws(() => decodeRecord(3, undefined), LogDamaged);
  });

  const damages: [name: string, seq: number, remove: boolean][] = [
    ['the newest record is altered', 10, false],
    ['the newest record is gone, but not from the count', 5, true],
    ['the oldest record is gone', 1, true],
  ];
  for (const [name, seq, remove] of damages) {
    test(`is told when the log is opened: ${name}`, async () => {
      await using scratch = new Scratch();
      await tenRecords(scratch);
      const environment = scratch.open();
      const table = environment.table('log');
      const altered = table.get(seq) as Buffer;
      altered[200] = (altered[200] as number) ^ 4;
      await environment.write(() => (remove ? table.remove(seq) : table.put(seq, altered)));
      assert.throws(() => openLmdbLog(environment), LogDamaged);
    });
  }

  test('in the middle is told when it is read, after what comes before', async () => {
    await using scratch = new Scratch();
    await tenRecords(scratch);
    const environment = scratch.open();
    const table = environment.table('log');
    const altered = (table.get(6) as Buffer).subarray(0, 400);
    await environment.write(() => table.put(6, altered));
    const log = openLmdbLog(environment);
    const seen: number[] = [];
    await assert.rejects(
      async () => {
        for await (const { seq } of log.read(0)) seen.push(seq);
      },
      (error: unknown) => error instanceof LogDamaged && error.seq === 6,
    );
    assert.deepEqual(seen, [1, 2, 3, 4, 5]);
  });

  test('of the marker is told', async () => {
    await using scratch = new Scratch();
    const environment = scratch.open();
    const log = openLmdbLog(environment);
    log.append(numberedRecord(1, 5));
    await log.truncate(1);
    await environment.write(() => environment.table('log-marker').put('truncated', Buffer.alloc(24)));
    assert.throws(() => openLmdbLog(environment), LogDamaged);
  });
});

test('a log whose table is gone is not taken for a new one', async () => {
  await using scratch = new Scratch();
  await tenRecords(scratch);
  const root = open(join(scratch.directory, 'data.d'), { noSubdir: false, overlappingSync: false });
  root.openDB({ name: 'log' }).dropSync();
  await root.close();
  const environment = scratch.open();
  assert.throws(() => openLmdbLog(environment), /has lost its table log/);
});

test('whoever opens the directory last owns it: an earlier owner can append nothing more, and cannot recover', async () => {
  await using scratch = new Scratch();
  const first = openLmdbLog(scratch.open());
  await first.append(numberedRecord(1, 50)).durable;
  const second = openLmdbLog(scratch.open());
  await assert.rejects(first.append(numberedRecord(666, 50)).durable, LogUnavailable);
  assert.equal(first.available, false);
  assert.equal(first.last, 1);
  assert.throws(() => first.append(numberedRecord(666, 50)), LogUnavailable);
  await assert.rejects(first.recover(), /was opened by another process/);
  await second.append(numberedRecord(2, 50)).durable;
  assert.deepEqual(
    (await readAll(second, 0)).map(({ record }) => record),
    [1, 2].map((i) => plain(numberedRecord(i, 50))),
  );
});

test('refuses what would wait for the disk beyond its bound', async () => {
  await using scratch = new Scratch();
  const log = openLmdbLog(scratch.open(), { pendingBytesMax: 3000 });
  const taken = [log.append(numberedRecord(1, 1000)), log.append(numberedRecord(2, 1000))];
  assert.throws(() => log.append(numberedRecord(3, 1000)), LogUnavailable);
  await Promise.all(taken.map(({ durable }) => durable));
  assert.equal(log.append(numberedRecord(3, 1000)).seq, 3);
});

test('a directory that cannot be one is told at once', async () => {
  await using scratch = new Scratch();
  writeFileSync(join(scratch.directory, 'file'), '');
  assert.throws(() => scratch.open('file/data'), /cannot open .*file\/data/);
});

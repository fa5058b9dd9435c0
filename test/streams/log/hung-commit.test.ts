import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { LmdbLog } from '../../../src/streams/log/lmdb-log.ts';
import { LogUnavailable } from '../../../src/streams/log/port.ts';
import { Child } from './child.ts';
import { numberedRecord, plain, readAll } from './records.ts';
import { Scratch } from './scratch.ts';

test('a commit that hangs is refused after a while; should it come through later, it is taken back before the log goes on', async () => {
  await using scratch = new Scratch();
  const environment = scratch.open('data', { commitMsMax: 300 });
  const log = new LmdbLog(environment);
  await log.append(numberedRecord(1, 100)).durable;
  const holder = new Child(import.meta.url, 'hold-child', [join(scratch.directory, 'data')]);
  await holder.says('held');
  await assert.rejects(log.append(numberedRecord(666, 100)).durable, LogUnavailable);
  assert.deepEqual([log.last, log.available], [1, false]);
  await assert.rejects(log.recover(), LogUnavailable, 'it still hangs');
  holder.tell('go on');
  await holder.ended();
  // The commit that was given up comes through now: it is there, as a reader of the table sees.
  const table = environment.table('log');
  while (table.get(2) === undefined) await new Promise(setImmediate);
  let recovered = false;
  while (!recovered)
    recovered = await log.recover().then(
      () => true,
      () => new Promise(setImmediate).then(() => false),
    );
  assert.equal(table.get(2), undefined);
  assert.equal(log.append(numberedRecord(2, 100)).seq, 2);
  assert.deepEqual(
    (await readAll(log, 0)).map(({ record }) => record),
    [1, 2].map((i) => plain(numberedRecord(i, 100))),
  );
});

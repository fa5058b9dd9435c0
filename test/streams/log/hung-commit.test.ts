import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { StoreUnavailable } from '../../../src/streams/lmdb/open.ts';
import { openLmdbLog } from '../../../src/streams/log/lmdb-log.ts';
import { LogUnavailable } from '../../../src/streams/log/port.ts';
import { Child } from './child.ts';
import { numberedRecord, plain, readAll } from './records.ts';
import { Scratch } from './scratch.ts';

const COMMIT_MS_MAX = 300;

test('a commit that hangs is refused after a while; should it come through later, it is taken back before the log goes on', async (t) => {
  await using scratch = new Scratch();
  // Time passes when the test says: no other commit takes too long.
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const environment = scratch.open('data', { commitMsMax: COMMIT_MS_MAX });
  const log = openLmdbLog(environment);
  await log.append(numberedRecord(1, 100)).durable;
  const table = environment.table('log');
  const other = environment.table('other');
  const holder = scratch.own(new Child(import.meta.url, 'hold-child', [join(scratch.directory, 'data')]));
  await holder.says('held');
  const hung = log.append(numberedRecord(666, 100)).durable;
  // Let it begin: what is asked for from now on waits behind it.
  await new Promise(setImmediate);
  const waiting = environment.write(() => other.put(1, Buffer.from('after a gap')));
  t.mock.timers.tick(COMMIT_MS_MAX);
  await assert.rejects(hung, LogUnavailable);
  await assert.rejects(waiting, StoreUnavailable);
  assert.deepEqual([log.last, log.available], [1, false]);
  await assert.rejects(log.recover(), LogUnavailable, 'it still hangs');
  holder.tell('go on');
  await holder.ended();
  // The commit that was given up comes through now: it is there, as a reader of the table sees.
  while (table.get(2) === undefined) await new Promise(setImmediate);
  let recovered = false;
  while (!recovered)
    recovered = await log.recover().then(
      () => true,
      () => new Promise(setImmediate).then(() => false),
    );
  assert.deepEqual([table.get(2), other.get(1)], [undefined, undefined]);
  assert.equal(log.append(numberedRecord(2, 100)).seq, 2);
  assert.deepEqual(
    (await readAll(log, 0)).map(({ record }) => record),
    [1, 2].map((i) => plain(numberedRecord(i, 100))),
  );
});

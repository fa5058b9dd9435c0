import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { LmdbCheckpointStore } from '../../../src/streams/checkpoints/lmdb-store.ts';
import { openLmdbLog } from '../../../src/streams/log/lmdb-log.ts';
import { Child } from '../log/child.ts';
import { Scratch } from '../log/scratch.ts';
import { notDamaged, numberedCheckpoint, plain } from './samples.ts';

test('a disk too full for a checkpoint: the earlier ones stay, the log takes nothing more, and both go on when there is room', async () => {
  await using scratch = new Scratch();
  const directory = join(scratch.directory, 'data');
  const child = scratch.own(new Child(import.meta.url, 'full-child', [directory], { fileBytesMax: 10 * 2 ** 20 }));
  await child.says('needs room');
  const saved = child.lines.filter((line) => line.startsWith('saved')).length;
  assert.ok(saved >= 2, `${saved} saved`);
  assert.equal(await child.says('refused'), `refused ${saved + 1} log false`);
  assert.equal(await child.says('again'), 'again false log false');
  child.liftLimit();
  child.tell('room');
  assert.equal(await child.says('with room'), 'with room true log true');
  assert.equal(await child.says('done'), 'done 2');
  await child.ended();
  const environment = scratch.open('data');
  const store = new LmdbCheckpointStore(environment, 10);
  assert.equal(store.oldestSeq(), 1);
  assert.deepEqual(plain(await store.newest(notDamaged)), plain(numberedCheckpoint(saved + 1)));
  assert.equal(openLmdbLog(environment).last, 2);
});

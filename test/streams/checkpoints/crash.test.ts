import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { LmdbCheckpointStore } from '../../../src/streams/checkpoints/lmdb-store.ts';
import { randomFrom } from '../../random.ts';
import { Child } from '../log/child.ts';
import { Scratch } from '../log/scratch.ts';
import { notDamaged, numberedCheckpoint, plain } from './samples.ts';

const KILLS = 12;
const SEED = 31;

test(`killed ${KILLS} times while it saves, the store offers the last one saved or the one after it, whole`, async () => {
  await using scratch = new Scratch();
  const directory = join(scratch.directory, 'data');
  const random = randomFrom(SEED);
  let known = 0;
  let cutShort = 0;
  let next = scratch.own(new Child(import.meta.url, 'crash-child', [directory]));
  for (let run = 1; run <= KILLS; run++) {
    const child = next;
    next = scratch.own(new Child(import.meta.url, 'crash-child', [directory]));
    child.tell('go');
    assert.equal(await child.says('open'), `open ${known}`);
    await child.says(`saving ${known + 1 + Math.floor(random() * 3)}`);
    await setTimeout(random() * 15);
    await child.kill();
    const saved = Math.max(
      known,
      ...child.lines.filter((line) => line.startsWith('saved')).map((line) => +line.slice(6)),
    );
    const environment = scratch.open('data');
    const newest = await new LmdbCheckpointStore(environment, 2).newest(notDamaged);
    const seq = newest?.seq ?? 0;
    assert.ok(seq === saved || seq === saved + 1, `kill ${run}: saved ${saved}, offered ${seq}`);
    assert.deepEqual(plain(newest), seq === 0 ? null : plain(numberedCheckpoint(seq)), `kill ${run}`);
    if (child.lines.at(-1)?.startsWith('saving') === true) cutShort++;
    known = seq;
    await environment.close();
  }
  await next.kill();
  assert.ok(cutShort >= KILLS / 2, `only ${cutShort} saves were cut short`);
});

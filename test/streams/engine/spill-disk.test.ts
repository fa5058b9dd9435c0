/**
 * What becomes of state on disk when the disk fails: it is restored from what is good, or the streams stop and say which
 * file; never is a result wrong. A disk that is full, or filled up to the stream's limit, refuses events.
 */
import assert from 'node:assert/strict';
import { readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { FULL_PATIENCE_MS } from '../../../src/streams/engine/intake/when-full.ts';
import { openStores } from '../../../src/streams/stores.ts';
import { Child } from '../log/child.ts';
import { Scratch } from '../log/scratch.ts';
import type { Rig } from './rig.ts';
import { refusalOf } from './rig.ts';
import { countedWith, keysOf, LAST, newestFiles, Rigs, spilledBytes, spillFiles } from './spill-case.ts';

const KEYS = 300;
const AWAY = { onFull: 'spill', keysMax: 1 } as const;

const DAMAGES: Readonly<Record<string, (file: string) => void>> = {
  'has lost its end': (file) => truncateSync(file, 100),
  'has a bit changed': (file) => {
    const bytes = readFileSync(file);
    bytes[50] = (bytes[50] as number) ^ 4;
    writeFileSync(file, bytes);
  },
  'is gone': (file) => rmSync(file),
};

function openIn(rigs: Rigs, dataDir: string, definition: StreamDefinition): Promise<Rig> {
  const definitions = [{ ...definition, durability: 'fsync' as const }];
  return rigs.open(definitions, { stores: () => openStores({ definitions, dataDir, logBytesMax: 2 ** 30 }) });
}

async function counts(rig: Rig): Promise<number[]> {
  await rig.send('s', [LAST]);
  const rows = await rig.rows('s', 'w');
  assert.equal(rows.length, KEYS);
  return [...new Set(rows.map(({ values }) => values['n'] as number))];
}

describe('a file of a shard', () => {
  for (const [damage, inflict] of Object.entries(DAMAGES)) {
    test(`that ${damage} is made anew from the last base and the steps since`, async () => {
      await using scratch = new Scratch();
      await using rigs = new Rigs();
      const rig = await openIn(rigs, scratch.directory, countedWith(AWAY));
      for (let at = 1; at <= 3; at++) await rig.send('s', keysOf(at, KEYS));
      // From here on the state of now is the base; the files of the next rounds are others.
      await rig.checkpoint();
      const base = spillFiles(scratch.directory);
      await rig.send('s', keysOf(4, KEYS));
      const now = spillFiles(scratch.directory).filter((file) => !base.includes(file));
      assert.equal(now.length, 4, 'one for each shard');
      for (const file of now.slice(0, 3)) inflict(file);
      await rig.send('s', keysOf(5, KEYS));
      assert.deepEqual(await counts(rig), [5]);
      const told = rig.troubles.filter(({ message }) => message.startsWith('state on disk is damaged'));
      assert.equal(told.length, 3);
      assert.ok(String(told[0]?.fields['err' as keyof object]).includes(join(scratch.directory, 'spill')));
      await rigs.close(rig);
    });

    test(`that ${damage}, and is the base itself, stops the streams; the next start counts all`, async () => {
      await using scratch = new Scratch();
      await using rigs = new Rigs();
      let rig = await openIn(rigs, scratch.directory, countedWith(AWAY));
      for (let at = 1; at <= 3; at++) await rig.send('s', keysOf(at, KEYS));
      await rig.checkpoint();
      const [file] = spillFiles(scratch.directory) as [string];
      inflict(file);
      // It is in the log, though nobody is told that it counts.
      assert.match(await refusalOf(rig.send('s', keysOf(4, KEYS))), /SpillProblem/);
      assert.deepEqual(rig.service.degraded, ['streams']);
      const trouble = rig.troubles.find(({ message }) => message === 'the streams cannot go on');
      assert.ok(String(trouble?.fields['err' as keyof object]).includes(file), 'the file is named');
      assert.equal(await refusalOf(rig.send('s', keysOf(5, KEYS))), 'stopped');
      await rigs.close(rig);
      assert.deepEqual(spillFiles(scratch.directory), []);
      rig = await openIn(rigs, scratch.directory, countedWith(AWAY));
      assert.deepEqual(await counts(rig), [4]);
      await rigs.close(rig);
    });
  }
});

test('all files of all shards but the first are lost, again and again, and every event counts once', async () => {
  await using scratch = new Scratch();
  await using rigs = new Rigs();
  const rig = await openIn(rigs, scratch.directory, countedWith(AWAY));
  for (let at = 1; at <= 6; at++) {
    if (at > 3) for (const file of newestFiles(scratch.directory)) rmSync(file);
    await rig.send('s', keysOf(at, KEYS));
  }
  assert.deepEqual(await counts(rig), [6]);
  assert.equal(rig.troubles.length, 12);
  await rigs.close(rig);
});

function damage(file: string): void {
  try {
    truncateSync(file, 10);
  } catch (error) {
    // One whose shard was written anew is being deleted.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

test('a checkpoint does not take over what is damaged: it is none, and the one before it stays', async () => {
  await using scratch = new Scratch();
  await using rigs = new Rigs();
  let rig = await openIn(rigs, scratch.directory, countedWith(AWAY));
  await rig.send('s', keysOf(1, KEYS));
  await rig.checkpoint();
  await rig.send('s', keysOf(2, KEYS));
  await rig.send('s', keysOf(3, KEYS));
  for (const file of spillFiles(scratch.directory)) damage(file);
  await assert.rejects(rig.checkpoint(), /spill/);
  await rigs.abandon(rig);
  rig = await openIn(rigs, scratch.directory, countedWith(AWAY));
  assert.deepEqual(await counts(rig), [3]);
  await rigs.close(rig);
});

test('a shard on disk that cannot be written stops the streams, and nothing of the round is told', async () => {
  await using scratch = new Scratch();
  await using rigs = new Rigs();
  let rig = await openIn(rigs, scratch.directory, countedWith(AWAY));
  for (let at = 1; at <= 3; at++) await rig.send('s', keysOf(at, KEYS));
  const [file] = spillFiles(scratch.directory) as [string];
  const numbers = spillFiles(scratch.directory).map((name) => Number(name.split('-').at(-1)));
  // Files are made anew: names that are taken are as good as a disk that takes nothing.
  for (let shard = 0; shard < 4; shard++) {
    for (let more = 1; more < 20; more++) {
      writeFileSync(join(file, '..', `shard-${shard}-${Math.max(...numbers) + more}`), '');
    }
  }
  assert.match(await refusalOf(rig.send('s', keysOf(4, KEYS))), /SpillProblem: .*EEXIST.*spill/);
  assert.deepEqual(rig.service.degraded, ['streams']);
  await rigs.close(rig);
  rig = await openIn(rigs, scratch.directory, countedWith(AWAY));
  assert.deepEqual(await counts(rig), [4]);
  await rigs.close(rig);
});

test('a disk that is full when memory is: events are refused until there is room, and none is lost', async () => {
  await using scratch = new Scratch();
  const child = scratch.own(new Child(import.meta.url, 'spill-child', [scratch.directory], { fileBytesMax: 2 ** 20 }));
  await child.says('needs room');
  assert.deepEqual(
    child.lines.slice(0, 4),
    ['first ', 'second ', 'degraded stream spill', 'third full'],
    'what does not fit stays in memory',
  );
  child.liftLimit();
  child.tell('room');
  assert.equal(await child.says('with room'), 'with room  degraded ');
  assert.equal(await child.says('done'), 'done 60000 keys 60020 events, troubles 1');
  await child.ended();
});

test('a stream with more on disk than its limit is refused until windows have closed', async () => {
  await using rigs = new Rigs();
  const limits = { ...AWAY, spillBytesMax: 2 ** 20 };
  // A batch is one round, however little is known of the time.
  const oneRound = { resultsAtOnce: 100_000 };
  const rig = await rigs.open([countedWith(limits), { ...countedWith({}), name: 'other' }], oneRound);
  await rig.send('s', keysOf(1, 60_000));
  await rig.send('s', keysOf(2, 10));
  assert.ok((await spilledBytes(rig, 's')) > 2 ** 20);
  assert.equal((await spilledBytes(rig, 'other')) < 2 ** 18, true);
  assert.equal(await refusalOf(rig.send('s', keysOf(3, 1))), 'full');
  assert.equal(await refusalOf(rig.send('other', keysOf(3, 1))), '');
  rig.nowMs += FULL_PATIENCE_MS;
  assert.deepEqual(await rig.send('s', keysOf(3, 1)), { accepted: 0, rejected: 1, late: 0 }, 'or set aside');
  assert.equal((await rig.service.deadLetters('s', '', 10)).length, 1);
  const later = await rig.send('s', [{ at: 300_000, k: 'later' }]);
  assert.deepEqual(later, { accepted: 1, rejected: 0, late: 0 }, 'windows have closed');
  assert.equal(await refusalOf(rig.send('s', keysOf(300_001, 10))), '');
  await rigs.close(rig);
});

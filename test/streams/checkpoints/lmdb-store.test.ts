import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LmdbCheckpointStore } from '../../../src/streams/checkpoints/lmdb-store.ts';
import type { LmdbEnvironment, LmdbTable, TableKey } from '../../../src/streams/lmdb/open.ts';
import { Scratch } from '../log/scratch.ts';
import { notDamaged, numberedCheckpoint, plain, smallCheckpoint } from './samples.ts';
import { storeContract } from './store-contract.ts';

storeContract('LMDB', (scratch, keep) => new LmdbCheckpointStore(scratch.open(), keep));

const tables = (environment: LmdbEnvironment): LmdbTable[] => [
  environment.table('checkpoints'),
  environment.table('checkpoint-pieces'),
];
const keysOf = (table: LmdbTable): TableKey[] => table.keys({ limit: 10_000 });

test('what was saved is there when it is opened again, and ids go on', async () => {
  await using scratch = new Scratch();
  const environment = scratch.open();
  const store = new LmdbCheckpointStore(environment, 2);
  for (const seq of [1, 2, 3]) await store.save(numberedCheckpoint(seq));
  await store.close();
  await environment.close();
  const again = new LmdbCheckpointStore(scratch.open(), 2);
  assert.equal(again.oldestSeq(), 2);
  assert.deepEqual(plain(await again.newest(notDamaged)), plain(numberedCheckpoint(3)));
  await again.save(numberedCheckpoint(4));
  assert.equal(again.oldestSeq(), 3);
  assert.deepEqual(plain(await again.newest(notDamaged)), plain(numberedCheckpoint(4)));
});

test('pieces are at most a megabyte, without the zeros at their ends, and go with their checkpoint', async () => {
  await using scratch = new Scratch();
  const environment = scratch.open();
  const store = new LmdbCheckpointStore(environment, 1);
  await store.save(numberedCheckpoint(1));
  const [, pieces] = tables(environment) as [LmdbTable, LmdbTable];
  const sizes = keysOf(pieces).map((key) => pieces.get(key)?.byteLength ?? 0);
  const texts = 13 + 17;
  assert.ok(Math.max(...sizes) <= 2 ** 20);
  assert.ok(sizes.reduce((sum, size) => sum + size, 0) <= 2_500_000 + 100_000 + 777 + texts);
  const count = pieces.count;
  await store.save(numberedCheckpoint(1));
  assert.equal(pieces.count, count);
});

test('zeros at the end are only those whose every bit is zero', async () => {
  await using scratch = new Scratch();
  const store = new LmdbCheckpointStore(scratch.open());
  const endings = [[-0], [-0, 0], [Number.MIN_VALUE, 0], [0, 0], []];
  const chunks = new Map(endings.map((end, i) => [`${i}`, new Uint8Array(Float64Array.of(1, ...end).buffer)]));
  const checkpoint = { seq: 1, definitionsJson: '', factsJson: '', chunks };
  await store.save(checkpoint);
  assert.deepEqual(plain(await store.newest(notDamaged)), plain(checkpoint));
});

test('a save that failed leaves the earlier ones, and the next one clears up after it', async () => {
  await using scratch = new Scratch();
  const environment = scratch.open();
  const store = new LmdbCheckpointStore(environment);
  await store.save(numberedCheckpoint(1));
  const [manifests, pieces] = tables(environment) as [LmdbTable, LmdbTable];
  const count = pieces.count;
  // What a save that was cut short leaves: pieces of an id without a manifest.
  await environment.write(() => {
    for (let i = 0; i < 600; i++) pieces.put([77, 0, i], Buffer.from('leftover'));
  });
  const again = new LmdbCheckpointStore(environment);
  assert.deepEqual(plain(await again.newest(notDamaged)), plain(numberedCheckpoint(1)));
  await again.save(numberedCheckpoint(2));
  assert.equal(pieces.count, count * 2);
  assert.deepEqual(
    keysOf(manifests).map((key) => (key as number[])[1]),
    [1, 2],
  );
});

test('a save that was told to have failed and is there all the same goes whole', async () => {
  await using scratch = new Scratch();
  const environment = scratch.open();
  const store = new LmdbCheckpointStore(environment);
  await store.save(smallCheckpoint(1));
  const [manifests] = tables(environment) as [LmdbTable, LmdbTable];
  const { write } = environment;
  environment.write = async (work) => {
    const before = manifests.count;
    await write.call(environment, work);
    if (manifests.count > before) throw new Error('told by the test');
  };
  await assert.rejects(store.save(smallCheckpoint(2)), /told by the test/);
  environment.write = write;
  await store.save(smallCheckpoint(3));
  assert.deepEqual(
    keysOf(manifests).map((key) => (key as number[])[1]),
    [1, 3],
  );
});

test('two saves at a time are a mistake of the caller', async () => {
  await using scratch = new Scratch();
  const store = new LmdbCheckpointStore(scratch.open());
  const saving = store.save(numberedCheckpoint(1));
  assert.throws(() => void store.save(numberedCheckpoint(2)), /being saved/);
  await saving;
});

/** Every stored value of the newer of two checkpoints, altered by `alter` in each of the ways it yields. */
async function eachDamage(alter: (value: Buffer) => Generator<[Buffer, string]>): Promise<number> {
  await using scratch = new Scratch();
  const environment = scratch.open();
  const store = new LmdbCheckpointStore(environment);
  await store.save(smallCheckpoint(100));
  await store.save(smallCheckpoint(200));
  const older = plain(smallCheckpoint(100));
  let damages = 0;
  for (const table of tables(environment)) {
    for (const key of keysOf(table).filter((each) => (each as number[])[0] === 2)) {
      const value = table.get(key) as Buffer;
      for (const [altered, how] of alter(value)) {
        await environment.write(() => table.put(key, altered));
        const told: number[] = [];
        const newest = await store.newest((seq) => told.push(seq));
        assert.deepEqual([plain(newest), told], [older, [200]], `${JSON.stringify(key)} ${how}`);
        damages++;
      }
      await environment.write(() => table.put(key, value));
    }
  }
  assert.deepEqual(plain(await store.newest(notDamaged)), plain(smallCheckpoint(200)), 'put right again');
  return damages;
}

describe('a damaged checkpoint is told and the one before it is used', () => {
  test('a bit flipped at every 64 bytes of what is stored', async () => {
    const damages = await eachDamage(function* (value) {
      for (let at = 0; at < value.byteLength; at += 64) {
        const altered = Buffer.from(value);
        altered[at] = (altered[at] as number) ^ (1 << ((at / 64) % 8));
        yield [altered, `bit flipped at ${at}`];
      }
    });
    assert.ok(damages > 150, `${damages} damages`);
  });

  test('truncated at every 64 bytes of what is stored, and by the last byte', async () => {
    const damages = await eachDamage(function* (value) {
      // LMDB keeps no value under a key that was never put: none at all is a case of its own, below.
      for (let end = 0; end < value.byteLength; end += 64) yield [value.subarray(0, end), `cut at ${end}`];
      yield [value.subarray(0, -1), 'cut by one'];
    });
    assert.ok(damages > 150, `${damages} damages`);
  });

  test('pieces missing, exchanged, or of another checkpoint', async () => {
    await using scratch = new Scratch();
    const environment = scratch.open();
    const store = new LmdbCheckpointStore(environment);
    await store.save(numberedCheckpoint(100));
    await store.save(numberedCheckpoint(200));
    const [manifests, pieces] = tables(environment) as [LmdbTable, LmdbTable];
    const older = plain(numberedCheckpoint(100));
    const damaged = async (damage: () => void, reason: RegExp): Promise<void> => {
      const before = keysOf(pieces).map((key): [TableKey, Buffer] => [key, pieces.get(key) as Buffer]);
      await environment.write(damage);
      const told: string[] = [];
      assert.deepEqual(plain(await store.newest((seq, why) => told.push(`${seq}: ${why}`))), older);
      assert.match(told.join(), reason);
      await environment.write(() => {
        for (const [key, value] of before) pieces.put(key, value);
      });
    };
    const first = pieces.get([2, 2, 0]) as Buffer;
    const second = pieces.get([2, 2, 1]) as Buffer;
    const othersFirst = pieces.get([1, 2, 0]) as Buffer;
    await damaged(() => pieces.remove([2, 2, 0]), /^200: piece 0 of shard 0 group 0: 0 bytes instead of 1048576$/);
    await damaged(() => {
      pieces.put([2, 2, 0], second);
      pieces.put([2, 2, 1], first);
    }, /^200: piece 0 of shard 0 group 0: checksum does not match$/);
    await damaged(() => pieces.put([2, 2, 0], othersFirst), /checksum/);
    const othersManifest = manifests.get([1, 100]) as Buffer;
    await damaged(() => manifests.put([2, 200], othersManifest), /^200: manifest: checksum/);
  });

  test('all of them: none is used and each is told; the next save takes their place', async () => {
    await using scratch = new Scratch();
    const environment = scratch.open();
    const store = new LmdbCheckpointStore(environment, 2);
    await store.save(smallCheckpoint(1));
    await store.save(smallCheckpoint(2));
    const [manifests] = tables(environment) as [LmdbTable];
    await environment.write(() => {
      for (const key of keysOf(manifests)) manifests.put(key, Buffer.from('?'));
    });
    const told: number[] = [];
    assert.equal(await store.newest((seq) => told.push(seq)), null);
    assert.deepEqual(told, [2, 1]);
    await store.save(smallCheckpoint(3));
    await store.save(smallCheckpoint(4));
    assert.deepEqual(plain(await store.newest(notDamaged)), plain(smallCheckpoint(4)));
    assert.equal(store.oldestSeq(), 3);
  });

  test('a damaged one makes room before a good one does', async () => {
    await using scratch = new Scratch();
    const environment = scratch.open();
    const store = new LmdbCheckpointStore(environment, 2);
    await store.save(smallCheckpoint(1));
    await store.save(smallCheckpoint(2));
    await environment.write(() => tables(environment)[0]?.put([2, 2], Buffer.from('?')));
    assert.equal((await store.newest(() => undefined))?.seq, 1);
    await store.save(smallCheckpoint(3));
    assert.equal(store.oldestSeq(), 1);
  });
});

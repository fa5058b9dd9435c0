/**
 * What every checkpoint store must do; each implementation's test runs it.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { CheckpointStore } from '../../../src/streams/checkpoints/port.ts';
import { Scratch } from '../log/scratch.ts';
import { anyCheckpoint, notDamaged, numberedCheckpoint, plain } from './samples.ts';

/** Makes a new, empty store. */
type MakeStore = (scratch: Scratch, keep?: number) => CheckpointStore | Promise<CheckpointStore>;

export function storeContract(name: string, make: MakeStore): void {
  describe(`checkpoint store contract: ${name}`, () => {
    test('has none at first', async () => {
      await using scratch = new Scratch();
      const store = await make(scratch);
      assert.equal(await store.newest(notDamaged), null);
      assert.equal(store.oldestSeq(), 0);
      await store.close();
    });

    test('gives back the newest, whole, in shared memory of exactly its size', async () => {
      await using scratch = new Scratch();
      const store = await make(scratch);
      for (const seq of [10, 25]) await store.save(numberedCheckpoint(seq));
      const newest = await store.newest(notDamaged);
      assert.deepEqual(plain(newest), plain(numberedCheckpoint(25)));
      for (const bytes of newest?.chunks.values() ?? []) {
        assert.ok(bytes.buffer instanceof SharedArrayBuffer);
        assert.equal(bytes.buffer.byteLength, bytes.byteLength);
      }
      await store.close();
    });

    test('keeps as many as it should and knows the oldest', async () => {
      await using scratch = new Scratch();
      const store = await make(scratch, 2);
      const oldest: number[] = [];
      for (const seq of [1, 5, 5, 9]) {
        await store.save(numberedCheckpoint(seq));
        oldest.push(store.oldestSeq());
      }
      assert.deepEqual(oldest, [1, 1, 5, 5]);
      await store.close();
    });

    test('is not reached by what happens to the contents after they were saved, or read', async () => {
      await using scratch = new Scratch();
      const store = await make(scratch);
      const checkpoint = numberedCheckpoint(3);
      await store.save(checkpoint);
      for (const bytes of checkpoint.chunks.values()) bytes.fill(99);
      for (const bytes of (await store.newest(notDamaged))?.chunks.values() ?? []) bytes.fill(77);
      assert.deepEqual(plain(await store.newest(notDamaged)), plain(numberedCheckpoint(3)));
      await store.close();
    });

    test('gives back any contents', async () => {
      await using scratch = new Scratch();
      const store = await make(scratch);
      await fc.assert(
        fc.asyncProperty(anyCheckpoint, async (checkpoint) => {
          await store.save(checkpoint);
          assert.deepEqual(plain(await store.newest(notDamaged)), plain(checkpoint));
        }),
        { numRuns: 40 },
      );
      await store.close();
    });
  });
}

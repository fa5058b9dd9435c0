import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LmdbDeadLetterStore } from '../../../src/streams/dead-letters/lmdb-store.ts';
import { LettersUnavailable } from '../../../src/streams/dead-letters/port.ts';
import { Scratch } from '../log/scratch.ts';
import { letter, list, stored } from './letters.ts';
import { storeContract } from './store-contract.ts';

storeContract('LMDB', (scratch, limits) => new LmdbDeadLetterStore(scratch.open(), limits));

test('letters, counts and the newest place are there when it is opened again', async () => {
  await using scratch = new Scratch();
  const environment = scratch.open();
  const store = new LmdbDeadLetterStore(environment, { lettersMax: 3, bytesMax: 10_000 });
  const letters = [1, 2, 3, 4, 5].map((seq) => letter('s', seq, 0));
  await store.add(letters);
  await store.take('s', ['5:0']);
  const counts = store.counts();
  await store.close();
  await environment.close();
  const again = new LmdbDeadLetterStore(scratch.open());
  assert.deepEqual(again.counts(), counts);
  await again.add(letters);
  assert.deepEqual(await list(again, 's'), letters.slice(2, 4).map(stored), 'what was dropped or taken stays away');
});

test('a letter that was altered is left out and counted; an altered box is counted anew', async () => {
  await using scratch = new Scratch();
  const environment = scratch.open();
  const store = new LmdbDeadLetterStore(environment);
  const letters = [1, 2, 3].map((seq) => letter('s', seq, 7));
  await store.add(letters);
  const counts = store.counts();
  const boxes = environment.table('dead-letter-boxes');
  await environment.write(() => boxes.put('s', Buffer.from('?')));
  const recounted = new LmdbDeadLetterStore(environment);
  assert.deepEqual(recounted.counts(), counts);
  await recounted.add(letters);
  assert.equal(recounted.counts()[0]?.letters, 3);
  const table = environment.table('dead-letters');
  const altered = table.get(['s', 2, 7]) as Buffer;
  altered[30] = (altered[30] as number) ^ 1;
  await environment.write(() => table.put(['s', 2, 7], altered));
  const before = recounted.damaged;
  assert.deepEqual(
    (await list(recounted, 's')).map(({ id }) => id),
    ['1:7', '3:7'],
  );
  assert.equal(recounted.damaged, before + 1);
});

test('what cannot be written is told to who added it, and the store is as it was', async () => {
  await using scratch = new Scratch();
  const store = new LmdbDeadLetterStore(scratch.open());
  await store.add([letter('s', 1, 0)]);
  // Whoever opens the directory takes it over.
  scratch.open();
  const counts = store.counts();
  await assert.rejects(store.add([letter('s', 2, 0)]), LettersUnavailable);
  await assert.rejects(store.remove('s', ['1:0']), LettersUnavailable);
  assert.deepEqual(store.counts(), counts);
  assert.equal((await list(store, 's')).length, 1);
});

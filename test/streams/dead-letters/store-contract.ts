/**
 * What every dead-letter store must do; each implementation's test runs it.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  type DeadLetter,
  type DeadLetterLimits,
  type DeadLetterStore,
  letterBytes,
} from '../../../src/streams/dead-letters/port.ts';
import { Scratch } from '../log/scratch.ts';
import { letter, list, stored } from './letters.ts';

/** Makes a new, empty store. */
type MakeStore = (scratch: Scratch, limits?: DeadLetterLimits) => DeadLetterStore | Promise<DeadLetterStore>;

export function storeContract(name: string, make: MakeStore): void {
  describe(`dead-letter store contract: ${name}`, () => {
    keeping(make);
    noted(make);
    bounded(make);
    modelled(make);
  });
}

function keeping(make: MakeStore): void {
  test('keeps letters as they came, by stream, oldest first, and pages through them', async () => {
    await using scratch = new Scratch();
    const store = await make(scratch);
    const orders = [
      letter('orders', 9, 0),
      letter('orders', 9, 1, 0),
      letter('orders', 10, 0),
      letter('orders', 100, 5),
    ];
    await store.add([orders[0], letter('ord', 3, 0), orders[1]] as DeadLetter[]);
    await store.add([orders[2], orders[3], letter('orders2', 1, 0)] as DeadLetter[]);
    await store.add([]);
    assert.deepEqual(await list(store, 'orders'), orders.map(stored));
    assert.deepEqual(await list(store, 'orders', '9:1', 1), [stored(orders[2] as DeadLetter)]);
    assert.deepEqual(await list(store, 'orders', '100:5'), []);
    assert.deepEqual(await list(store, 'orders', '9:0', 0), []);
    assert.deepEqual(await list(store, 'nobody'), []);
    assert.deepEqual(
      store.counts().map(({ stream, letters, dropped }) => [stream, letters, dropped]),
      [
        ['ord', 1, 0],
        ['orders', 4, 0],
        ['orders2', 1, 0],
      ],
    );
    await store.close();
  });

  test('gives out what is taken once, and forgets what is removed', async () => {
    await using scratch = new Scratch();
    const store = await make(scratch);
    const letters = [1, 2, 3, 4].map((seq) => letter('s', seq, 0));
    await store.add(letters);
    const ids = ['2:0', '2:0', '77:1', 'nonsense', '__proto__', '3:0'];
    const [taken, again] = await Promise.all([store.take('s', ids), store.take('s', ids)]);
    assert.deepEqual(
      taken.map(({ id }) => id),
      ['2:0', '3:0'],
    );
    assert.deepEqual(again, []);
    assert.equal(await store.remove('s', ['1:0', '2:0']), 1);
    assert.equal(await store.remove('nobody', ['1:0']), 0);
    assert.deepEqual(
      (await list(store, 's')).map(({ id }) => id),
      ['4:0'],
    );
    assert.deepEqual(store.counts(), [
      { stream: 's', letters: 1, bytes: letterBytes(letters[3] as DeadLetter), dropped: 0 },
    ]);
    await store.close();
  });

  test('a replay of the log neither doubles a letter nor brings back one that was taken', async () => {
    await using scratch = new Scratch();
    const store = await make(scratch);
    const letters = [letter('s', 5, 0), letter('s', 5, 1), letter('s', 6, 0)];
    await store.add(letters);
    await store.take('s', ['5:1']);
    await store.add([...letters, letter('s', 6, 1)]);
    assert.deepEqual(
      (await list(store, 's')).map(({ id }) => id),
      ['5:0', '6:0', '6:1'],
    );
    await store.close();
  });
}

function noted(make: MakeStore): void {
  const ids = async (store: DeadLetterStore, stream: string) => (await list(store, stream)).map(({ id }) => id);

  test('a letter with a note has its place among later ones, once, whatever became of it', async () => {
    await using scratch = new Scratch();
    const store = await make(scratch);
    await store.add([letter('s', 5, 0), letter('s', 9, 0), letter('s', 9, 1)]);
    await store.remove('s', ['9:1']);
    const [note, its] = [letter('(n)', 7, 3, 0), letter('s', 7, 3)];
    await store.addNoted(note, its);
    assert.deepEqual(await list(store, 's'), [letter('s', 5, 0), its, letter('s', 9, 0)].map(stored));
    await store.remove('s', ['7:3']);
    await store.addNoted(note, its);
    assert.deepEqual([await ids(store, 's'), await ids(store, '(n)')], [['5:0', '9:0'], ['7:3']]);
    // Notes as well come in any order; what is ordinary still has to rise.
    await store.addNoted(letter('(n)', 2, 0, 0), null);
    await store.addNoted(letter('(n)', 6, 0, 0), letter('s', 6, 0));
    await store.add([letter('s', 8, 0), letter('s', 9, 1), letter('s', 9, 2)]);
    assert.deepEqual(
      [await ids(store, 's'), await ids(store, '(n)')],
      [
        ['5:0', '6:0', '9:0', '9:2'],
        ['2:0', '6:0', '7:3'],
      ],
    );
    assert.deepEqual(
      store.counts().map(({ bytes, dropped, letters, stream }) => [stream, letters, bytes, dropped]),
      await Promise.all(
        ['(n)', 's'].map(async (stream) => {
          const all = await list(store, stream);
          return [stream, all.length, bytesOf(all), 0];
        }),
      ),
    );
    await store.close();
  });

  test('behind a letter with a note others rise on, and one that is there stays as it is', async () => {
    await using scratch = new Scratch();
    const store = await make(scratch);
    await store.addNoted(letter('(n)', 4, 0, 0), letter('s', 4, 0));
    await store.add([letter('s', 3, 0), letter('s', 5, 0)]);
    await store.addNoted(letter('(n)', 5, 0, 0), letter('s', 5, 0));
    assert.deepEqual(
      [await ids(store, 's'), await ids(store, '(n)')],
      [
        ['4:0', '5:0'],
        ['4:0', '5:0'],
      ],
    );
    await store.close();
  });

  test('letters with notes are bounded as others are, notes are not', async () => {
    await using scratch = new Scratch();
    const store = await make(scratch, { lettersMax: 3, bytesMax: 10_000 });
    for (let seq = 1; seq <= 9; seq++) await store.addNoted(letter('(n)', seq, 0, 0), letter('s', seq, 0));
    assert.deepEqual([await ids(store, 's'), (await ids(store, '(n)')).length], [['7:0', '8:0', '9:0'], 9]);
    const counts = store.counts();
    assert.deepEqual(
      counts.map(({ dropped, letters }) => [letters, dropped]),
      [
        [9, 0],
        [3, 6],
      ],
    );
    await store.close();
  });
}

function bounded(make: MakeStore): void {
  test('drops the oldest of a stream past its limits, and counts them', async () => {
    await using scratch = new Scratch();
    const store = await make(scratch, { lettersMax: 100, bytesMax: 100_000 });
    await store.add([letter('other', 1, 0)]);
    for (let seq = 1; seq <= 30; seq++) await store.add(Array.from({ length: 10 }, (_, i) => letter('s', seq, i)));
    const kept = await list(store, 's');
    assert.deepEqual([kept.length, kept[0]?.id, kept.at(-1)?.id], [100, '21:0', '30:9']);
    await store.add([letter('s', 31, 0, 90_000)]);
    const counts = store.counts().find(({ stream }) => stream === 's');
    assert.ok(counts !== undefined && counts.bytes <= 100_000 && counts.letters < 100);
    assert.equal(counts.letters + counts.dropped, 301);
    await store.add([letter('s', 32, 0, 100_001)]);
    assert.deepEqual(await list(store, 's'), [], 'one that can never fit takes all others with it');
    assert.deepEqual(store.counts().at(-1), { stream: 's', letters: 0, bytes: 0, dropped: 302 });
    assert.equal((await list(store, 'other')).length, 1);
    await store.close();
  });
}

type Step =
  | { do: 'add'; stream: string; sizes: number[]; again: boolean; wait: boolean }
  | { do: 'take'; stream: string; picks: number[] };

const LIMITS: DeadLetterLimits = { lettersMax: 12, bytesMax: 3000 };

function modelled(make: MakeStore): void {
  const stream = fc.constantFrom('a', 'b');
  const step: fc.Arbitrary<Step> = fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant('add' as const),
        stream,
        sizes: fc.array(fc.oneof(fc.nat(50), fc.nat(4000)), { minLength: 1, maxLength: 6 }),
        again: fc.boolean(),
        wait: fc.boolean(),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ do: fc.constant('take' as const), stream, picks: fc.array(fc.nat(20), { maxLength: 5 }) }),
    },
  );
  test('model: any additions, repeated ones too, and removals leave what a list would hold', async () => {
    await using scratch = new Scratch();
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        const store = await make(scratch, LIMITS);
        // The same directory may serve all runs: each has streams of its own.
        const name = (each: string): string => `${each}${run}`;
        run++;
        const model = new Map<string, { letters: DeadLetter[]; dropped: number; seq: number }>();
        for (const each of steps) {
          const its = model.get(name(each.stream)) ?? { letters: [], dropped: 0, seq: 0 };
          if (each.do === 'add') {
            model.set(name(each.stream), its);
            its.seq++;
            const added = each.sizes.map((size, i) => letter(name(each.stream), its.seq, i, size));
            const adding = [store.add(added), ...(each.again ? [store.add(added)] : [])];
            if (each.wait) await Promise.all(adding);
            its.letters.push(...added);
            while (its.letters.length > LIMITS.lettersMax || bytesOf(its.letters) > LIMITS.bytesMax) {
              its.letters.shift();
              its.dropped++;
            }
          } else {
            const ids = each.picks.flatMap((pick) => its.letters[pick] ?? []).map((of) => stored(of).id);
            const taken = await store.take(name(each.stream), ids);
            assert.deepEqual(new Set(taken.map(({ id }) => id)), new Set(ids));
            its.letters = its.letters.filter((of) => !ids.includes(stored(of).id));
          }
        }
        for (const [each, { letters, dropped }] of model) {
          await store.remove(each, []);
          assert.deepEqual(await list(store, each), letters.map(stored));
          const counts = store.counts().find(({ stream }) => stream === each);
          assert.deepEqual(counts, { stream: each, letters: letters.length, bytes: bytesOf(letters), dropped });
        }
        await store.close();
      }),
      { numRuns: 60 },
    );
  });
}

const bytesOf = (letters: readonly DeadLetter[]): number => letters.reduce((sum, of) => sum + letterBytes(of), 0);

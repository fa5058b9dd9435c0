/**
 * Copies of the state are written over the copies before the last, and batches over those nobody needs any more: that is
 * less memory, and no other result.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import type { ApplyTask, DecodeTask, ShardImage } from '../../../src/streams/engine/task.ts';
import { LocalThreads } from '../../../src/streams/engine/threads/local-threads.ts';
import { randomFrom } from '../../random.ts';
import { randomCase } from '../oracle/arbitrary.ts';
import { windowOf } from '../oracle/case.ts';
import { compareResults } from '../oracle/compare.ts';
import { expectedWindows } from '../oracle/windows.ts';
import { MortalThreads } from './faults.ts';
import { playStep, tapped } from './replay-case.ts';
import { openRig } from './rig.ts';

const SEEDS = Number(process.env['STREAM_SEEDS'] ?? 60);
const FIRST = Number(process.env['STREAM_SEED'] ?? 1);
const CHECKPOINTS = 6;

const COUNTED: StreamDefinition = {
  name: 's',
  schema: { fields: { at: 'integer', key: 'string' }, timestamp: { field: 'at' }, key: ['key'] },
  windows: [{ name: 'w', type: 'tumbling', sizeMs: 1000, aggregates: { n: 'count' } }],
};

/** Notes what memory tasks are done in. */
class NotingThreads extends LocalThreads {
  readonly copies: (readonly SharedArrayBuffer[])[] = [];
  readonly batches: SharedArrayBuffer[] = [];

  override async apply(task: ApplyTask): ReturnType<LocalThreads['apply']> {
    const result = await super.apply(task);
    const copies = result.shards.flatMap(({ copy }) => (copy === null ? [] : [copy]));
    if (copies.length > 0) this.copies.push(copies.flatMap(buffersOf));
    return result;
  }

  override async decode(task: DecodeTask): ReturnType<LocalThreads['decode']> {
    const result = await super.decode(task);
    this.batches.push(result.batch);
    return result;
  }
}

const buffersOf = ({ groups, operators }: ShardImage): readonly SharedArrayBuffer[] =>
  [...groups, ...operators].flatMap(({ buffers }) => buffers);

/** Copies nothing for as long as it is told to. */
class UncopyingThreads extends LocalThreads {
  refuses = false;
  asked = 0;

  override apply(task: ApplyTask): ReturnType<LocalThreads['apply']> {
    if (!task.steps.some(({ kind }) => kind === 'copy')) return super.apply(task);
    this.asked += 1;
    return this.refuses ? Promise.reject(new Error('no room')) : super.apply(task);
  }
}

/** The window of all batches stays open. */
const batchAt = (at: number): object[] => Array.from({ length: 20 }, (_, i) => ({ at, key: `k${i}` }));

test('the state is copied to two places by turns, and batches are written over once it is', async () => {
  let noting: NotingThreads | null = null;
  const rig = await openRig([COUNTED], {
    threads: (parts) => {
      noting = new NotingThreads(parts);
      return noting;
    },
  });
  for (let i = 0; i < CHECKPOINTS; i++) {
    await rig.send('s', batchAt(i));
    await rig.checkpoint();
  }
  const { batches, copies } = noting as unknown as NotingThreads;
  await rig.send('s', [{ at: 5000, key: 'k0' }]);
  const counts = (await rig.rows('s', 'w')).map(({ values }) => values['n']);
  assert.deepEqual(counts, new Array(20).fill(CHECKPOINTS));
  const last = copies.slice(-4);
  for (const [i, buffers] of last.entries()) {
    const [next, afterNext] = [last[i + 1], last[i + 2]];
    if (next !== undefined) assert.ok(!next.some((buffer) => buffers.includes(buffer)), 'the last copies are kept');
    if (afterNext !== undefined) assert.deepEqual(new Set(afterNext), new Set(buffers));
  }
  assert.ok(new Set(batches).size < batches.length, 'no batch was written over');
  await rig.close();
});

/** Of keys that make a batch of some 4 MiB. */
const longBatchAt = (at: number): object[] =>
  Array.from({ length: 1000 }, (_, i) => ({ at, key: `${i % 10} ${'x'.repeat(4000)}` }));

test('without ticks and checkpoints, batches are written over before they are many', async () => {
  const BATCHES = 40;
  let noting: NotingThreads | null = null;
  const rig = await openRig([COUNTED], {
    threads: (parts) => {
      noting = new NotingThreads(parts);
      return noting;
    },
  });
  for (let i = 0; i < BATCHES; i++) await rig.send('s', longBatchAt(i));
  const { batches, copies } = noting as unknown as NotingThreads;
  await rig.send('s', [{ at: 5000, key: 'k0' }]);
  const counts = (await rig.rows('s', 'w')).map(({ values }) => values['n']);
  assert.deepEqual(counts, new Array(10).fill(BATCHES * 100));
  assert.ok(copies.length > 2 && copies.length < BATCHES, `${copies.length} copies`);
  assert.ok(new Set(batches).size < BATCHES / 2, `${new Set(batches).size} buffers for ${BATCHES} batches`);
  await rig.close();
});

test('a state that cannot be copied is told, is asked for less and less often, and loses nothing', async () => {
  const BATCHES = 40;
  let threads: UncopyingThreads | null = null;
  const rig = await openRig([COUNTED], {
    threads: (parts) => {
      threads = new UncopyingThreads(parts);
      return threads;
    },
  });
  const copying = threads as unknown as UncopyingThreads;
  copying.refuses = true;
  for (let i = 0; i < BATCHES; i++) await rig.send('s', longBatchAt(i));
  const told = rig.troubles.filter(({ message }) => message === 'the state could not be copied').length;
  assert.ok(told >= 2 && told < BATCHES / 4, `told ${told} times`);
  copying.refuses = false;
  await rig.checkpoint();
  await rig.send('s', [{ at: 5000, key: 'k0' }]);
  const counts = (await rig.rows('s', 'w')).map(({ values }) => values['n']);
  assert.deepEqual(counts, new Array(10).fill(BATCHES * 100));
  await rig.close();
});

test(`threads that end while the state is copied change nothing, ${SEEDS} seeded cases`, async () => {
  let losses = 0;
  for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
    const given = randomCase(seed);
    const random = randomFrom(seed);
    let threads: MortalThreads | null = null;
    const rig = await openRig(tapped(given), {
      threads: (parts) => {
        threads = new MortalThreads(parts, randomFrom(seed), 0.15);
        return threads;
      },
    });
    for (const step of given.steps) {
      await playStep(rig, step);
      // Losses may be so many that it is given up: then the one before stays.
      if (random() < 0.5) await rig.checkpoint().catch((error: Error) => assert.match(error.message, /not be copied/));
    }
    const difference = compareResults(await expectedWindows(given), rig.tap.lines(), windowOf(given, '').window);
    assert.equal(difference, '', `seed ${seed}`);
    losses += (threads as MortalThreads | null)?.losses ?? 0;
    await rig.close();
  }
  assert.ok(losses > SEEDS, `only ${losses} threads were lost`);
});

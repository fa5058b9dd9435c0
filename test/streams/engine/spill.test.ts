/**
 * State that is on disk between rounds gives what state in memory gives, whatever is lost: threads, the process, nothing.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { LimitsDefinition, StreamDefinition } from '../../../src/streams/define/definition.ts';
import { openStores } from '../../../src/streams/stores.ts';
import { eventually } from '../../clients/eventually.ts';
import { randomFrom } from '../../random.ts';
import { Scratch } from '../log/scratch.ts';
import { lastingStores, MortalThreads } from './faults.ts';
import { createTap, type Rig, type RigOptions } from './rig.ts';
import {
  ALL_AWAY,
  batchesOf,
  countedWith,
  keysOf,
  LAST,
  Rigs,
  type SpillBatch,
  spilledBytes,
  spillFiles,
  streamsWith,
} from './spill-case.ts';

const SEEDS = Number(process.env['STREAM_SEEDS'] ?? 2);
const FIRST = Number(process.env['STREAM_SEED'] ?? 1);
const BATCHES = 60;
const IN_MEMORY: LimitsDefinition = {};
/** Room for some of the shards: which ones are on disk changes from round to round. */
const SOME_AWAY: LimitsDefinition = { onFull: 'spill', keysMax: 60 };

/** Without the numbers of records: a changed definition is a record of its own. */
const told = (lines: readonly string[]): string[] =>
  lines
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .map(({ end, key, name, start, values }) => JSON.stringify({ name, key, start, end, values }))
    .sort();

async function play(rig: Rig, batches: readonly SpillBatch[]): Promise<void> {
  for (const { events, stream } of batches) await rig.send(stream, events);
}

/** Lines of a run that nothing happens to. */
async function undisturbed(
  batches: readonly SpillBatch[],
  limits = IN_MEMORY,
  options: RigOptions = {},
): Promise<string[]> {
  await using rigs = new Rigs();
  const rig = await rigs.open(streamsWith(limits), options);
  let spilled = 0;
  for (const batch of batches) {
    await play(rig, [batch]);
    spilled = Math.max(spilled, await spilledBytes(rig));
  }
  const lines = rig.tap.lines();
  assert.equal(spilled > 0, limits.onFull === 'spill', 'on disk when that is wanted');
  await rigs.close(rig);
  return lines;
}

/** Of seeds by now. */
const inMemory = new Map<number, Promise<readonly string[]>>();

/** Lines of the batches of a seed, that nothing happens to and all of whose state is in memory. */
async function expectedOf(seed: number): Promise<string[]> {
  const lines = inMemory.get(seed) ?? undisturbed(batchesOf(seed, BATCHES));
  inMemory.set(seed, lines);
  return [...(await lines)];
}

const mortal =
  (seed: number): RigOptions['threads'] =>
  (parts) =>
    new MortalThreads(parts, randomFrom(seed), 0.1);

describe('what is on disk between rounds gives the same results', () => {
  test(`batch by batch, and when threads end, ${SEEDS} seeds`, async () => {
    for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
      const batches = batchesOf(seed, BATCHES);
      const expected = await expectedOf(seed);
      assert.ok(expected.length > 200, `${expected.length} lines`);
      assert.deepEqual(await undisturbed(batches, ALL_AWAY), expected, `seed ${seed}`);
      // In which order sessions are told that one watermark ends depends on what was applied at once.
      expected.sort();
      for (const limits of [ALL_AWAY, SOME_AWAY]) {
        const lines = await undisturbed(batches, limits, { threads: mortal(seed) });
        assert.deepEqual(lines.sort(), expected, `seed ${seed}, threads end`);
      }
    }
  });

  test(`when copies are written over and threads end meanwhile, ${SEEDS} seeds`, async () => {
    await using rigs = new Rigs();
    for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
      const random = randomFrom(seed);
      const batches = batchesOf(seed, BATCHES);
      const rig = await rigs.open(streamsWith(SOME_AWAY), { threads: mortal(seed) });
      for (const batch of batches) {
        await play(rig, [batch]);
        // Losses may be so many that it is given up: then the one before stays.
        if (random() < 0.5)
          await rig.checkpoint().catch((error: Error) => assert.match(error.message, /not be copied/));
      }
      assert.deepEqual(rig.tap.lines().sort(), (await expectedOf(seed)).sort(), `seed ${seed}`);
      await rigs.close(rig);
    }
  });

  test('all at once', async () => {
    await using rigs = new Rigs();
    const batches = batchesOf(5, BATCHES);
    const expected = await expectedOf(5);
    const rig = await rigs.open(streamsWith(ALL_AWAY));
    await Promise.all(batches.map(({ events, stream }) => rig.send(stream, events)));
    assert.deepEqual(rig.tap.lines().sort(), expected.sort());
    await rigs.close(rig);
  });

  test('all at once, where one stream feeds the other', async () => {
    await using rigs = new Rigs();
    const windows: StreamDefinition['windows'] = [{ name: 'c', type: 'count', count: 3, aggregates: { n: 'count' } }];
    const views: StreamDefinition['views'] = [{ name: 'up', select: { at: 'at', k: 'k' } }];
    const runs: string[][] = [];
    for (const limits of [{}, ALL_AWAY]) {
      const [from, to] = [countedWith(limits), { ...countedWith(limits), name: 'fed' }];
      const rig = await rigs.open([
        { ...from, windows, views, sinks: [{ type: 'stream', stream: 'fed', of: ['up'] }] },
        { ...to, windows, sinks: [{ type: 'tap' }] },
      ]);
      await rig.send('s', keysOf(1, 50));
      const rest = Array.from({ length: 20 }, (_, i) => rig.send(i % 4 === 3 ? 'fed' : 's', keysOf(2 + i, 50)));
      await Promise.all(rest);
      await rig.settled();
      assert.equal((await spilledBytes(rig, 'fed')) > 0, limits === ALL_AWAY);
      runs.push(rig.tap.lines());
      await rigs.close(rig);
    }
    assert.equal(runs[0]?.length, 7 * 50);
    assert.deepEqual(runs[1], runs[0]);
  });

  test(`when the process ends and starts again, ${SEEDS} seeds`, async () => {
    await using rigs = new Rigs();
    for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
      const random = randomFrom(seed);
      const batches = batchesOf(seed, BATCHES);
      const stores = lastingStores();
      const tap = createTap();
      const open = (): Promise<Rig> => rigs.open(streamsWith(ALL_AWAY), { stores, tap, threads: mortal(seed) });
      let rig = await open();
      for (const batch of batches) {
        const fate = random();
        if (fate < 0.1) await rig.checkpoint();
        await play(rig, [batch]);
        if (fate > 0.9) {
          await rigs.abandon(rig);
          rig = await open();
        }
      }
      assert.deepEqual(tap.lines().sort(), (await expectedOf(seed)).sort(), `seed ${seed}`);
      await rigs.close(rig);
    }
  });

  test('checkpoints are saved from disk and read to disk again', async () => {
    await using rigs = new Rigs();
    await using scratch = new Scratch();
    const dataDir = join(scratch.directory, 'data');
    const definitions = (limits: LimitsDefinition): StreamDefinition[] =>
      streamsWith(limits).map((each) => ({ ...each, durability: 'fsync' }));
    const tap = createTap();
    const open = (limits: LimitsDefinition): Promise<Rig> => {
      const given = definitions(limits);
      return rigs.open(given, { tap, stores: () => openStores({ definitions: given, dataDir, logBytesMax: 2 ** 30 }) });
    };
    const batches = batchesOf(FIRST, BATCHES);
    // What memory has is not enough for any shard: each is read into a file.
    const tight: LimitsDefinition = { ...ALL_AWAY, stateBytesMax: 2 ** 20 };
    let rig = await open(tight);
    await play(rig, batches.slice(0, 20));
    await rig.checkpoint();
    await play(rig, batches.slice(20, 30));
    await rigs.abandon(rig);
    assert.deepEqual(spillFiles(dataDir), [], 'gone with the process');
    rig = await open(tight);
    assert.ok((await spilledBytes(rig)) > 0);
    await play(rig, batches.slice(30, 40));
    await rigs.abandon(rig);
    // Without the policy: what the log before the change has put on disk comes back.
    rig = await open(IN_MEMORY);
    await play(rig, batches.slice(40, 50));
    await rig.checkpoint();
    assert.equal(await spilledBytes(rig), 0);
    assert.deepEqual(spillFiles(dataDir), []);
    await rigs.close(rig);
    rig = await open({ onFull: 'spill' });
    await play(rig, batches.slice(50));
    assert.equal(await spilledBytes(rig), 0, 'there is room for all');
    assert.deepEqual(told(tap.lines()), told(await expectedOf(FIRST)));
    await rigs.close(rig);
  });
});

test('what is on disk is asked for like the rest, and is not written again for that', async () => {
  await using rigs = new Rigs();
  await using scratch = new Scratch();
  const stores = await lastingStores()();
  const [away, here] = await Promise.all([
    rigs.open(streamsWith(ALL_AWAY), { stores: async () => ({ ...stores, dataDir: scratch.directory }) }),
    rigs.open(streamsWith(IN_MEMORY)),
  ]);
  const batches = batchesOf(8, 40).slice(0, 40);
  await play(away, batches);
  await play(here, batches);
  const before = spillFiles(scratch.directory);
  assert.ok(before.length > 0);
  for (const name of ['w', 's', 'c']) {
    const rows = await away.rows('orders', name, 'open');
    assert.ok(rows.length > 10);
    assert.deepEqual(rows, await here.rows('orders', name, 'open'));
  }
  assert.deepEqual(spillFiles(scratch.directory), before);
  await rigs.close(away);
  await rigs.close(here);
});

test('a new plan takes over what is on disk', async () => {
  await using rigs = new Rigs();
  const batches = batchesOf(9, BATCHES);
  const runs: string[][] = [];
  for (const limits of [IN_MEMORY, ALL_AWAY]) {
    const rig = await rigs.open(streamsWith(limits), { threads: mortal(4) });
    await play(rig, batches.slice(0, 30));
    await rig.service.define('orders', 'windows', {
      name: 'new',
      type: 'tumbling',
      sizeMs: 100,
      aggregates: { n: 'count' },
    });
    await play(rig, batches.slice(30, 45));
    await rig.service.define('orders', 'windows', {
      name: 'new',
      type: 'tumbling',
      sizeMs: 300,
      aggregates: { n: 'count' },
    });
    await play(rig, batches.slice(45));
    runs.push(rig.tap.lines());
    await rigs.close(rig);
  }
  assert.ok((runs[0] ?? []).some((line) => line.includes('"name":"new"')));
  assert.deepEqual(runs[1], runs[0]);
});

test('steps that need not be applied again are let go without a checkpoint', async () => {
  await using scratch = new Scratch();
  await using rigs = new Rigs();
  const stores = await lastingStores()();
  let saved = 0;
  const checkpoints = {
    save: () => {
      saved += 1;
      return Promise.resolve();
    },
    newest: () => Promise.resolve(null),
    oldestSeq: () => 0,
    close: () => Promise.resolve(),
  };
  const definition = countedWith(ALL_AWAY);
  const rig = await rigs.open([definition], {
    tickMs: 20,
    stores: async () => ({ ...stores, checkpoints, dataDir: scratch.directory }),
  });
  const savedAtStart = saved;
  // Batches of some 80 MiB: their keys take room in them.
  const long = 'x'.repeat(4000);
  const seen: string[][] = [];
  for (let batch = 0; batch < 20; batch++) {
    const events = Array.from({ length: 1000 }, (_, i) => ({ at: batch, k: `${i % 10} ${long}` }));
    await rig.send('s', events);
    seen.push(spillFiles(scratch.directory));
  }
  // What stays from one round to the next is what shards are restored from.
  const bases = seen.slice(0, 10).flatMap((files, i) => files.filter((file) => seen[i + 1]?.includes(file)));
  assert.ok(bases.length > 0);
  const left = (): string[] => bases.filter((file) => spillFiles(scratch.directory).includes(file));
  await eventually('there is a newer base', left, ({ length }) => length === 0);
  assert.equal(saved, savedAtStart);
  await rig.send('s', [LAST]);
  assert.deepEqual(
    (await rig.rows('s', 'w')).map(({ values }) => values['n']),
    Array.from({ length: 10 }, () => 2000),
  );
  await rigs.close(rig);
});

/**
 * Batch ids: as many as the definition says, through a restart, and each for one body.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { DefinitionProblem } from '../../../src/streams/define/definition-problem.ts';
import { BATCH_IDS_MAX } from '../../../src/streams/define/limits.ts';
import { StreamRefusal } from '../../../src/streams/engine/port.ts';
import type { ShardParts } from '../../../src/streams/engine/shards/shard.ts';
import { type ApplyTask, type DecodeTask, ThreadLost } from '../../../src/streams/engine/task.ts';
import { LocalThreads } from '../../../src/streams/engine/threads/local-threads.ts';
import type { Plan } from '../../../src/streams/plan.ts';
import { scopedBatchId } from '../../../src/streams/sources/port.ts';
import { openStores, type Stores } from '../../../src/streams/stores.ts';
import { lastingStores } from './faults.ts';
import { openRig, type Rig } from './rig.ts';

const streamOf = (batchIdsMax: number): StreamDefinition => ({
  name: 's',
  schema: { fields: { k: 'string' } },
  dedup: { batchIdsMax, ttlMs: 10_000 },
});

/** Many records are one round. */
const AT_ONCE = 1500;

const accepted = (rig: Rig): number | undefined => rig.service.list()[0]?.counters.accepted;

test('remembers as many as it may, the newest, and forgets them after their time', async () => {
  const rig = await openRig([streamOf(3)]);
  try {
    const send = (n: number): Promise<unknown> => rig.send('s', [{ k: `k${n}` }], { batchId: `b${n}` });
    for (const n of [1, 2, 3, 1, 2, 3]) await send(n);
    assert.equal(accepted(rig), 3);
    await send(4);
    for (const n of [2, 3, 4]) await send(n);
    assert.equal(accepted(rig), 4);
    await send(1);
    assert.equal(accepted(rig), 5);
    rig.nowMs += 10_001;
    await send(4);
    assert.equal(accepted(rig), 6);
  } finally {
    await rig.close();
  }
});

test('an id that is no text in UTF-8 is the same one when the log is replayed', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'batch-ids-'));
  const definitions: StreamDefinition[] = [{ ...streamOf(10), durability: 'fsync' }];
  const stores = (): Promise<Stores> => openStores({ definitions, dataDir, logBytesMax: 2 ** 30 });
  let rig = await openRig(definitions, { stores });
  try {
    const send = (id: string): Promise<unknown> =>
      rig.send('s', [{ k: 'k' }], { batchId: scopedBatchId('me', JSON.parse(id) as string) });
    await send('"a\\ud800"');
    await rig.abandon();
    rig = await openRig(definitions, { stores });
    await send('"a\\ud800"');
    assert.equal(accepted(rig), 1);
    await send('"a\\ud801"');
    assert.equal(accepted(rig), 2);
  } finally {
    await rig.close();
    await rm(dataDir, { recursive: true });
  }
});

test('remembers more than a hundred thousand where it is told to', async () => {
  const rig = await openRig([streamOf(100_500)], { shards: 1 });
  try {
    for (let n = 0; n < 100_500; n += AT_ONCE) {
      const sent = Array.from({ length: AT_ONCE }, (_, i) => rig.send('s', [{ k: 'k' }], { batchId: `b${n + i}` }));
      await Promise.all(sent);
    }
    const before = accepted(rig);
    await rig.send('s', [{ k: 'k' }], { batchId: 'b0' });
    assert.equal(accepted(rig), before);
  } finally {
    await rig.close();
  }
});

test('more than fit into memory are refused with the limit', async () => {
  await assert.rejects(openRig([streamOf(BATCH_IDS_MAX + 1)]), (error) => {
    assert.ok(error instanceof DefinitionProblem);
    assert.match(error.message, /dedup\.batchIdsMax: 1000001, expected a whole number from 0 to 1000000/);
    return true;
  });
});

test('an id is of one body, before and after a restart', async () => {
  for (const checkpoint of [false, true]) {
    const stores = lastingStores();
    let rig = await openRig([streamOf(10)], { stores });
    const send = (k: string): Promise<unknown> => rig.send('s', [{ k }], { batchId: 'b' });
    const isRefused = (sent: Promise<unknown>): Promise<void> =>
      assert.rejects(sent, (error) => error instanceof StreamRefusal && error.refusal === 'conflict');
    const [first, other] = await Promise.allSettled([send('a'), send('b')]);
    assert.deepEqual([first.status, other.status], ['fulfilled', 'rejected']);
    await isRefused(send('b'));
    if (checkpoint) await rig.checkpoint();
    await rig.abandon();
    rig = await openRig([streamOf(10)], { stores });
    try {
      await isRefused(send('b'));
      await send('a');
      assert.equal(accepted(rig), 1);
    } finally {
      await rig.close();
    }
  }
});

describe('a batch that is left out since its threads are lost, and sent again under its id', () => {
  const COUNTED: StreamDefinition = {
    ...streamOf(10),
    schema: { fields: { at: 'integer', k: 'string' }, timestamp: { field: 'at' } },
    windows: [{ name: 'w', type: 'tumbling', sizeMs: 10, aggregates: { n: 'count' } }],
  };
  const EVENTS = [
    { at: 1, k: 'a' },
    { at: 2, k: 'b' },
  ];

  /** Threads that are lost over the first records, as many as given, however often they are tried. */
  const losing = (records: number) => (parts: ShardParts) => {
    const threads = new LocalThreads(parts);
    const lost = new Set<number>();
    return {
      size: 1,
      usePlan: (plan: Plan) => threads.usePlan(plan),
      async decode(task: DecodeTask) {
        const decoded = await threads.decode(task);
        if (lost.size < records) lost.add(task.provenance.seq);
        if (lost.has(task.provenance.seq)) throw new ThreadLost('ended by the test');
        return decoded;
      },
      apply: (task: ApplyTask) => threads.apply(task),
    };
  };

  async function countsOf(rig: Rig): Promise<unknown[]> {
    return (await rig.rows('s', 'w', 'all')).map(({ values }) => values['n']);
  }

  // Of a replay: none is lost again; those of the first record are; of both.
  for (const lost of [0, 1, 2]) {
    test(`is kept, and counts once when it is replayed from there, with threads lost over ${lost} records of the log`, async () => {
      const stores = lastingStores();
      const first = await openRig([COUNTED], { stores, threads: losing(1) });
      const refused = async (rig: Rig): Promise<void> => {
        await assert.rejects(rig.send('s', EVENTS, { batchId: 'b' }), (error) => {
          assert.ok(error instanceof StreamRefusal);
          assert.match(error.message, /is kept as dead letter 2:0 of s and need not be sent again$/);
          return error.refusal === 'undecodable';
        });
      };
      for (let n = 0; n < 2; n++) await refused(first);
      const replayed = await first.service.replayDeadLetters('s', ['2:0']);
      assert.deepEqual(replayed, { letters: 1, accepted: 2, rejected: 0, late: 0 });
      assert.deepEqual(await countsOf(first), [2]);
      await first.abandon();

      const next = await openRig([COUNTED], { stores, threads: losing(lost) });
      // The second record of the log is the letter that was replayed: the first one is not even tried.
      const isLost = lost > 0;
      assert.deepEqual(await countsOf(next), isLost ? [] : [2]);
      assert.deepEqual(
        (await next.service.deadLetters('s', '', 10)).map(({ id }) => id),
        isLost ? ['3:0'] : [],
      );
      await refused(next);
      if (isLost) await next.service.replayDeadLetters('s', ['3:0']).catch(() => undefined);
      await next.checkpoint();
      await next.abandon();

      const last = await openRig([COUNTED], { stores });
      await refused(last);
      const letters = (await last.service.deadLetters('s', '', 10)).map(({ id }) => id);
      if (letters.length > 0) await last.service.replayDeadLetters('s', letters);
      assert.deepEqual(await countsOf(last), [2]);
      assert.equal(accepted(last), 2);
      await last.close();
    });
  }
});

/**
 * A batch that ends every thread that decodes it: it becomes a dead letter with its bytes, and what comes behind it goes on.
 */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import type { ShardParts } from '../../../src/streams/engine/shards/shard.ts';
import { type DecodeResult, type DecodeTask, ThreadLost } from '../../../src/streams/engine/task.ts';
import { LocalThreads } from '../../../src/streams/engine/threads/local-threads.ts';
import { eventually } from '../../clients/eventually.ts';
import { lastingStores } from './faults.ts';
import { openRig, type Rig } from './rig.ts';

const STREAM: StreamDefinition = {
  name: 's',
  schema: { fields: { at: 'integer', k: 'string' }, timestamp: { field: 'at' }, key: ['k'] },
  windows: [{ name: 'w', type: 'tumbling', sizeMs: 10, aggregates: { n: 'count' } }],
};
const POISON = 'the end of a thread';

/** Ends over every batch that has the text, as long as it is told to. */
class Poisoned extends LocalThreads {
  readonly #isDeadly: () => boolean;
  losses = 0;
  constructor(parts: ShardParts, isDeadly: () => boolean) {
    super(parts);
    this.#isDeadly = isDeadly;
  }
  override decode(task: DecodeTask): Promise<DecodeResult> {
    const text = Buffer.from(new Uint8Array(task.body, task.bodyAt, task.bodyBytes)).toString();
    if (!this.#isDeadly() || !text.includes(POISON)) return super.decode(task);
    this.losses += 1;
    return Promise.reject(new ThreadLost('worker exited'));
  }
}

const event = (at: number, k: string): { at: number; k: string } => ({ at, k });
const lettersOf = (rig: Rig) => rig.service.deadLetters('s', '', 10);
const counted = async (rig: Rig): Promise<unknown[]> =>
  (await rig.rows('s', 'w', 'all')).map(({ key, values }) => `${key['k']} ${values['n']}`).toSorted();

test('its sender is told where it is kept, what comes behind it counts, and a restart takes it no other way', async () => {
  for (const saves of [false, true]) {
    const stores = lastingStores();
    let isDeadly = true;
    let threads: Poisoned | null = null;
    const open = (): Promise<Rig> =>
      openRig([STREAM], {
        stores,
        threads: (parts) => {
          threads = new Poisoned(parts, () => isDeadly);
          return threads;
        },
      });
    let rig = await open();
    const batch = [event(1, POISON), event(2, 'a')];
    const others = [rig.send('s', [event(1, 'a')]), rig.send('s', batch), rig.send('s', [event(3, 'a')])];
    const outcomes = await Promise.allSettled(others);
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    );
    const why = '6 threads in a row were lost over decoding it: worker exited';
    const reason = (outcomes[1] as PromiseRejectedResult).reason as Error;
    const told = `${why}; it does not count, is kept as dead letter 3:0 of s and need not be sent again`;
    assert.equal(reason.message, told);
    const [letter, ...more] = await lettersOf(rig);
    const text = batch.map((each) => JSON.stringify(each)).join('\n');
    assert.deepEqual([letter?.id, letter?.reason, letter?.text, more.length], ['3:0', why, text, 0]);
    assert.equal(rig.service.list()[0]?.counters.rejected, 1);
    if (saves) await rig.checkpoint();
    await rig.abandon();

    // Threads that could decode it come too late: its sender knows that it did not count.
    isDeadly = false;
    rig = await open();
    assert.equal((threads as unknown as Poisoned).losses, 0);
    assert.deepEqual(await counted(rig), ['a 2']);
    assert.equal((await lettersOf(rig)).length, 1);
    assert.deepEqual(await rig.service.replayDeadLetters('s', ['3:0']), {
      ...{ letters: 1, accepted: 2, rejected: 0, late: 0 },
    });
    assert.deepEqual(await counted(rig), ['a 3', `${POISON} 1`]);
    await rig.abandon();
    rig = await open();
    assert.deepEqual(await counted(rig), ['a 3', `${POISON} 1`]);
    assert.deepEqual(await lettersOf(rig), []);
    await rig.close();
  }
});

test('one whose decoding throws is kept alike, and counts in no replay', async () => {
  const stores = lastingStores();
  let isDeadly = true;
  const open = (): Promise<Rig> =>
    openRig([STREAM], {
      stores,
      threads: (parts) => {
        const threads = new LocalThreads(parts);
        const decode = threads.decode.bind(threads);
        threads.decode = (task) => {
          const text = Buffer.from(new Uint8Array(task.body, task.bodyAt, task.bodyBytes));
          if (isDeadly && text.includes(POISON)) return Promise.reject(new RangeError('no such offset'));
          return decode(task);
        };
        return threads;
      },
    });
  let rig = await open();
  const sent = [event(1, 'a'), event(2, POISON), event(3, 'a')].map((each) => rig.send('s', [each]));
  const outcomes = await Promise.allSettled(sent);
  assert.deepEqual(
    outcomes.map((each) => (each.status === 'fulfilled' ? 'ok' : each.reason.refusal)),
    ['ok', 'undecodable', 'ok'],
  );
  const lettersAre = async (): Promise<void> => {
    const letters = (await lettersOf(rig)).map(({ id, reason }) => [id, reason]);
    assert.deepEqual(letters, [['3:0', 'it cannot be decoded: no such offset']]);
  };
  await lettersAre();
  await rig.abandon();
  isDeadly = false;
  rig = await open();
  assert.deepEqual(await counted(rig), ['a 2']);
  await lettersAre();
  await rig.close();
});

test('replayed, it comes back under another id while threads are lost over it', async () => {
  const rig = await openRig([STREAM], { threads: (parts) => new Poisoned(parts, () => true) });
  await assert.rejects(rig.send('s', [event(1, POISON)]), { refusal: 'undecodable' });
  const replayed = await rig.service.replayDeadLetters('s', ['2:0']);
  assert.deepEqual(replayed, { letters: 1, accepted: 0, rejected: 1, late: 0 });
  assert.deepEqual(
    (await lettersOf(rig)).map(({ id }) => id),
    ['3:0'],
  );
  await rig.close();
});

test('a file is read on behind it, now and after a restart', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'undecodable-'));
  try {
    const path = join(folder, 'events.ndjson');
    const line = (at: number, k: string): string => `${JSON.stringify(event(at, k))}\n`;
    await writeFile(path, line(1, 'a') + line(2, POISON) + line(3, 'a') + line(4, POISON));
    const definition = { ...STREAM, sources: [{ type: 'file', path, batchLines: 1 }] };
    const stores = lastingStores();
    const open = (): Promise<Rig> =>
      openRig([definition], { stores, threads: (parts) => new Poisoned(parts, () => true) });
    let rig = await open();
    const accepted = (): number | undefined => rig.service.list()[0]?.counters.accepted;
    await eventually('accepted', accepted, (value) => value === 2, 60_000);
    await eventually('letters', lettersOf.bind(null, rig), ({ length }) => length === 2, 60_000);
    await rig.abandon();
    await writeFile(path, `${await readFile(path, 'utf8')}${line(5, 'a')}`);
    rig = await open();
    await eventually('accepted', accepted, (value) => value === 3, 60_000);
    assert.equal((await lettersOf(rig)).length, 2);
    await rig.close();
  } finally {
    await rm(folder, { recursive: true });
  }
});

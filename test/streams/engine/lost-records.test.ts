/**
 * Records of a `memory` stream that were applied and that the log then could not write, beside a stream that is `fsync`:
 * what is acknowledged of that one survives, whatever numbers the lost ones had.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryDeadLetterStore } from '../../../src/streams/dead-letters/memory-store.ts';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { ThreadLost } from '../../../src/streams/engine/task.ts';
import { LocalThreads } from '../../../src/streams/engine/threads/local-threads.ts';
import { type Ends, GroupedLog, type RecordGroup, type RecordStore } from '../../../src/streams/log/grouped-log.ts';
import { bytesBefore } from '../../../src/streams/log/record-codec.ts';
import { eventually } from '../../clients/eventually.ts';
import { MemoryCheckpointStore } from '../checkpoints/memory-store.ts';
import { openRig, type Rig, type RigOptions } from './rig.ts';

const stream = (name: string, durability: 'memory' | 'fsync'): StreamDefinition => ({
  name,
  durability,
  schema: { fields: { at: 'integer' }, timestamp: { field: 'at' } },
  windows: [{ name: 'w', type: 'tumbling', sizeMs: 10, aggregates: { n: 'count' } }],
});
const BOTH = [stream('m', 'memory'), stream('f', 'fsync')];

/** What a log leaves when its process ends, and writes that fail or wait when the test says. */
class Records implements RecordStore {
  readonly removedMax = 100;
  readonly values = new Map<number, Buffer>();
  gate: Promise<void> = Promise.resolve();
  mended = true;
  #turn: Promise<unknown> = Promise.resolve();

  /** A new process: what the one before was about to write is not written. */
  begin(): void {
    this.#turn = Promise.resolve();
  }

  refusal(): null {
    return null;
  }

  write(take: () => RecordGroup): Promise<void> {
    const written = this.#turn.then(async () => {
      const { after, values } = take();
      await this.gate;
      for (const [i, value] of values.entries()) this.values.set(after + 1 + i, value);
    });
    this.#turn = written.catch(() => undefined);
    return written;
  }

  async page(seq: number, durable: number): Promise<ReadonlyMap<number, Buffer>> {
    return new Map([...this.values].filter(([each]) => each >= seq && each <= durable));
  }

  async remove(_from: number, to: number): Promise<number> {
    const bytes = this.values.has(to + 1) ? bytesBefore(to + 1, this.values.get(to + 1)) : this.ends().newest.bytes;
    for (const seq of this.values.keys()) if (seq <= to) this.values.delete(seq);
    return bytes;
  }

  async recover(): Promise<void> {
    if (!this.mended) throw new Error('disk full');
    this.gate = Promise.resolve();
  }

  ends(): Ends {
    const seqs = [...this.values.keys()];
    if (seqs.length === 0) return { truncated: { seq: 0, bytes: 0 }, newest: { seq: 0, bytes: 0 } };
    const [first, last] = [Math.min(...seqs), Math.max(...seqs)];
    const value = this.values.get(last) as Buffer;
    return {
      truncated: { seq: first - 1, bytes: bytesBefore(first, this.values.get(first)) },
      newest: { seq: last, bytes: bytesBefore(last, value) + value.byteLength },
    };
  }
}

/** Engines over the same records and checkpoints, one after the other. */
function opener(records: Records, more: Partial<RigOptions> = {}): () => Promise<Rig> {
  const checkpoints = new MemoryCheckpointStore();
  checkpoints.close = () => Promise.resolve();
  const deadLetters = new MemoryDeadLetterStore();
  deadLetters.close = () => Promise.resolve();
  const bounds = { bytesMax: 2 ** 20, pendingBytesMax: 2 ** 20 };
  return () =>
    openRig(BOTH, {
      tickMs: 5,
      ...more,
      stores: async () => ({
        eventLog: new GroupedLog(records, records.ends(), bounds),
        checkpoints,
        deadLetters,
        dataDir: '',
        close: () => Promise.resolve(),
      }),
    });
}

const countOf = async (rig: Rig, name: string): Promise<unknown[]> =>
  (await rig.rows(name, 'w', 'all')).map(({ values }) => values['n']);

test('numbers of records that the log lost are not given again: what comes after is behind the checkpoint', async () => {
  const records = new Records();
  const open = opener(records);
  const rig = await open();
  records.gate = Promise.reject(new Error('disk full'));
  records.gate.catch(() => undefined);
  records.mended = false;
  await Promise.all([0, 1, 2].map((at) => rig.send('m', [{ at }])));
  await eventually('the log refuses', () => rig.service.degraded.includes('stream log'), Boolean);
  // What it is about is not in the log.
  await rig.checkpoint().catch(() => undefined);
  records.mended = true;
  await eventually('the log takes records', () => !rig.service.degraded.includes('stream log'), Boolean);
  await rig.send('f', [{ at: 1 }, { at: 2 }]);
  await rig.abandon();
  const next = await open();
  assert.deepEqual(await countOf(next, 'f'), [2]);
  await next.send('f', [{ at: 3 }]);
  await next.checkpoint();
  await next.abandon();
  const last = await open();
  assert.deepEqual(await countOf(last, 'f'), [3]);
  await last.abandon();
});

test('a checkpoint waits until the log has what it is about', async () => {
  const records = new Records();
  const open = opener(records);
  const rig = await open();
  let write = (): void => undefined;
  records.gate = new Promise((resolve) => {
    write = resolve;
  });
  await rig.send('m', [{ at: 1 }]);
  let saved = false;
  const checkpoint = rig.checkpoint().then(() => {
    saved = true;
  });
  for (let turns = 0; turns < 50; turns++) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(saved, false);
  write();
  await checkpoint;
  await rig.abandon();
  const next = await open();
  assert.deepEqual(await countOf(next, 'm'), [1]);
  await next.abandon();
});

/** The process ends while the log has yet to write these; what they left beside it is there. */
async function lose(records: Records, open: () => Promise<Rig>, batches: readonly object[][]): Promise<void> {
  const rig = await open();
  records.gate = new Promise(() => undefined);
  await Promise.allSettled(batches.map((batch) => rig.send('m', batch)));
  await rig.abandon();
  records.gate = Promise.resolve();
  records.begin();
}

test('numbers of records that were lost with their process are not given again where letters have them', async () => {
  const records = new Records();
  const open = opener(records);
  await lose(records, open, [[{ at: 'one' }], [{ at: 'two' }]]);
  const rig = await open();
  await rig.send('m', [{ at: 'three' }]);
  const letters = await rig.service.deadLetters('m', '', 10);
  assert.deepEqual(
    letters.map(({ text }) => (JSON.parse(text) as { at: string }).at),
    ['one', 'two', 'three'],
  );
  await rig.abandon();
});

test('a note about a record that was lost with its process is about no other one', async () => {
  const records = new Records();
  const threads = (parts: ConstructorParameters<typeof LocalThreads>[0]): LocalThreads => {
    const made = new LocalThreads(parts);
    const decode = made.decode.bind(made);
    // The stream that is `memory`.
    made.decode = (task) => (task.stream === 0 ? Promise.reject(new ThreadLost('worker exited')) : decode(task));
    return made;
  };
  const open = opener(records, { threads });
  await lose(records, open, [[{ at: 1 }], [{ at: 2 }]]);
  const rig = await open();
  for (const at of [1, 2, 3]) await rig.send('f', [{ at }]);
  await rig.abandon();
  const next = await open();
  assert.deepEqual(await countOf(next, 'f'), [3]);
  await next.abandon();
});

/**
 * CloudEvents of one id in two batches that are on their way at once: which of them counts is the same when the log is
 * replayed, so that none is lost for a sink.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import type { ShardParts } from '../../../src/streams/engine/shards/shard.ts';
import { type DecodeResult, type DecodeTask, ThreadLost } from '../../../src/streams/engine/task.ts';
import { LocalThreads } from '../../../src/streams/engine/threads/local-threads.ts';
import type { Accepted } from '../../../src/streams/sources/port.ts';
import { lastingStores } from './faults.ts';
import { createTap, openRig, type Rig } from './rig.ts';

const STREAM: StreamDefinition = {
  name: 's',
  durability: 'fsync',
  schema: { fields: { at: 'integer', k: 'string' }, timestamp: { field: 'at' }, key: ['k'] },
  views: [{ name: 'each' }],
  sinks: [{ type: 'tap' }],
};

/** Decodes the first batch after the second one; `loses`: and its thread is lost before it can say so. */
class Inverted extends LocalThreads {
  readonly #loses: boolean;
  #second: Promise<unknown> | null = null;
  #isThere: (() => void) | null = null;
  #begun = 0;

  constructor(parts: ShardParts, loses: boolean) {
    super(parts);
    this.#loses = loses;
  }

  override async decode(task: DecodeTask): Promise<DecodeResult> {
    this.#begun += 1;
    if (this.#begun === 1) {
      await new Promise<void>((resolve) => {
        this.#isThere = resolve;
      });
      await this.#second;
      if (this.#loses) {
        await super.decode(task);
        throw new ThreadLost('it was ended');
      }
    } else if (this.#begun === 2) {
      this.#second = super.decode(task);
      this.#isThere?.();
      return this.#second as Promise<DecodeResult>;
    }
    return super.decode(task);
  }
}

const event = (id: string): object => ({ specversion: '1.0', id, source: 'x', type: 't', data: { at: 1, k: id } });

const send = (rig: Rig, ...ids: string[]): Promise<Accepted> =>
  rig.send('s', [], { format: 'cloudevents-batch', body: Buffer.from(JSON.stringify(ids.map(event))) });

async function keysAcrossReplay(loses: boolean): Promise<readonly string[]> {
  const tap = createTap();
  const stores = lastingStores();
  let rig = await openRig([STREAM], { tap, stores, threads: (parts) => new Inverted(parts, loses) });
  try {
    tap.refuse = () => {
      if (tap.batches.length > 0) throw new Error('the sink is away');
    };
    const [first, second] = await Promise.all([send(rig, 'e1', 'e2'), send(rig, 'e1', 'e3')]);
    assert.deepEqual([first.accepted, second.accepted], [2, 1]);
  } finally {
    await rig.abandon();
  }
  tap.refuse = () => undefined;
  rig = await openRig([STREAM], { tap, stores });
  await rig.close();
  return tap.lines().map((line) => (JSON.parse(line) as { values: { k: string } }).values.k);
}

test('of two batches with one id that are decoded the other way round the earlier one has it', async () => {
  assert.deepEqual(await keysAcrossReplay(false), ['e1', 'e2', 'e3']);
});

test('so it is when the thread of the earlier one is lost', async () => {
  assert.deepEqual(await keysAcrossReplay(true), ['e1', 'e2', 'e3']);
});

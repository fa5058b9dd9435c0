/**
 * A batch of a stream in partitions that ends every thread which cuts it by key: it is kept whole, once, its sender is told
 * so, and what comes behind it goes on.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { WindowQuery } from '../../../src/streams/engine/port.ts';
import { type SplitResult, type SplitTask, ThreadLost } from '../../../src/streams/engine/task.ts';
import { LocalThreads } from '../../../src/streams/engine/threads/local-threads.ts';
import { FakeCluster } from './fake-cluster.ts';
import { type RigNode, until } from './node-rig.ts';
import { NodeSet } from './node-set.ts';
import { cutStreams } from './partition-case.ts';

const PARTITIONS = 3;
const POISON = 's-the end of a thread';
const QUERY: WindowQuery = {
  stream: 'readings',
  name: 'parts',
  key: null,
  fromMs: -Infinity,
  toMs: Infinity,
  by: '',
  limit: 1000,
  include: 'open',
};

const death = { isDeadly: true, losses: 0 };

class Mortal extends LocalThreads {
  override split(task: SplitTask): Promise<SplitResult> {
    const text = Buffer.from(new Uint8Array(task.body, 0, task.bodyBytes)).toString();
    if (!death.isDeadly || !text.includes(POISON)) return super.split(task);
    death.losses += 1;
    return Promise.reject(new ThreadLost('worker exited'));
  }
}

const nodes = new NodeSet();

test('it is one dead letter of the first partition, now and after a restart, and is cut when it is replayed', async () => {
  const cluster = new FakeCluster();
  const options = {
    cluster,
    definitions: cutStreams('readings', nodes.redis.url, PARTITIONS),
    threads: (parts: ConstructorParameters<typeof LocalThreads>[0]) => new Mortal(parts),
  };
  const start = async (id: string): Promise<RigNode> => {
    const [node] = (await nodes.start(options, id)) as [RigNode];
    await until('it runs all partitions', () => node.streams.owned.length === PARTITIONS);
    return node;
  };
  let node = await start('n1');
  const events = (...sensors: string[]) => sensors.map((sensor) => ({ at: 1_000_000, sensor, value: 1 }));
  const many = Array.from({ length: 20 }, (_, i) => `s${i}`);
  const poisoned = events(...many, POISON);
  const send = (batch: readonly object[], batchId: string) => node.accept('readings', batch, { batchId });
  const sent = [send(events(...many), 'a'), send(poisoned, 'b'), send(events(...many), 'c')];
  const outcomes = await Promise.allSettled(sent);
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  );
  assert.equal(death.losses, 6);
  const { reason } = outcomes[1] as PromiseRejectedResult;
  assert.equal(reason.refusal, 'undecodable');
  assert.match(
    reason.message,
    /^6 threads in a row were lost over cutting it by key: worker exited; it does not count/,
  );
  const letters = () => node.streams.service.deadLetters('readings', '', 10);
  const text = poisoned.map((each) => JSON.stringify(each)).join('\n');
  const [letter] = await letters();
  assert.deepEqual([letter?.text, letter?.id.split('/')[0]], [text, '0']);
  const counted = async (): Promise<(number | undefined)[]> => {
    const [facts] = await node.streams.service.list();
    return [facts?.counters.accepted, facts?.counters.rejected, facts?.deadLetters];
  };
  assert.deepEqual(await counted(), [40, 1, 1]);

  await node.kill();
  nodes.byId.clear();
  node = await start('n2');
  assert.deepEqual(await counted(), [40, 1, 1]);
  await assert.rejects(send(poisoned, 'b'), reason);
  assert.deepEqual(await counted(), [40, 1, 1]);
  death.isDeadly = false;
  const replayed = await node.streams.service.replayDeadLetters('readings', [letter?.id as string]);
  assert.deepEqual(replayed, { letters: 1, accepted: 21, rejected: 0, late: 0 });
  assert.deepEqual([await counted(), await letters()], [[61, 1, 0], []]);
  for (const sensor of ['s1', POISON]) {
    // Asked of the partition of its key.
    const { rows } = await node.streams.service.query({ ...QUERY, key: { sensor } });
    assert.deepEqual(
      rows.map(({ values }) => values['n']),
      [sensor === POISON ? 1 : 3],
    );
  }
});

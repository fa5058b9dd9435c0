/**
 * A batch of a stream in partitions that cannot be cut by key, or ends every thread that cuts it: it is kept whole, once, its
 * sender is told so, and what comes behind it goes on.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StreamRefusal, WindowQuery } from '../../../src/streams/engine/port.ts';
import {
  type DecodeResult,
  type DecodeTask,
  PlanNotLoaded,
  type SplitResult,
  type SplitTask,
  ThreadLost,
  ThreadsStopping,
} from '../../../src/streams/engine/task.ts';
import { LocalThreads } from '../../../src/streams/engine/threads/local-threads.ts';
import { EVERYTHING } from '../rig-parts.ts';
import { FakeCluster } from './fake-cluster.ts';
import { type RigNode, until } from './node-rig.ts';
import { NodeSet } from './node-set.ts';
import { cutStreams } from './partition-case.ts';

const PARTITIONS = 3;
const POISON = 's-the end of a thread';
/** Of what can be cut. */
const UNREADABLE = 's-the end of another';
const QUERY: WindowQuery = { ...EVERYTHING, stream: 'readings', name: 'parts', include: 'open' };

const death = { isDeadly: true, losses: 0, failure: new Error() };

class Mortal extends LocalThreads {
  override decode(task: DecodeTask): Promise<DecodeResult> {
    const text = Buffer.from(new Uint8Array(task.body, task.bodyAt, task.bodyBytes)).toString();
    if (!text.includes(UNREADABLE)) return super.decode(task);
    return Promise.reject(new ThreadLost('worker exited'));
  }

  override split(task: SplitTask): Promise<SplitResult> {
    const text = Buffer.from(new Uint8Array(task.body, 0, task.bodyBytes)).toString();
    if (!death.isDeadly || !text.includes(POISON)) return super.split(task);
    death.losses += 1;
    return Promise.reject(death.failure);
  }
}

const nodes = new NodeSet();

const FAILURES = [
  {
    failure: new ThreadLost('worker exited'),
    told: '6 threads in a row were lost over cutting it by key: worker exited',
  },
  { failure: new RangeError('no such offset'), told: 'it cannot be cut by key: no such offset' },
];

for (const { failure, told } of FAILURES) {
  test(`it is one dead letter of the first partition, now and after a restart, and is cut when it is replayed (${failure.name})`, () =>
    keptAndReplayed(failure, told));
}

async function keptAndReplayed(failure: Error, told: string): Promise<void> {
  Object.assign(death, { isDeadly: true, losses: 0, failure });
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
  assert.ok(reason.message.startsWith(`${told}; it does not count`), reason.message);
  assert.match(reason.message, / is kept as dead letter 0\/\d+:0 of readings and need not be sent again$/);
  const letters = () => node.streams.service.deadLetters('readings', '', 10);
  const text = poisoned.map((each) => JSON.stringify(each)).join('\n');
  const [letter] = await letters();
  assert.deepEqual([letter?.text, letter?.id], [text, / dead letter (\S+) of/.exec(reason.message)?.[1]]);
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
}

for (const failure of [new ThreadsStopping(), new PlanNotLoaded('reducer module m cannot be loaded')]) {
  test(`one that no thread can begin may be sent again, and counts then (${failure.name})`, async () => {
    Object.assign(death, { isDeadly: true, losses: 0, failure });
    const [node] = (await nodes.start(
      {
        cluster: new FakeCluster(),
        definitions: cutStreams('readings', nodes.redis.url, PARTITIONS),
        threads: (parts) => new Mortal(parts),
      },
      'n1',
    )) as [RigNode];
    await until('it runs all partitions', () => node.streams.owned.length === PARTITIONS);
    const send = () => node.accept('readings', [{ at: 1, sensor: POISON, value: 1 }], { batchId: 'b' });
    await assert.rejects(send(), { refusal: 'unavailable' });
    assert.deepEqual(await node.streams.service.deadLetters('readings', '', 10), []);
    death.isDeadly = false;
    assert.deepEqual(await send(), { accepted: 1, rejected: 0, late: 0 });
  });
}

test('parts that no thread can decode are told as the dead letters they are, of all partitions and from any node', async () => {
  const options = {
    cluster: new FakeCluster(),
    definitions: cutStreams('parted', nodes.redis.url, PARTITIONS),
    threads: (parts: ConstructorParameters<typeof LocalThreads>[0]) => new Mortal(parts),
  };
  const all = await nodes.start(options, 'm1', 'm2');
  await until('each runs what it ranks first for', () => {
    const owned = all.flatMap(({ streams }) => streams.owned);
    return owned.length === PARTITIONS && owned.every((unit) => nodes.isAtHome(unit));
  });
  const [node, other] = all as [RigNode, RigNode];
  const many = (start: string) =>
    Array.from({ length: 20 }, (_, i) => ({ at: 1_000_000, sensor: `${start}${i}`, value: 1 }));
  const refusalOf = async (batch: readonly object[]): Promise<{ message: string; named: string[] }> => {
    const { message, refusal } = await node.accept('parted', batch).then(
      () => assert.fail('it was taken'),
      (error: unknown) => error as StreamRefusal,
    );
    assert.equal(refusal, 'undecodable', message);
    return { message, named: [...message.matchAll(/kept as dead letter (\S+) of parted/g)].map(([, id = '']) => id) };
  };
  const lettersNow = async () => (await other.streams.service.deadLetters('parted', '', 10)).map(({ id }) => id);
  const whole = await refusalOf(many(UNREADABLE));
  assert.deepEqual(whole.named.toSorted(), await lettersNow());
  assert.deepEqual(new Set(whole.named.map((id) => id.split('/')[0])), new Set(['0', '1', '2']));
  assert.equal(await other.streams.service.dropDeadLetters('parted', whole.named), PARTITIONS);
  const part = await refusalOf([...many('good'), { at: 1_000_000, sensor: UNREADABLE, value: 1 }]);
  assert.match(part.message, /\(2 of 3 partitions have taken their part\)$/);
  assert.deepEqual(part.named, await lettersNow());
});

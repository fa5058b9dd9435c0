/**
 * What one node was told, others know; what Redis has lost, nobody pretends to have.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { type RefusalName, StreamRefusal } from '../../../src/streams/engine/port.ts';
import { describeStream } from '../../../src/streams/mcp/describe.ts';
import { RedisServer } from '../../redis/redis-server.ts';
import { EVERYTHING } from '../rig-parts.ts';
import { FakeCluster } from './fake-cluster.ts';
import { type NodeOptions, RigNode, until } from './node-rig.ts';

const VISITS: StreamDefinition = {
  name: 'visits',
  schema: { fields: { at: 'integer', page: 'string' }, timestamp: { field: 'at' }, key: ['page'] },
  time: { idleAfterMs: 0, maxFutureMs: 0 },
  durability: 'replicated',
  windows: [{ name: 'tens', type: 'tumbling', sizeMs: 10, aggregates: { n: 'count' } }],
  alerts: [{ name: 'busy', on: 'tens', when: 'n > 2', message: 'busy' }],
};

let redis: RedisServer;
let cluster = new FakeCluster();
let nodes: RigNode[] = [];
before(async () => {
  redis = await RedisServer.start();
});
afterEach(async () => {
  for (const node of nodes) await node.kill();
  nodes = [];
  cluster = new FakeCluster();
  await redis.run('FLUSHALL');
});
after(() => redis.end());

/** The owner first. */
async function start(count: number, more: Partial<NodeOptions> = {}): Promise<RigNode[]> {
  for (let i = 1; i <= count; i++) {
    nodes.push(await RigNode.start(`n${i}`, { cluster, redis, definitions: [VISITS], ...more }));
  }
  await settled();
  return [...owners(), ...nodes.filter((node) => !owners().includes(node))];
}

const owners = (): RigNode[] => nodes.filter(({ streams }) => streams.owned.length > 0);

/** Somebody runs it, and keeps it. */
async function settled(): Promise<void> {
  await until('somebody runs it for good', async () => {
    for (const { streams } of nodes) await streams.look();
    return owners().length === 1 && (await ranksFirst());
  });
}

async function ranksFirst(): Promise<boolean> {
  const [before] = owners();
  for (const { streams } of nodes) await streams.look();
  return owners()[0] === before;
}

async function rows(node: RigNode, name: string): Promise<unknown[]> {
  const answer = await node.streams.service.query({ ...EVERYTHING, stream: 'visits', name, include: 'all' });
  return answer.rows.map(({ key, start, values }) => [key['page'], start, values['n']]).sort();
}

async function refusalOf(work: Promise<unknown>): Promise<RefusalName> {
  const error = await work.then(
    () => assert.fail('it was taken'),
    (cause: unknown) => cause,
  );
  assert.ok(error instanceof StreamRefusal, String(error));
  return error.refusal;
}

async function kill(node: RigNode): Promise<void> {
  nodes = nodes.filter((each) => each !== node);
  await node.kill();
  await settled();
}

describe('from a node that does not run the stream', () => {
  test('a window is defined, known everywhere, and still there with the next owner', async () => {
    const [owner, other] = (await start(3)) as [RigNode, RigNode];
    const twenties = { name: 'twenties', type: 'tumbling', sizeMs: 20, aggregates: { n: 'count' } };
    const { operators } = await other.streams.service.define('visits', 'windows', twenties);
    assert.ok(operators.some(({ name }) => name.endsWith('tens')));
    const knows = ({ streams }: RigNode): boolean =>
      streams.service.plan.operators.some(({ name }) => name === 'twenties');
    await until('all know it', () => nodes.every(knows));
    await other.accept('visits', [
      { at: 5, page: 'a' },
      { at: 15, page: 'a' },
    ]);
    await kill(owner);
    const [next] = owners() as [RigNode];
    await next.accept('visits', [
      { at: 16, page: 'a' },
      { at: 90, page: 'b' },
    ]);
    for (const node of nodes) {
      assert.ok(knows(node), `${node.id} does not know it any more`);
      assert.deepEqual(await rows(node, 'twenties'), [
        ['a', 0, 3],
        ['b', 80, 1],
      ]);
    }
    const bad = other.streams.service.define('visits', 'windows', { name: 'bad', type: 'tumbling' });
    assert.equal(await refusalOf(bad), 'invalid');
  });

  test('a window is removed: gone everywhere, and for the next owner', async () => {
    const [owner, other] = (await start(3)) as [RigNode, RigNode];
    const { service } = other.streams;
    for (const name of ['twenties', 'more']) {
      await service.define('visits', 'windows', { name, type: 'tumbling', sizeMs: 20, aggregates: { n: 'count' } });
    }
    const known = ({ streams }: RigNode): string => streams.service.plan.operators.map(({ name }) => name).join(' ');
    const allKnow = (names: string) => until(names, () => nodes.every((node) => known(node) === names));
    await allKnow('tens twenties more busy');
    await other.accept('visits', [{ at: 5, page: 'a' }]);
    const told: unknown[] = [];
    owner.streams.service.onChange((change) => told.push(change));
    await service.remove('visits', 'windows', 'twenties');
    assert.deepEqual(told, [{ stream: 'visits', operator: 'twenties', kind: 'window' }]);
    await allKnow('tens more busy');
    assert.equal(await refusalOf(service.remove('visits', 'windows', 'twenties')), 'unknown');
    await assert.rejects(
      service.remove('visits', 'windows', 'tens'),
      /window tens is declared \(visits\.windows\[0\]\)/,
    );
    await kill(owner);
    await allKnow('tens more busy');
    await nodes[0]?.accept('visits', [{ at: 6, page: 'a' }]);
    for (const node of nodes) assert.deepEqual(await rows(node, 'more'), [['a', 0, 2]]);
    assert.equal(await refusalOf(rows(nodes[0] as RigNode, 'twenties')), 'unknown');
  });

  test('it is beside what a later owner declares, whoever had it between', async () => {
    const [first] = (await start(1)) as [RigNode];
    const twenties = { name: 'twenties', type: 'tumbling', sizeMs: 20, aggregates: { n: 'count' } };
    await first.streams.service.define('visits', 'windows', twenties);
    await first.accept('visits', [{ at: 5, page: 'a' }]);
    const fives = { name: 'fives', type: 'tumbling', sizeMs: 5, aggregates: { n: 'count' } } as const;
    const other = { ...VISITS, windows: [...(VISITS.windows ?? []), fives] };
    const next = async (id: string, definition: StreamDefinition): Promise<RigNode> => {
      for (const node of nodes.splice(0)) await node.kill();
      nodes.push(await RigNode.start(id, { cluster, redis, definitions: [definition] }));
      await until('it runs here', () => owners().length === 1);
      return nodes[0] as RigNode;
    };
    const second = await next('n2', VISITS);
    assert.deepEqual(second.warnings, []);
    const third = await next('n3', other);
    await third.accept('visits', [
      { at: 15, page: 'a' },
      { at: 90, page: 'b' },
    ]);
    assert.deepEqual(await rows(third, 'twenties'), [
      ['a', 0, 2],
      ['b', 80, 1],
    ]);
    assert.deepEqual(await rows(third, 'fives'), [
      ['a', 15, 1],
      ['b', 90, 1],
    ]);
  });

  test('poison events, alerts and evidence are seen, and replayed, and go with it', async () => {
    const [owner, other] = (await start(2)) as [RigNode, RigNode];
    const taken = await other.accept('visits', [
      { at: 1, page: 'a' },
      { at: 'x' },
      { at: 2, page: 'a' },
      { at: 3, page: 'a' },
    ]);
    assert.deepEqual(taken, { accepted: 3, rejected: 1, late: 0 });
    await other.accept('visits', [{ at: 50, page: 'b' }]);
    const [alert] = await other.streams.service.alerts({ stream: '', active: true, limit: 10 });
    assert.equal(alert?.message, 'busy');
    const evidence = await other.streams.service.events('visits', alert.result.context?.events ?? []);
    assert.deepEqual(evidence.map(({ text }) => JSON.parse(text).at).sort(), [1, 2, 3]);
    await kill(owner);
    const letters = await other.streams.service.deadLetters('visits', '', 10);
    assert.deepEqual(
      letters.map(({ text }) => text),
      ['{"at":"x"}'],
    );
    assert.equal(
      await other.streams.service.dropDeadLetters(
        'visits',
        letters.map(({ id }) => id),
      ),
      1,
    );
    const description = await describeStream(other.streams.service, 'visits');
    assert.deepEqual([description.counters.accepted, description.deadLetters], [4, 0]);
  });

  test('what needs Redis is refused for now while it is away', async () => {
    const [owner] = (await start(1, { commandMsMax: 1000 })) as [RigNode];
    await owner.accept('visits', [{ at: 1, page: 'a' }, { at: 'x' }]);
    const { service } = owner.streams;
    const [letter] = await service.deadLetters('visits', '', 10);
    const ids = [letter?.id as string];
    owner.proxy.blackHole();
    const twenties = { name: 'twenties', type: 'tumbling', sizeMs: 20, aggregates: { n: 'count' } };
    assert.equal(await refusalOf(service.deadLetters('visits', '', 10)), 'unavailable');
    assert.equal(await refusalOf(service.dropDeadLetters('visits', ids)), 'unavailable');
    assert.equal(await refusalOf(service.replayDeadLetters('visits', ids)), 'unavailable');
    assert.equal(await refusalOf(service.events('visits', [`${letter?.seq}:0`])), 'unavailable');
    assert.equal(await refusalOf(service.define('visits', 'windows', twenties)), 'unavailable');
    owner.proxy.heal();
  });

  test('without an owner, or one that answers, events are refused for now', async () => {
    const [owner, other] = (await start(2)) as [RigNode, RigNode];
    cluster.setReachable(owner.id, false);
    assert.equal(await refusalOf(other.accept('visits', [{ at: 1, page: 'a' }])), 'unavailable');
    assert.equal(await refusalOf(other.accept('none', [{ at: 1 }])), 'unknown');
    cluster.setStatus(owner.id, 'draining');
    cluster.setStatus(other.id, 'draining');
    await owner.streams.close();
    assert.equal(await refusalOf(other.accept('visits', [{ at: 1, page: 'a' }])), 'stopped');
    cluster.setStatus(other.id, 'running');
    await until('the other one runs it', () => other.streams.owned.length === 1);
    assert.equal((await other.accept('visits', [{ at: 1, page: 'a' }])).accepted, 1);
  });
});

test('an owner that was replaced acknowledges nothing more, even while it believes in its lease', async () => {
  const [owner, other] = (await start(2)) as [RigNode, RigNode];
  await owner.accept('visits', [{ at: 1, page: 'a' }], { batchId: 'one' });
  cluster.setStatus(owner.id, 'starting');
  const [lease] = cluster.expire(owner.id, false);
  await until('the other one runs it', () => other.streams.owned.length === 1);
  assert.equal(owner.streams.owned.length, 1, 'it does not know');
  assert.equal(await refusalOf(owner.accept('visits', [{ at: 2, page: 'a' }], { batchId: 'two' })), 'stopped');
  assert.ok(lease?.held, 'it was told by its token alone');
  assert.equal(owner.streams.owned.length, 0);
  // Through the one it has now become: the other one answers.
  await until('it asks the new owner', async () => {
    const taken = await owner.accept('visits', [{ at: 2, page: 'a' }], { batchId: 'two' }).catch(() => null);
    return taken?.accepted === 1;
  });
  assert.deepEqual(await owner.accept('visits', [{ at: 1, page: 'a' }], { batchId: 'one' }), {
    accepted: 1,
    rejected: 0,
    late: 0,
  });
  assert.deepEqual(await rows(other, 'tens'), [['a', 0, 2]]);
});

test('when Redis comes back empty, the streams begin anew: nothing of before is mixed with what follows', async () => {
  const [owner, other] = (await start(2, { checkpointMs: 100 })) as [RigNode, RigNode];
  await other.accept(
    'visits',
    [
      { at: 1, page: 'a' },
      { at: 2, page: 'a' },
    ],
    { batchId: 'one' },
  );
  await redis.end();
  assert.equal(await refusalOf(owner.accept('visits', [{ at: 3, page: 'a' }])), 'unavailable');
  await redis.startAgain();
  await until('events are taken again', async () => {
    const taken = await other.accept('visits', [{ at: 4, page: 'a' }], { batchId: 'four' }).catch(() => null);
    return taken?.accepted === 1;
  });
  for (const node of nodes) assert.deepEqual(await rows(node, 'tens'), [['a', 0, 1]]);
  const listed = await other.streams.service.list();
  assert.equal(listed[0]?.counters.accepted, 1);
  assert.deepEqual(other.streams.service.degraded, []);
});

test('a node that cannot open a unit leaves it to another, and says so', async () => {
  const broken: StreamDefinition = {
    ...VISITS,
    sinks: [{ type: 'file', path: '/no/such/folder/results' }],
  };
  const first = await RigNode.start('n1', { cluster, redis, definitions: [broken] });
  nodes.push(first);
  await until('it says so', () => first.streams.service.degraded.includes('streams of visits'));
  nodes.push(await RigNode.start('n2', { cluster, redis, definitions: [VISITS] }));
  await until('the other one runs it', () => owners().some(({ id }) => id === 'n2'));
});

/**
 * A stream in partitions: its keys are spread over nodes, which come, go, and take over from one another, and it is still
 * one stream: any node takes its events and answers for all of it, each event counts once, each result is emitted once.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { pack } from 'msgpackr';
import { readInForce } from '../../../src/streams/cluster/in-force.ts';
import { unitKeys } from '../../../src/streams/cluster/unit-keys.ts';
import { partitionName } from '../../../src/streams/cluster/units.ts';
import { partitionOf as partitionOfKey } from '../../../src/streams/decode/key-hash.ts';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { StreamRefusal, type WindowQuery } from '../../../src/streams/engine/port.ts';
import { randomFrom } from '../../random.ts';
import { EVERYTHING } from '../rig-parts.ts';
import { FakeCluster } from './fake-cluster.ts';
import { type RigNode, until } from './node-rig.ts';
import { NodeSet } from './node-set.ts';
import { checkCut, cutBatches, cutStreams, expectedOf } from './partition-case.ts';
import { Sender } from './sender.ts';
import type { Reading } from './sensor-case.ts';

const PARTITIONS = 6;
const ROUNDS = 6;
const BATCHES_PER_ROUND = 6;
const SEED = Number(process.env['STREAM_SEED'] ?? 20_261_121);
const UNITS = Array.from({ length: PARTITIONS }, (_, i) =>
  partitionName('readings', i, PARTITIONS, `${PARTITIONS} by sensor: string`),
);
const QUERY: WindowQuery = { ...EVERYTHING, stream: 'readings', name: 'parts', include: 'closed' };

const nodes = new NodeSet();
const allAtHome = (): Promise<void> =>
  until('every partition is where it should be', () => UNITS.every((unit) => nodes.isAtHome(unit)));
const partitionOf = (sensor: string): number => partitionOfKey([sensor], PARTITIONS);

function sendersOf(count: number, batches: number): { readonly senders: Sender[]; readonly sent: Reading[] } {
  const random = randomFrom(SEED);
  const sent: Reading[] = [];
  const senders = Array.from({ length: count }, (_, i) => {
    const its = cutBatches(random, batches, 12);
    sent.push(...its.flat());
    return new Sender({ stream: 'readings', name: `sender-${i}`, batches: its, targets: nodes.running });
  });
  return { senders, sent };
}

async function finish(senders: readonly Sender[], sent: readonly Reading[]): Promise<void> {
  await Promise.all(senders.map((sender) => sender.send()));
  const { seconds, windows } = expectedOf(sent);
  await until('all windows are in the sink', async () => (await nodes.linesOf('readings')).length >= windows.size);
  await until('all sums are in the sink', async () => (await nodes.linesOf('readingsSums')).length >= seconds.size);
  checkCut(sent, await nodes.linesOf('readings'), await nodes.linesOf('readingsSums'));
}

describe('a stream in partitions', () => {
  test('is spread over the nodes, and is one stream for whoever asks any of them', async () => {
    const cluster = new FakeCluster();
    await nodes.start({ cluster, definitions: cutStreams('readings', nodes.redis.url, PARTITIONS) }, 'n1', 'n2', 'n3');
    await allAtHome();
    assert.ok(nodes.running().filter(({ streams }) => streams.owned.length > 0).length > 1, 'one node has them all');
    const { senders, sent } = sendersOf(3, 10);
    await finish(senders, sent);
    const { windows } = expectedOf(sent);
    for (const { streams } of nodes.running()) {
      const [facts] = await streams.service.list();
      assert.equal(facts?.counters.accepted, sent.length);
      const all = await streams.service.query(QUERY);
      assert.deepEqual(
        all.rows.map(({ key, start }) => `${key['sensor']} ${start}`).sort(),
        [...windows.keys()].sort(),
      );
      assert.deepEqual(
        all.rows.map(({ end }) => end),
        all.rows.map(({ end }) => end).sort((a, b) => Number(b) - Number(a)),
      );
      const few = await streams.service.query({ ...QUERY, limit: 5, by: 'total' });
      const totals = [...windows.values()].map((values) => (values as { total: number }).total).sort((a, b) => b - a);
      assert.deepEqual(
        few.rows.map(({ values }) => values['total']),
        totals.slice(0, 5),
      );
      assert.equal(few.truncated, true);
      const one = await streams.service.query({ ...QUERY, key: { sensor: 's3' } });
      assert.deepEqual(
        one.rows.map(({ start }) => `s3 ${start}`).sort(),
        [...windows.keys()].filter((window) => window.startsWith('s3 ')).sort(),
      );
      const ids = one.rows[0]?.context?.events ?? [];
      assert.ok(ids.length > 0 && ids.every((id) => id.startsWith(`${partitionOf('s3')}/`)), String(ids));
      const events = await streams.service.events('readings', ids);
      assert.deepEqual(
        events.map(({ id, text }) => [id, (JSON.parse(text) as Reading).sensor]),
        ids.map((id) => [id, 's3']),
      );
      await assert.rejects(
        streams.service.events('readings', ['12:1']),
        /"12:1" is not an id of a stream with partitions/,
      );
    }
  });

  test('takes batches of any format, once each, and keeps what it refuses where its key is', async () => {
    const cluster = new FakeCluster();
    await nodes.start({ cluster, definitions: cutStreams('readings', nodes.redis.url, PARTITIONS) }, 'n1', 'n2');
    await allAtHome();
    const [{ streams }] = nodes.running() as [RigNode];
    const events = Array.from({ length: 20 }, (_, i) => ({ at: 1_000_000, sensor: `s${i}`, value: i }));
    const heading = { partition: '', position: '', traceparent: '', correlationId: '' };
    const body = pack(events);
    for (let i = 0; i < 2; i++) {
      const batch = { ...heading, format: 'msgpack', body, batchId: 'one' } as const;
      assert.deepEqual(await streams.service.accept('readings', 'test', batch), { accepted: 20, rejected: 0, late: 0 });
    }
    const lines = ['{"at":1000000,"sensor":"s4","value":"x"}', 'not JSON', '{"at":1000000,"sensor":"s5","value":1}'];
    const bad = { ...heading, format: 'ndjson', body: Buffer.from(lines.join('\n')), batchId: 'two' } as const;
    assert.deepEqual(await streams.service.accept('readings', 'test', bad), { accepted: 1, rejected: 2, late: 0 });
    const [facts] = await streams.service.list();
    assert.equal(facts?.counters.accepted, 21);
    assert.equal(facts?.deadLetters, 2);
    const letters = await streams.service.deadLetters('readings', '', 10);
    assert.deepEqual(
      new Map(letters.map(({ id, text }) => [text, Number(id.split('/')[0])])),
      new Map([
        [lines[0], partitionOf('s4')],
        [lines[1], 0],
      ]),
    );
    const [first] = letters;
    assert.deepEqual(await streams.service.deadLetters('readings', first?.id as string, 10), letters.slice(1));
    assert.equal((await streams.service.replayDeadLetters('readings', [first?.id as string])).rejected, 1);
    const left = await streams.service.deadLetters('readings', '', 10);
    assert.equal(left.length, 2);
    assert.equal(
      await streams.service.dropDeadLetters(
        'readings',
        left.map(({ id }) => id),
      ),
      2,
    );
    assert.deepEqual(await streams.service.deadLetters('readings', '', 10), []);
  });

  test('has a window that is defined while it runs in all of its partitions', async () => {
    const cluster = new FakeCluster();
    const options = { cluster, definitions: cutStreams('readings', nodes.redis.url, PARTITIONS) };
    const [node] = (await nodes.start(options, 'n1', 'n2')) as [RigNode];
    await allAtHome();
    const window = { name: 'more', type: 'tumbling', sizeMs: 50, aggregates: { n: 'count' } };
    await assert.rejects(node.streams.service.define('readings', 'windows', { ...window, key: [] }), StreamRefusal);
    await node.streams.service.define('readings', 'windows', window);
    const { senders, sent } = sendersOf(1, 4);
    await finish(senders, sent);
    for (const { streams } of nodes.running()) {
      const { rows } = await streams.service.query({ ...QUERY, name: 'more' });
      assert.equal(new Set(rows.map(({ key }) => key['sensor'])).size, 7);
    }
  });
});

describe('definitions of a stream in partitions', () => {
  const more = (sizeMs: number): object => ({ name: 'more', type: 'tumbling', sizeMs, aggregates: { n: 'count' } });
  /** What the next owner of each begins with, which is what is in force once it is the same. */
  const kept = async (): Promise<string[]> => {
    const redis = nodes.redis.connect();
    try {
      await redis.ready();
      const all = await Promise.all(UNITS.map((unit) => readInForce(redis, unitKeys('test:', unit).head)));
      return all.map((inForce) => JSON.stringify(inForce?.definitions));
    } finally {
      redis.close();
    }
  };
  const sizeOf = (definitions: string): number | undefined =>
    (JSON.parse(definitions) as StreamDefinition[])[0]?.windows?.find(({ name }) => name === 'more')?.sizeMs;

  /** `owner`: of the first partition. */
  async function twoNodes() {
    const cluster = new FakeCluster();
    const definitions = cutStreams('readings', nodes.redis.url, PARTITIONS);
    await nodes.start({ cluster, definitions }, 'n1', 'n2');
    await allAtHome();
    const [owner] = nodes.ownersOf(UNITS[0] as string) as [RigNode];
    const other = nodes.running().find(({ id }) => id !== owner.id) as RigNode;
    return { cluster, definitions, other, owner };
  }

  test('that two nodes give at once come in one order: all partitions end with the same', async () => {
    const { cluster, other, owner } = await twoNodes();
    // What the first node says to the second comes after the second has said otherwise everywhere.
    const arrive = cluster.delay(owner.id);
    const early = owner.streams.service.define('readings', 'windows', more(60));
    await until('the first has it', async () => sizeOf((await kept())[0] as string) === 60);
    await other.streams.service.define('readings', 'windows', more(70));
    arrive();
    await early;
    assert.deepEqual((await kept()).map(sizeOf), Array(PARTITIONS).fill(70));
    await Promise.all(
      nodes.running().map(({ streams }, i) => streams.service.define('readings', 'windows', more(80 + 10 * i))),
    );
    assert.equal(new Set(await kept()).size, 1);
  });

  test('go from all partitions when they are removed, also from one that could not be told', async () => {
    const { cluster, other, owner } = await twoNodes();
    await other.streams.service.define('readings', 'windows', more(60));
    assert.deepEqual((await kept()).map(sizeOf), Array(PARTITIONS).fill(60));
    cluster.setReachable(other.id, false);
    await assert.rejects(owner.streams.service.remove('readings', 'windows', 'more'), /partition \d/);
    assert.ok((await kept()).map(sizeOf).includes(60));
    cluster.setReachable(other.id, true);
    await until('none has it', async () => (await kept()).every((each) => sizeOf(each) === undefined));
  });

  test('reach a partition that could not be told, and one that changes its owner', async () => {
    const { cluster, definitions, other, owner } = await twoNodes();
    const its = UNITS.findIndex((unit) => other.streams.owned.includes(unit));
    assert.ok(its > 0, 'one node has them all');
    const missed = async (sizeMs: number): Promise<void> => {
      cluster.setReachable(other.id, false);
      const defined = owner.streams.service.define('readings', 'windows', more(sizeMs));
      await assert.rejects(defined, /in force in the first partition, which the others follow; partition \d/);
      assert.equal(sizeOf((await kept())[0] as string), sizeMs);
      assert.notEqual(sizeOf((await kept())[its] as string), sizeMs);
      cluster.setReachable(other.id, true);
    };
    await missed(60);
    await until('all have it', async () => new Set(await kept()).size === 1);
    await missed(70);
    nodes.byId.delete(other.id);
    await other.kill();
    await until('all have it', async () => new Set(await kept()).size === 1);
    await nodes.start({ cluster, definitions }, other.id);
    await allAtHome();
    assert.deepEqual((await kept()).map(sizeOf), Array(PARTITIONS).fill(70));
  });
});

test('another number of partitions begins anew, and says so', async () => {
  const said = (node: RigNode): boolean => node.warnings.some((text) => text.includes('another number of partitions'));
  for (const [partitions, warned] of [
    [1, false],
    [2, true],
    [2, false],
  ] as const) {
    const definitions = cutStreams('readings', nodes.redis.url, partitions);
    const [node] = (await nodes.start({ cluster: new FakeCluster(), definitions }, 'n1')) as [RigNode];
    await until('it has noted it', async () => {
      const noted = String(await nodes.redis.run('HGET', 'test:stream-partitions', 'readings'));
      return Number.parseInt(noted, 10) === partitions;
    });
    if (warned) await until('it is said', () => said(node));
    await node.close();
    assert.equal(said(node), warned);
    nodes.byId.clear();
  }
});

test('another key begins anew: none of its keys is in two partitions', async () => {
  const keyedBy = (key: string): StreamDefinition => ({
    name: 'readings',
    schema: { fields: { at: 'integer', sensor: 'string', site: 'string' }, timestamp: { field: 'at' }, key: [key] },
    time: { maxFutureMs: 0 },
    durability: 'replicated',
    partitions: PARTITIONS,
    windows: [{ name: 'parts', type: 'tumbling', sizeMs: 1000, key: ['site', 'sensor'], aggregates: { n: 'count' } }],
  });
  const events = Array.from({ length: 8 }, (_, i) => ({ at: 10, sensor: `s${i}`, site: `t${i}` }));
  for (const key of ['sensor', 'site']) {
    const [node] = (await nodes.start({ cluster: new FakeCluster(), definitions: [keyedBy(key)] }, 'n1')) as [RigNode];
    await until('it has all partitions', () => node.streams.owned.length === PARTITIONS);
    await node.accept('readings', events);
    const { rows } = await node.streams.service.query({ ...QUERY, include: 'open' });
    const keys = rows.map(({ key: its }) => `${its['site']}${its['sensor']}`);
    assert.equal(keys.length, new Set(keys).size, `cut by ${key}: ${keys}`);
    assert.equal(keys.length, events.length);
    nodes.byId.delete('n1');
    await node.close();
  }
});

describe('a source in partitions', () => {
  test('each is read by the node that runs the partition, from where the one before it was', async () => {
    const cluster = new FakeCluster();
    const source = { type: 'redis', url: nodes.redis.url, stream: 'in:{partition}', field: 'event', blockMs: 100 };
    const definitions = cutStreams('readings', nodes.redis.url, PARTITIONS, [source]);
    const options = { cluster, definitions };
    const random = randomFrom(SEED);
    const batches = cutBatches(random, 30, 12);
    const write = async (readings: readonly Reading[]): Promise<void> => {
      for (const reading of readings) {
        await nodes.redis.run('XADD', `in:${partitionOf(reading.sensor)}`, '*', 'event', JSON.stringify(reading));
      }
    };
    await nodes.start(options, 'n1', 'n2');
    await write(batches.slice(0, 10).flat());
    const [{ streams }] = (await nodes.start(options, 'n3')) as [RigNode];
    const accepted = async (): Promise<number> => (await streams.service.list())[0]?.counters.accepted ?? 0;
    await until('the first are taken', async () => (await accepted()) === batches.slice(0, 10).flat().length);
    for (const id of ['n1', 'n2']) {
      const node = nodes.byId.get(id) as RigNode;
      nodes.byId.delete(id);
      const writing = write(batches.slice(id === 'n1' ? 10 : 20, id === 'n1' ? 20 : 30).flat());
      await (id === 'n1' ? node.kill() : node.close());
      await writing;
    }
    await write(batches.slice(30).flat());
    await finish([], batches.flat());
  });
});

describe('a partition moves', () => {
  test('to a node that joins only when it is that one’s share; the others go on where they are', async () => {
    const cluster = new FakeCluster();
    const definitions = cutStreams('readings', nodes.redis.url, PARTITIONS);
    const options = { cluster, definitions, checkpointMs: 200 };
    await nodes.start(options, 'n1', 'n2');
    await allAtHome();
    const tokenOf = (unit: string): number | undefined =>
      cluster.given.findLast(({ name }) => name === `stream:${unit}`)?.token;
    const before = new Map(UNITS.map((unit) => [unit, { owner: nodes.ownersOf(unit)[0]?.id, token: tokenOf(unit) }]));
    const { senders, sent } = sendersOf(3, 12);
    for (const sender of senders) await sender.send(1);
    const sending = finish(senders, sent);
    await nodes.start(options, 'n3');
    await sending;
    await allAtHome();
    const moved = UNITS.filter((unit) => nodes.ownersOf(unit)[0]?.id === 'n3');
    assert.ok(moved.length > 0 && moved.length < PARTITIONS, String(moved));
    for (const unit of UNITS) {
      if (moved.includes(unit)) continue;
      assert.deepEqual({ owner: nodes.ownersOf(unit)[0]?.id, token: tokenOf(unit) }, before.get(unit), unit);
    }
  });

  test('while owners are killed, rolled and cut off from Redis: nothing is lost and nothing doubled', async () => {
    const cluster = new FakeCluster();
    const definitions = cutStreams('readings', nodes.redis.url, PARTITIONS);
    const options = { cluster, definitions, checkpointMs: 150 };
    const ids = ['n1', 'n2', 'n3'];
    await nodes.start(options, ...ids);
    await allAtHome();
    const { senders, sent } = sendersOf(4, ROUNDS * BATCHES_PER_ROUND);
    for (const sender of senders) await sender.send(1);
    const random = randomFrom(SEED + 1);
    for (let round = 0; round < ROUNDS; round++) {
      const sending = Promise.all(senders.map((sender) => sender.send(BATCHES_PER_ROUND)));
      sending.catch(() => undefined);
      await pause(random() * 30);
      const victim = nodes.ownersOf(UNITS[round % PARTITIONS] as string)[0] ?? (nodes.running()[0] as RigNode);
      if (round % 3 === 2) victim.proxy.cut();
      else {
        nodes.byId.delete(victim.id);
        await (round % 3 === 0 ? victim.kill() : victim.close());
      }
      await pause(random() * 100);
      await nodes.start(options, ...ids.filter((id) => !nodes.byId.has(id)));
      await sending;
    }
    await finish(senders, sent);
    assert.ok(
      senders.some(({ retries }) => retries > 0),
      'nobody noticed anything',
    );
    for (const unit of UNITS) {
      const tokens = cluster.given.filter(({ name }) => name === `stream:${unit}`).map(({ token }) => token);
      assert.ok(tokens.every((token, i) => i === 0 || token > (tokens[i - 1] as number)));
    }
  });
});

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

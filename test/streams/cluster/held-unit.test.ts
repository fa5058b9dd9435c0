/**
 * A unit whose sink has more to catch up with than may wait for it: its node has the unit, takes events when the sink has
 * caught up, and can be relieved of it before.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readInForce } from '../../../src/streams/cluster/in-force.ts';
import { unitKeys } from '../../../src/streams/cluster/unit-keys.ts';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { PENDING_BYTES_MAX } from '../../../src/streams/engine/results/delivery.ts';
import type { SinkKind } from '../../../src/streams/sinks/port.ts';
import { lastingStores } from '../engine/faults.ts';
import { gated, kindsWith } from '../engine/gated-sink.ts';
import { FakeCluster } from './fake-cluster.ts';
import { type RigNode, until } from './node-rig.ts';
import { NodeSet } from './node-set.ts';

const BATCH_BYTES = 2 ** 20;
const BATCHES = PENDING_BYTES_MAX / BATCH_BYTES + 8;

const STREAM: StreamDefinition = {
  name: 's',
  schema: { fields: { at: 'integer', text: 'string' }, timestamp: { field: 'at' } },
  durability: 'replicated',
  views: [{ name: 'all' }],
  sinks: [{ type: 'gated' }],
};
/** As a later version declares it. */
const MORE: StreamDefinition[] = [
  { ...STREAM, sinks: [{ type: 'gated' }, { type: 'stream', stream: 't', of: ['all'] }] },
  { name: 't', schema: STREAM.schema, durability: 'replicated' },
];

const nodes = new NodeSet();

/** Of each node alone, beside the unit. */
const LOCAL: StreamDefinition = { ...STREAM, name: 'l', durability: 'memory' };

async function start(
  cluster: FakeCluster,
  id: string,
  definitions: readonly StreamDefinition[],
  sink: SinkKind,
): Promise<RigNode> {
  const [node] = (await nodes.start({ cluster, definitions, kinds: kindsWith(sink) }, id)) as [RigNode];
  await until('the unit is there', () => node.streams.owned.includes('s'));
  return node;
}

/** A log in Redis to replay for a sink that has forgotten all of it. */
async function filled(cluster: FakeCluster): Promise<void> {
  const sink = gated();
  sink.open();
  const node = await start(cluster, 'n1', [STREAM], sink.kind);
  for (let n = 0; n < BATCHES; n++) await node.accept('s', [{ at: n, text: 'x'.repeat(BATCH_BYTES) }]);
  await node.kill();
  nodes.byId.clear();
}

async function namesInForce(): Promise<readonly string[]> {
  const redis = nodes.redis.connect();
  try {
    await redis.ready();
    return (await readInForce(redis, unitKeys('test:', 's').head))?.definitions.map(({ name }) => name) ?? [];
  } finally {
    redis.close();
  }
}

test('is there, refuses batches with the name of the sink, and takes them when the sink has caught up', async () => {
  const cluster = new FakeCluster();
  await filled(cluster);
  const sink = gated();
  const node = await start(cluster, 'n2', MORE, sink.kind);
  const { service } = node.streams;
  assert.deepEqual(service.degraded, ['stream start, behind sink s/gated#0 of s']);
  for (const stream of ['s', 't']) {
    await assert.rejects(node.accept(stream, [{ at: 1, text: 'early' }]), {
      refusal: 'stopped',
      message: 'the streams are starting: results wait for sink s/gated#0',
    });
  }
  await assert.rejects(service.define('s', 'windows', { name: 'w' }), { refusal: 'stopped' });
  assert.deepEqual(await namesInForce(), ['s']);
  assert.deepEqual(service.listOwn(), [], 'what a replay has counted so far is less than was told before');
  sink.open();
  await until('it has started', () => service.degraded.length === 0);
  assert.equal(service.listOwn().find(({ name }) => name === 's')?.counters.accepted, BATCHES);
  assert.equal((await node.accept('s', [{ at: 1000, text: 'new' }])).accepted, 1);
  await until('the sink has all', () => sink.lines === BATCHES + 1);
  await until('what is declared is in force', async () => (await namesInForce()).length === 2);
  assert.equal((await node.accept('t', [{ at: 1, text: 'own' }])).accepted, 1);
});

test('a stream of the node alone waits for its sink as little', async () => {
  const cluster = new FakeCluster();
  const definitions = [{ ...STREAM, sinks: [] }, LOCAL];
  const options = { cluster, definitions, stores: lastingStores() };
  const open = gated();
  open.open();
  const [before] = (await nodes.start({ ...options, kinds: kindsWith(open.kind) }, 'n1')) as [RigNode];
  for (let n = 0; n < BATCHES; n++) await before.accept('l', [{ at: n, text: 'x'.repeat(BATCH_BYTES) }]);
  await before.kill();
  nodes.byId.clear();
  const sink = gated();
  const [node] = (await nodes.start({ ...options, kinds: kindsWith(sink.kind) }, 'n2')) as [RigNode];
  assert.deepEqual(node.streams.service.degraded, ['stream start, behind sink l/gated#0']);
  await until('the unit is there', () => node.streams.owned.includes('s'));
  assert.equal((await node.accept('s', [{ at: 1, text: 'taken' }])).accepted, 1);
  sink.open();
  await until('it has started', () => node.streams.service.degraded.length === 0);
});

test('is handed over while it waits, and goes on from the log elsewhere', async () => {
  const cluster = new FakeCluster();
  await filled(cluster);
  const held = await start(cluster, 'n2', [STREAM], gated().kind);
  await held.close();
  nodes.byId.clear();
  const sink = gated();
  sink.open();
  const node = await start(cluster, 'n3', [STREAM], sink.kind);
  await until('the sink has all', () => sink.lines === BATCHES);
  await until('it has started', () => node.streams.service.degraded.length === 0);
  const [facts] = await node.streams.service.list();
  assert.equal(facts?.counters.accepted, BATCHES);
});

/**
 * A Redis stream as the source of a unit: whoever runs it goes on where the log is, and no entry counts twice.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import type { ResultLine } from '../../../src/streams/engine/port.ts';
import { RedisServer } from '../../redis/redis-server.ts';
import { FakeCluster } from './fake-cluster.ts';
import { RigNode, until } from './node-rig.ts';

const ROUNDS = 6;
const PER_ROUND = 150;
const START_MS = 1_000_000;
const SIZE_MS = 50;

let redis: RedisServer;
const nodes = new Map<string, RigNode>();
before(async () => {
  redis = await RedisServer.start();
});
after(async () => {
  for (const node of nodes.values()) await node.kill();
  await redis.end();
});

function feed(url: string): StreamDefinition {
  return {
    name: 'feed',
    schema: { fields: { at: 'integer', sensor: 'string' }, timestamp: { field: 'at' }, key: ['sensor'] },
    time: { idleAfterMs: 0, maxFutureMs: 0 },
    durability: 'replicated',
    windows: [{ name: 'parts', type: 'tumbling', sizeMs: SIZE_MS, aggregates: { n: 'count' } }],
    sources: [{ type: 'redis', url, stream: 'entries', numbers: ['at'], batch: 20, blockMs: 50 }],
    sinks: [{ type: 'redis', url, stream: 'results' }],
  };
}

async function results(): Promise<ResultLine[]> {
  const entries = (await redis.run('XRANGE', 'results', '-', '+')) as [string, string[]][];
  return entries.map(([, fields]) => JSON.parse(fields[3] as string) as ResultLine);
}

test('owners end and follow one another while entries come: each counts once, in order, none is late', async () => {
  const cluster = new FakeCluster();
  const options = { cluster, redis, definitions: [feed(redis.url)], checkpointMs: 100 };
  const ids = ['n1', 'n2', 'n3'];
  const expected = new Map<string, number>();
  let at = START_MS;
  const add = async (): Promise<void> => {
    at += 1 + (at % 7);
    const sensor = `s${at % 3}`;
    const window = `${sensor} ${at - (at % SIZE_MS)}`;
    expected.set(window, (expected.get(window) ?? 0) + 1);
    await redis.run('XADD', 'entries', '*', 'at', at, 'sensor', sensor);
  };
  for (let round = 0; round < ROUNDS; round++) {
    for (const id of ids) if (!nodes.has(id)) nodes.set(id, await RigNode.start(id, options));
    const adding = (async () => {
      for (let i = 0; i < PER_ROUND; i++) await add();
    })();
    const before = (await results()).length;
    await until('somebody works', async () => (await results()).length > before + 5);
    const victim = [...nodes.values()].find(({ streams }) => streams.owned.length > 0);
    if (victim !== undefined) {
      nodes.delete(victim.id);
      await (round % 2 === 0 ? victim.kill() : victim.close());
    }
    await adding;
  }
  const last = at - (at % SIZE_MS);
  for (const window of [...expected.keys()]) if (window.endsWith(` ${last}`)) expected.delete(window);
  await until('all windows that are over are told', async () => (await results()).length >= expected.size);
  const told = (await results()).map(({ key, start, values }) => [`${key['sensor']} ${start}`, values['n']] as const);
  assert.equal(told.length, expected.size);
  assert.deepEqual(new Map([...told].sort()), new Map([...expected].sort()));
  const pending = (await redis.run('XPENDING', 'entries', 'millrace')) as unknown[];
  assert.equal(pending[0], 0);
});

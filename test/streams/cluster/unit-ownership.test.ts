/**
 * What a node does with a unit that takes long to open, when it should have it no more, and with one it could not have.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RedisUnavailable } from '../../../src/redis/unavailable.ts';
import { leaseName, UnitOwnership } from '../../../src/streams/cluster/unit-ownership.ts';
import { UnitRoute } from '../../../src/streams/cluster/unit-route.ts';
import type { Unit } from '../../../src/streams/cluster/units.ts';
import { FakeCluster } from './fake-cluster.ts';
import { until } from './node-rig.ts';

const UNIT: Unit = { name: 'u', family: 'u', definitions: [], partition: 0, partitions: 1, cut: '1' };
const NOBODY = (): void => undefined;

/** A node whose engines are never open: they wait, as for a sink that is away, until they are unwanted. */
function openingFor(cluster: FakeCluster): { readonly ownership: UnitOwnership; readonly opening: Set<number> } {
  const opening = new Set<number>();
  const ownership = new UnitOwnership(UNIT, {
    ...cluster.join('n1'),
    open: (_unit, { token }, _lost, unwanted) =>
      new Promise((_resolve, reject) => {
        opening.add(token);
        unwanted.addEventListener('abort', () => {
          opening.delete(token);
          reject(new Error('not wanted any more'));
        });
      }),
    askToYield: () => Promise.reject(new Error('there is nobody')),
    changed: NOBODY,
    log: { error: NOBODY, warn: NOBODY, info: NOBODY },
    now: () => performance.now(),
  });
  return { ownership, opening };
}

test('a node that stops does not wait for it, and gives the lease back', async () => {
  const cluster = new FakeCluster();
  const { opening, ownership } = openingFor(cluster);
  void ownership.look();
  await until('it opens', () => opening.size === 1);
  await ownership.stop();
  assert.equal(opening.size, 0);
  assert.equal(cluster.holderOf(leaseName('u')), null);
});

test('a lease that is lost meanwhile ends it, and the next one is another try', async () => {
  const cluster = new FakeCluster();
  const { opening, ownership } = openingFor(cluster);
  void ownership.look();
  await until('it opens', () => opening.size === 1);
  cluster.expire('n1', true);
  await until('it has ended', () => opening.size === 0);
  await until('it opens again', async () => {
    void ownership.look();
    return opening.has(2);
  });
  await ownership.stop();
  assert.equal(cluster.holderOf(leaseName('u')), null);
});

test('after Redis was away, however long, it is taken over within a second', async () => {
  const cluster = new FakeCluster();
  const { leases, membership } = cluster.join('n1');
  let isAway = true;
  let nowMs = 0;
  let opened = 0;
  const told: string[] = [];
  const ownership = new UnitOwnership(UNIT, {
    membership,
    leases: {
      ...leases,
      acquire: (name) =>
        isAway ? Promise.reject(new RedisUnavailable('away', 'Redis is away', false)) : leases.acquire(name),
    },
    open: () => {
      opened += 1;
      return Promise.reject(new Error('far enough'));
    },
    askToYield: () => Promise.reject(new Error('there is nobody')),
    changed: NOBODY,
    log: { error: NOBODY, warn: (_fields, message) => told.push(message), info: NOBODY },
    now: () => nowMs,
  });
  for (; nowMs < 600_000; nowMs += 500) await ownership.look();
  assert.equal(told.length, 1, 'that it is away is told once');
  isAway = false;
  nowMs += 1000;
  await ownership.look();
  assert.equal(opened, 1);
});

test('a unit that could not be taken over is not said to be moving', async () => {
  const cluster = new FakeCluster();
  const ports = cluster.join('n1');
  const ownership = new UnitOwnership(UNIT, {
    ...ports,
    open: () => Promise.reject(new Error('what it needs is not there')),
    askToYield: () => Promise.reject(new Error('there is nobody')),
    changed: NOBODY,
    log: { error: NOBODY, warn: NOBODY, info: NOBODY },
    now: () => performance.now(),
  });
  const route = new UnitRoute(UNIT, ownership, { ...ports, nodeId: 'n1', now: () => performance.now() });
  const asked = (): Promise<unknown> =>
    route.ask(NOBODY, { path: '/', facts: {}, body: new Uint8Array(0), timeoutMs: 1000 });
  await assert.rejects(asked(), /is moving between nodes/);
  await ownership.look();
  await assert.rejects(asked(), /is run by no node: this one could not take it over, and its log says why/);
});

/**
 * Tools of other nodes while Redis is away: what was known stays known, for as long as it takes; what could not be
 * learnt yet is said to be so, and not that it does not exist.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually } from '../../clients/eventually.ts';
import { RedisServer } from '../../redis/redis-server.ts';
import type { Answer } from '../../wire/raw-clients.ts';
import { HEARTBEAT_MS, own, type SpecialNode, startSpecialNode, textOf, untilShown } from './specialised-nodes.ts';

const PATIENCE_MS = 60_000;
/** Longer than a node is shown whose heartbeats have stopped, and its tools after it. */
const LONG_BEATS = 12;
const CALL_EVERY_MS = 50;

const readiness = async (node: SpecialNode): Promise<number> =>
  (await fetch(node.url.replace('/mcp', '/health/ready'))).status;

async function gauge(node: SpecialNode, name: string): Promise<number> {
  const text = await (await fetch(node.url.replace('/mcp', '/metrics'))).text();
  return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1]);
}

function assertTryAgain(answer: Answer): void {
  assert.equal(answer.status, 503, JSON.stringify(answer.error));
  const { retryAfterMs } = answer.error.data as { retryAfterMs: number };
  assert.ok(retryAfterMs > 0);
  assert.ok(Number(answer.headers.get('retry-after')) >= 1);
}

describe('while Redis is away', () => {
  test('tools of other nodes go on being called, and nobody is forgotten, however long it takes', async () => {
    const redis = await RedisServer.start();
    const nodes = await Promise.all([startSpecialNode(redis.url, 'a', '-a'), startSpecialNode(redis.url, 'b', '-b')]);
    const [a, b] = nodes as [SpecialNode, SpecialNode];
    try {
      await untilShown(nodes, [...own('-a'), ...own('-b')]);
      await redis.end();
      const endMs = performance.now() + LONG_BEATS * HEARTBEAT_MS;
      await eventually(
        'heartbeats without Redis',
        async () => {
          const there = await a.stateless.call('where-b');
          assert.equal(there.error.message, '');
          assert.equal(JSON.parse(textOf(there.result)).node, 'b');
          await delay(CALL_EVERY_MS);
          return performance.now();
        },
        (nowMs) => nowMs > endMs,
        PATIENCE_MS + LONG_BEATS * HEARTBEAT_MS,
      );
      assert.deepEqual(await a.names(), [...own('-a'), ...own('-b')].sort());
      // What budgets are divided by.
      assert.equal(await gauge(a, 'millrace_cluster_nodes'), 2);
      assert.equal(await gauge(a, 'millrace_degraded'), 1);
      // Threads of their own tell of it as the front end does: one type for each member, for those who index the lines.
      const told = nodes.flatMap(({ log }) => log.map((line) => JSON.parse(line) as Record<string, unknown>));
      const ofThreads = told.filter(({ user }) => user === 'heartbeat');
      assert.ok(ofThreads.some(({ err }) => err !== undefined));
      for (const { err } of told) assert.equal(typeof (err ?? {}), 'object', JSON.stringify(err));
      // Who is really dead is found out by asking.
      await b.close();
      assertTryAgain(await a.stateless.call('where-b'));
    } finally {
      await Promise.all(nodes.map((node) => node.close()));
      await redis.end();
    }
  });

  test('a node that was started then is ready all the same, and refuses tools it does not know for now only', async () => {
    const redis = await RedisServer.start();
    await redis.end();
    const a = await startSpecialNode(redis.url, 'a', '-a');
    let b: SpecialNode | null = null;
    try {
      assert.equal(await readiness(a), 200);
      assert.equal(JSON.parse(textOf((await a.stateless.call('where-a')).result)).node, 'a');
      assertTryAgain(await a.stateless.call('where-b'));
      await redis.startAgain();
      b = await startSpecialNode(redis.url, 'b', '-b');
      await eventually(
        'a call from the one that was first',
        async () => (await a.stateless.call('where-b')).error.message,
        (message) => message === '',
        PATIENCE_MS,
      );
      // The whole catalogue is known now.
      const { error, status } = await a.stateless.call('where-nobody');
      assert.equal(status, 200);
      assert.deepEqual([error.code, error.message], [-32602, 'unknown tool: where-nobody']);
    } finally {
      await a.close();
      await b?.close();
      await redis.end();
    }
  });
});

describe('a node that joins', () => {
  test('is ready once it knows the tools of the others', async () => {
    const redis = await RedisServer.start();
    const a = await startSpecialNode(redis.url, 'a', '-a');
    const nodes = [a];
    try {
      for (const id of ['b', 'c', 'd']) {
        const node = await startSpecialNode(redis.url, id, `-${id}`);
        nodes.push(node);
        assert.equal(await readiness(node), 200);
        const { error, result } = await node.stateless.call('where-a');
        assert.equal(error.message, '');
        assert.equal(JSON.parse(textOf(result)).node, 'a');
      }
    } finally {
      await Promise.all(nodes.map((node) => node.close()));
      await redis.end();
    }
  });
});

/**
 * Two whole nodes while their Redis is full, away, or answers late: what needs no shared state is answered, what needs it
 * is refused for now and within its deadline, what hurts is told, and nothing piles up.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { defineTool } from '../../../src/catalogue/define.ts';
import { RedisServer } from '../../redis/redis-server.ts';
import { until } from '../../redis/shared-redis.ts';
import { TcpProxy } from '../../redis/tcp-proxy.ts';
import { type Answer, Node, textOf } from '../../tasks/node-pair.ts';
import { POST_HEADERS } from '../../wire/raw-clients.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const HEARTBEAT_MS = 500;
const TIMEOUT_MS = 5_000;
/** What hangs takes longer than a machine that stands still now and then. */
const LATE_MS = 25_000;
/** Sixteen calls each: what is left of every one of them shows from 15 KiB on. */
const ROUNDS = 50;
const HEAP_GROWTH_MIB_MAX = 12;
const MIB = 1024 * 1024;

const INITIALIZE = {
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } },
};

describe('nodes whose Redis hurts', () => {
  let redis: RedisServer;
  let proxy: TcpProxy;
  let nodes: readonly Node[];
  let keys = 0;

  before(async () => {
    redis = await RedisServer.start();
    proxy = await TcpProxy.start(redis.port);
    nodes = await Promise.all(
      ['a', 'b'].map((nodeId) =>
        Node.start(
          {
            redisUrl: `redis://127.0.0.1:${proxy.port}`,
            nodeId,
            heartbeatMs: HEARTBEAT_MS,
            cluster: { commandTimeoutMs: 500 },
            requestTimeoutMs: TIMEOUT_MS,
            rateLimits: [{ tool: 'limited', perSecond: 50, burst: 50 }],
          },
          [
            defineTool({ name: 'plain' }, () => 'plain'),
            defineTool({ name: 'limited' }, () => 'limited'),
            defineTool({ name: 'kept', cache: { ttlMs: 60_000, scope: 'public' } }, () => 'kept'),
            defineTool({ name: 'task', task: 'required' }, () => 'task'),
            defineTool({ name: `only-${nodeId}`, annotations: { idempotentHint: true } }, () => nodeId),
          ],
        ),
      ),
    );
    const [a, b] = nodes as [Node, Node];
    await until('all tools', async () => {
      const answers = [await a.call('only-b'), await b.call('only-a')];
      return answers.every(({ result }) => result !== undefined);
    });
  });
  afterEach(async () => {
    await redis.run('CONFIG', 'SET', 'maxmemory', '0');
    await proxy.accept();
    proxy.heal();
    await until('all to be well', async () => (await degraded()).every((count) => count === 0));
    await seeEachOther();
  });
  after(async () => {
    await Promise.all(nodes.map(({ runtime }) => runtime.close(0)));
    await proxy.end();
    await redis.end();
  });

  const degraded = (): Promise<number[]> =>
    Promise.all(
      nodes.map(async ({ runtime }) => Number(/^millrace_degraded (\d+)$/m.exec(await runtime.metrics())?.[1])),
    );

  /** Each has seen a heartbeat of each since now: one that found Redis again late may be taken for gone until then. */
  async function seeEachOther(): Promise<void> {
    const sinceMs = performance.now();
    for (const { url } of nodes) {
      await until('heartbeats of all', async () => {
        const cluster = (await (await fetch(url.replace('/mcp', '/cluster'))).json()) as {
          nodes: readonly { heartbeatAgeMs: number }[];
        };
        const agesMs = cluster.nodes.map(({ heartbeatAgeMs }) => heartbeatAgeMs);
        return agesMs.length === nodes.length && agesMs.every((ageMs) => ageMs < performance.now() - sinceMs);
      });
    }
  }

  async function toldEverywhere(what: RegExp): Promise<void> {
    await until('the metrics', async () => (await degraded()).every((count) => count > 0));
    for (const { url } of nodes) {
      await until(`${what} in readiness`, async () => {
        const response = await fetch(url.replace('/mcp', '/health/ready'));
        assert.equal(response.status, 200);
        return what.test(JSON.stringify(await response.json()));
      });
    }
  }

  /** No shared state is needed for these. */
  async function servedAlone(node: Node): Promise<void> {
    assert.equal(textOf(await node.call('plain')), 'plain');
    assert.equal(textOf(await node.call('kept')), 'kept');
    for (const id of ['a', 'b']) assert.equal(textOf(await node.call(`only-${id}`)), id);
    const { status } = await node.call('limited');
    assert.ok(status === 200 || status === 429, String(status));
    assert.ok(Array.isArray((await node.request('tools/list', {})).result['tools']));
  }

  async function refusedForNow(what: string, ask: () => Promise<Answer>): Promise<void> {
    const beganMs = performance.now();
    const { error, retryAfter, status } = await ask();
    const tookMs = performance.now() - beganMs;
    assert.equal(status, 503, `${what}: ${JSON.stringify(error)}`);
    assert.ok(Number(retryAfter) >= 1, what);
    assert.equal(typeof error.data?.['retryAfterMs'], 'number', what);
    assert.ok(tookMs < TIMEOUT_MS + LATE_MS, `${what} took ${tookMs} ms`);
  }

  async function initialize(node: Node): Promise<Answer> {
    const response = await fetch(node.url, { method: 'POST', headers: POST_HEADERS, body: JSON.stringify(INITIALIZE) });
    const { error, id, result } = (await response.json()) as Answer;
    return { status: response.status, retryAfter: response.headers.get('retry-after'), id, result, error };
  }

  /** These cannot do without it. */
  async function needsShared(node: Node): Promise<void> {
    await refusedForNow('a session', () => initialize(node));
    await refusedForNow('a task', () => node.call('task'));
    const headers = { 'idempotency-key': `k${keys++}` };
    await refusedForNow('a key', () => node.call('plain', {}, { headers }));
  }

  function heapMiB(): number {
    collectGarbage();
    const { external, heapUsed } = process.memoryUsage();
    return (heapUsed + external) / MIB;
  }

  async function keepsItsPromises(): Promise<void> {
    for (const node of nodes) {
      await servedAlone(node);
      await until('a call within its budget', async () => (await node.call('limited')).status === 200);
      await needsShared(node);
    }
    const round = async (): Promise<void> => {
      await Promise.all(nodes.flatMap((node) => [initialize(node), node.call('task'), servedAlone(node)]));
    };
    for (let n = 0; n < ROUNDS / 5; n++) await round();
    const before = heapMiB();
    for (let n = 0; n < ROUNDS; n++) await round();
    await until('memory as before', () => heapMiB() <= before + HEAP_GROWTH_MIB_MAX);
  }

  async function servesAllAgain(): Promise<void> {
    for (const node of nodes) {
      await until('a session', async () => (await initialize(node)).status === 200);
      await until('a task', async () => (await node.call('task')).status === 200);
      // A node that found Redis again much later than the other is not known to it for a heartbeat.
      for (const id of ['a', 'b']) {
        await until(`the tool of ${id}`, async () => (await node.call(`only-${id}`)).status === 200);
      }
    }
  }

  test('full', async () => {
    await redis.run('CONFIG', 'SET', 'maxmemory', '1');
    await toldEverywhere(/redis full/);
    await keepsItsPromises();
    await redis.run('CONFIG', 'SET', 'maxmemory', '0');
    await servesAllAgain();
  });

  test('away', async () => {
    await proxy.refuse();
    await toldEverywhere(/redis away/);
    await keepsItsPromises();
    await proxy.accept();
    await servesAllAgain();
  });

  test('taking commands, and refusing those who listen', async () => {
    await redis.run('ACL', 'SETUSER', 'default', '-subscribe');
    await redis.run('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await toldEverywhere(/redis not heard/);
    for (const node of nodes) await servedAlone(node);
    await redis.run('ACL', 'SETUSER', 'default', '+subscribe');
    await servesAllAgain();
  });

  test('silent, then late', async () => {
    proxy.blackHole();
    await toldEverywhere(/redis (slow|away)/);
    await keepsItsPromises();
    proxy.heal();
    await servesAllAgain();
    await seeEachOther();
    // Twice for each command, well within what it may take.
    proxy.delayMs = 100;
    for (const node of nodes) await servedAlone(node);
    await servesAllAgain();
    proxy.delayMs = 0;
  });
});

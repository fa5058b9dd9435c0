/**
 * Everything that nodes leave in Redis ends by itself when they have gone: all keys of two nodes that did all they can do
 * have a time to live, the results that streams were told to write aside.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { defineTool } from '../../../src/catalogue/define.ts';
import { createRuntime, type Runtime } from '../../../src/index.ts';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { RedisServer } from '../../redis/redis-server.ts';
import { until } from '../../redis/shared-redis.ts';
import { SessionClient } from '../../session-era/http-client.ts';
import { NodeClient, Stage } from '../../tasks/node-pair.ts';

const SILENT = { debug: nothing, info: nothing, warn: nothing, error: nothing };
function nothing(): void {
  return;
}

/** Of keys without braces, ids and numbers: what has to have been there for the test to say anything. */
const FAMILIES = [
  'mcp:node:a',
  'mcp:nodes',
  'mcp:secret',
  'mcp:tools:a',
  'mcp:cache:',
  'mcp:once:',
  'mcp:rate:',
  'mcp:lease:',
  'mcp:{tasks}:t:',
  'mcp:{tasks}:all',
  'mcp:{tasks}:ended',
  'mcp:{tasks}:claims',
  'mcp:{tasks}:since',
  'mcp:stream-partitions',
  'mcp:stream:{visits',
  ':head',
  ':log',
  ':checkpoints',
  ':checkpoint-ids',
  ':checkpoint:',
  ':dead-letters',
  ':dead-letters:visits',
  'results:visits}:millrace:',
  ':token',
] as const;

function visits(redisUrl: string): StreamDefinition {
  return {
    name: 'visits',
    schema: { fields: { page: 'string', at: 'integer' }, timestamp: { field: 'at' }, key: ['page'] },
    time: { maxFutureMs: 0 },
    durability: 'replicated',
    partitions: 2,
    windows: [{ name: 'pairs', type: 'count', count: 2, aggregates: { n: 'count' } }],
    sinks: [{ type: 'redis', url: redisUrl, stream: 'results:visits', of: ['pairs'] }],
  };
}

class Nodes {
  readonly redis: RedisServer;
  readonly stage = new Stage();
  readonly runtimes: Runtime[] = [];
  readonly clients: NodeClient[] = [];

  constructor(redis: RedisServer) {
    this.redis = redis;
  }

  async start(nodeId: string): Promise<void> {
    const runtime = await createRuntime({
      port: 0,
      workers: 1,
      builtinTools: false,
      redisUrl: this.redis.url,
      nodeId,
      heartbeatMs: 300,
      shutdownGraceMs: 500,
      // Slow to fill: a bucket that is full is gone.
      rateLimits: [{ tool: 'limited', perSecond: 0.001, burst: 100 }],
      streaming: { checkpointMs: 200, shards: 1 },
      liveStreams: [visits(this.redis.url)],
      definitions: [
        defineTool({ name: 'limited' }, () => 'x'),
        defineTool({ name: 'kept', cache: { ttlMs: 60_000, scope: 'public' } }, () => 'x'),
        defineTool({ name: `own-${nodeId}` }, () => 'x'),
        this.stage.tool('pay'),
        this.stage.tool('quick', { task: 'required', annotations: { readOnlyHint: true } }),
        this.stage.slowTool('long', { task: 'required', annotations: { readOnlyHint: true } }),
      ],
      log: SILENT,
    });
    this.runtimes.push(runtime);
    this.clients.push(new NodeClient((await runtime.listen()).url));
  }

  async keys(): Promise<string[]> {
    const found = new Set<string>();
    let cursor = '0';
    do {
      const [next, page] = (await this.redis.run('SCAN', cursor, 'COUNT', 1000)) as [string, string[]];
      for (const key of page) found.add(key);
      cursor = next;
    } while (cursor !== '0');
    return [...found].sort();
  }

  /** Streams of results belong to whoever reads them. */
  async endless(): Promise<string[]> {
    const endless: string[] = [];
    for (const key of await this.keys()) {
      if (key !== 'results:visits' && (await this.redis.run('PTTL', key)) === -1) endless.push(key);
    }
    return endless;
  }

  async close(): Promise<void> {
    await Promise.all(this.runtimes.map((runtime) => runtime.close(500)));
    await this.redis.end();
  }
}

async function doEverything(nodes: Nodes, session: SessionClient): Promise<void> {
  const { clients, stage } = nodes;
  const [a, b] = clients as [NodeClient, NodeClient];
  for (const name of ['limited', 'kept', 'own-a', 'own-b']) {
    await until(name, async () => (await a.call(name)).status === 200);
  }
  await a.call('pay', {}, { headers: { 'idempotency-key': 'k' } });
  // Ended from elsewhere first: that makes an index of its own.
  const cancelled = String((await a.call('long')).result['taskId']);
  await b.request('tasks/cancel', { taskId: cancelled });
  assert.deepEqual(await nodes.endless(), []);
  const ended = String((await a.call('quick')).result['taskId']);
  await until('the end of a task', async () => (await b.status(ended)) === 'completed');
  await a.call('long');
  await until('the execution of another', () => stage.waiting >= 1);
  await session.initialize(a.url);
  await session.listen(b.url);
  const events = Array.from({ length: 64 }, (_, n) => ({ page: `p${n % 8}`, at: 1_767_225_600_000 + n }));
  for (let round = 0; round < 3; round++) {
    const body = [...events, { page: 'poison', at: 'never' }].map((event) => JSON.stringify(event)).join('\n');
    await until('the events to be taken', async () => {
      const response = await fetch(b.url.replace('/mcp', '/streams/visits/events'), {
        method: 'POST',
        headers: { 'content-type': 'application/x-ndjson' },
        body,
      });
      return response.status === 200;
    });
  }
}

describe('what nodes leave in Redis', () => {
  test('ends by itself, all of it', async () => {
    const nodes = new Nodes(await RedisServer.start());
    const session = new SessionClient();
    try {
      await nodes.start('a');
      await nodes.start('b');
      await doEverything(nodes, session);
      let missing: readonly string[] = [];
      await until('every family of keys', async () => {
        const keys = await nodes.keys();
        assert.deepEqual(await nodes.endless(), []);
        missing = FAMILIES.filter((part) => !keys.some((key) => key.includes(part)));
        return missing.length === 0;
      }).catch(async (cause: unknown) => {
        throw new Error(`not there: ${missing.join(', ')}, only ${(await nodes.keys()).join(', ')}`, { cause });
      });
      for (const runtime of nodes.runtimes.splice(0)) await runtime.close(500);
      assert.ok((await nodes.keys()).length > 10);
      assert.deepEqual(await nodes.endless(), []);
    } finally {
      session.close();
      nodes.stage.release();
      await nodes.close();
    }
  });
});

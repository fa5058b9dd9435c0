import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SharedRedis, until } from '../redis/shared-redis.ts';
import { TcpProxy } from '../redis/tcp-proxy.ts';
import { Node, Stage } from '../tasks/node-pair.ts';

test('a call beyond the budget is refused with 429 and told when to try again; other tools are not', async () => {
  const stage = new Stage();
  const rateLimits = [{ tool: 'lim*', perSecond: 0.01, burst: 2, by: 'all' as const }];
  const node = await Node.start({ rateLimits }, [stage.tool('limited'), stage.tool('free')]);
  try {
    const answers = [
      await node.call('limited'),
      await node.call('limited'),
      await node.call('limited', {}, { id: 'c' }),
    ];
    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 200, 429],
    );
    const [, , refused] = answers;
    assert.deepEqual([refused?.error.code, refused?.id], [-32000, 'c']);
    const retryAfterMs = Number(refused?.error.data?.['retryAfterMs']);
    assert.ok(retryAfterMs > 50_000 && retryAfterMs <= 100_000, String(retryAfterMs));
    assert.equal(refused?.retryAfter, String(Math.ceil(retryAfterMs / 1000)));
    assert.equal((await node.call('free')).status, 200);
    assert.equal(stage.executions('limited'), 2);
    // Told apart from what an overload sheds.
    const metrics = await node.runtime.metrics();
    assert.match(metrics, /^millrace_sheds_total\{reason="rate"\} 1$/m);
    assert.match(metrics, /^millrace_sheds_total\{reason="queue-full"\} 0$/m);
  } finally {
    await node.runtime.close(0);
  }
});

test('a node that is started while Redis is away takes the part of one of the nodes that are expected', async () => {
  const redis = await SharedRedis.single();
  const proxy = await TcpProxy.start(redis.server?.port ?? 0);
  await proxy.refuse();
  const stage = new Stage();
  const node = await Node.start(
    {
      redisUrl: `redis://127.0.0.1:${proxy.port}`,
      heartbeatMs: 200,
      cluster: { expectedNodes: 5 },
      rateLimits: [{ tool: 'limited', perSecond: 0.1, burst: 2, by: 'all' as const }],
    },
    [stage.tool('limited')],
  );
  const troubles = async (): Promise<number> =>
    Number(/^millrace_degraded (\d+)$/m.exec(await node.runtime.metrics())?.[1]);
  const refusedForMs = async (): Promise<number> => {
    const answer = await until('a refusal', async () => {
      const { error, status } = await node.call('limited');
      return status === 429 ? error : undefined;
    });
    return Number(answer.data?.['retryAfterMs']);
  };
  try {
    const aloneMs = await refusedForMs();
    assert.ok(aloneMs > 30_000 && aloneMs <= 50_000, String(aloneMs));
    assert.equal(stage.executions('limited'), 1);
    // Once it has seen that there is nobody else the budget is its own.
    await proxy.accept();
    await until('itself to be registered', async () => (await troubles()) === 0);
    await proxy.refuse();
    await until('the loss', async () => (await troubles()) > 0);
    const knownMs = await refusedForMs();
    assert.ok(knownMs <= 10_000, String(knownMs));
  } finally {
    await node.runtime.close(0);
    await proxy.end();
    await redis.end();
  }
});

test('two nodes keep to one budget', async () => {
  const redis = await SharedRedis.single();
  const stage = new Stage();
  const rateLimits = [{ tool: 'limited', perSecond: 0.01, burst: 6, by: 'all' as const }];
  const config = { redisUrl: redis.url, rateLimits };
  const nodes = [
    await Node.start({ ...config, nodeId: 'a' }, [stage.tool('limited')]),
    await Node.start({ ...config, nodeId: 'b' }, [stage.tool('limited')]),
  ];
  try {
    let refused = 0;
    for (let i = 0; i < 30; i += 1) {
      const { status } = await (nodes[i % 2] as Node).call('limited');
      if (status === 429) refused += 1;
      else assert.equal(status, 200);
    }
    // The burst, and for each node one draw held and one call on credit at the most.
    const through = stage.executions('limited');
    assert.ok(through >= 4 && through <= 10, String(through));
    assert.equal(through + refused, 30);
  } finally {
    await Promise.all(nodes.map((node) => node.runtime.close(0)));
    await redis.end();
  }
});

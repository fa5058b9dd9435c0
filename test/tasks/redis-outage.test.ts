/**
 * Redis is away for longer than a claim lives, and nodes come back one after the other: those that live keep their tasks.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { RedisConnection } from '../../src/redis/connection.ts';
import { RedisUnavailable } from '../../src/redis/unavailable.ts';
import { RedisTaskStore } from '../../src/tasks/redis-store.ts';
import { QUIET } from '../redis/redis-server.ts';
import { newPrefix, SharedRedis, until } from '../redis/shared-redis.ts';
import { TcpProxy } from '../redis/tcp-proxy.ts';
import { Node, Stage } from './node-pair.ts';
import { taskRecord } from './task-store.contract.ts';

const HEARTBEAT_MS = 300;

describe('after Redis was away for longer than a claim', () => {
  let redis: SharedRedis;
  before(async () => {
    redis = await SharedRedis.single();
  });
  after(() => redis.end());
  const run = (name: string, ...args: (string | number)[]): Promise<unknown> =>
    (redis.server as NonNullable<typeof redis.server>).run(name, ...args);
  const proxied = async (): Promise<[proxy: TcpProxy, url: string]> => {
    const proxy = await TcpProxy.start(redis.server?.port ?? 0);
    return [proxy, `redis://127.0.0.1:${proxy.port}`];
  };

  test('the node that is back first takes nothing from those that live, and each task runs once', async () => {
    const stage = new Stage();
    const again = { annotations: { idempotentHint: true }, task: 'required' } as const;
    const tools = [stage.slowTool('long', { task: 'required' }), stage.slowTool('long-again', again)];
    const [[proxyA, urlA], [proxyB, urlB]] = [await proxied(), await proxied()];
    const a = await Node.start({ redisUrl: urlA, nodeId: 'a', heartbeatMs: HEARTBEAT_MS }, tools);
    const b = await Node.start({ redisUrl: urlB, nodeId: 'b', heartbeatMs: HEARTBEAT_MS }, tools);
    const key = (name: string): string => `mcp:{tasks}:${name}`;
    /** A node that may take over does so as soon as it looks. */
    const look = async (): Promise<void> => {
      const before = await run('HGET', key('looked'), 'a');
      await until('a look', async () => (await run('HGET', key('looked'), 'a')) !== before);
    };
    try {
      await until('heartbeats', async () => (await run('EXISTS', key('node:a'), key('node:b'))) === 2);
      const ids: string[] = [];
      for (const tool of ['long', 'long-again']) ids.push(String((await a.call(tool)).result['taskId']));
      await until('the executions', () => stage.waiting === 2);
      await Promise.all([proxyA.refuse(), proxyB.refuse()]);
      await until('the heartbeats to end', async () => (await run('EXISTS', key('node:a'), key('node:b'))) === 0);
      await until('the claims to run out', async () => {
        const [seconds] = (await run('TIME')) as [string];
        return ((await run('ZCOUNT', key('claims'), '-inf', Number(seconds) * 1000)) as number) === 2;
      });
      await proxyB.accept();
      await look();
      await proxyA.accept();
      await until('the claims to be renewed', async () => {
        const [seconds] = (await run('TIME')) as [string];
        return ((await run('ZCOUNT', key('claims'), Number(seconds) * 1000, '+inf')) as number) === 2;
      });
      await look();
      stage.release();
      for (const taskId of ids) {
        await until('the end', async () => (await b.status(taskId)) === 'completed');
      }
      assert.deepEqual([...stage.ran].sort(), ['long', 'long-again']);
    } finally {
      await Promise.all([a.runtime.close(0), b.runtime.close(0)]);
      await Promise.all([proxyA.end(), proxyB.end()]);
    }
  });

  test('a node whose own connection was lost takes what is left when the others have had their time', async () => {
    const [proxy, url] = await proxied();
    const commands = new RedisConnection(url, 'test', QUIET);
    const { subscriber, commands: direct } = await redis.clients();
    const setup = { prefix: newPrefix(), tasksMax: 10, claimMs: 100 };
    const survivor = new RedisTaskStore({ ...setup, commands, subscriber, nodeId: 'b', start: 'b1' });
    const gone = new RedisTaskStore({ ...setup, commands: direct, subscriber, nodeId: 'a', start: 'a1' });
    const present = new RedisTaskStore({ ...setup, commands: direct, subscriber, nodeId: 'c', start: 'c1' });
    try {
      await commands.ready();
      await gone.put(taskRecord('1'));
      await gone.put(taskRecord('2'));
      const score = async (id: string): Promise<number> =>
        Number(await run('ZSCORE', `${setup.prefix}{tasks}:claims`, id));
      const outAtMs = Math.max(await score('1'), await score('2'));
      proxy.cut();
      await until('the loss', () => !commands.up);
      // It came back after that.
      let awayAtMs = performance.now();
      await until('the connection', () => {
        if (!commands.up) awayAtMs = performance.now();
        return commands.up;
      });
      await until('the claims to run out', async () => {
        const [seconds, micros] = (await run('TIME')) as [string, string];
        return Number(seconds) * 1000 + Number(micros) / 1000 > outAtMs;
      });
      assert.deepEqual(await survivor.takeOrphans(), []);
      // Whoever was not cut off need not wait.
      assert.equal((await present.takeOrphans()).length, 2);
      const [first] = await until('its time', async () => {
        const orphans = await survivor.takeOrphans();
        return orphans.length > 0 ? orphans : undefined;
      });
      assert.equal(first?.lostNodes, 2);
      assert.ok(performance.now() - awayAtMs > 5_000);
    } finally {
      commands.close();
      await proxy.end();
    }
  });

  test('a task that could not be deleted meanwhile can still be ended by its node', async () => {
    const [proxy, url] = await proxied();
    const commands = new RedisConnection(url, 'test', QUIET);
    const { subscriber } = await redis.clients();
    const setup = { prefix: newPrefix(), tasksMax: 10, claimMs: 60_000, nodeId: 'a', start: 'a1' };
    const store = new RedisTaskStore({ ...setup, commands, subscriber });
    try {
      await commands.ready();
      await store.put(taskRecord('1'));
      await proxy.refuse();
      await until('the loss', () => !commands.up);
      await assert.rejects(store.delete('1'), RedisUnavailable);
      await proxy.accept();
      await until('the connection', () => commands.up);
      assert.equal(await store.put(taskRecord('1', { status: 'cancelled' })), 'stored');
    } finally {
      commands.close();
      await proxy.end();
    }
  });
});

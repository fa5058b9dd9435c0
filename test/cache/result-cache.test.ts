import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { MemoryResultCache } from '../../src/cache/memory-cache.ts';
import { FLIGHT_LEASE_MS, RedisResultCache } from '../../src/cache/redis-cache.ts';
import { RedisConnection } from '../../src/redis/connection.ts';
import { QUIET } from '../redis/redis-server.ts';
import { newPrefix, SharedRedis, until } from '../redis/shared-redis.ts';
import { TcpProxy } from '../redis/tcp-proxy.ts';
import { BOUNDS, redisCache } from './calling-nodes.ts';
import { resultCacheContract } from './result-cache.contract.ts';

resultCacheContract('memory', async () => {
  let nowMs = 0;
  const cache = new MemoryResultCache({ ...BOUNDS, now: () => nowMs });
  return {
    a: cache,
    b: cache,
    passMs: async (ms) => {
      nowMs += ms;
    },
  };
});

describe('results in memory', () => {
  const filled = (bounds: Partial<typeof BOUNDS>, count: number): MemoryResultCache => {
    const cache = new MemoryResultCache({ ...BOUNDS, ...bounds, now: () => 0 });
    for (let i = 0; i < count; i += 1) cache.set('tool', `k${i}`, 'x'.repeat(48), 1_000, 0);
    return cache;
  };

  test('the result used longest ago makes room', () => {
    const cache = filled({ resultsMax: 3 }, 3);
    cache.get('tool', 'k0');
    cache.set('tool', 'new', '1', 1_000, 0);
    assert.deepEqual(
      ['k0', 'k1', 'k2', 'new'].map((key) => cache.get('tool', key) !== undefined),
      [true, false, true, true],
    );
  });

  test('their bytes stay within the bound, and one that is larger is not kept', () => {
    const cache = filled({ bytesMax: 250 }, 10);
    assert.deepEqual([cache.size, cache.bytes], [2, 200]);
    cache.set('tool', 'huge', 'x'.repeat(500), 1_000, 0);
    assert.equal(cache.get('tool', 'huge'), undefined);
    assert.equal(cache.size, 2);
  });

  test('a bound of 0 keeps nothing', () => {
    assert.equal(filled({ resultsMax: 0 }, 3).size, 0);
  });
});

function suite(name: string, start: () => Promise<SharedRedis>): void {
  describe(`results in Redis: ${name}`, () => {
    let redis: SharedRedis;
    before(async () => {
      redis = await start();
    });
    after(() => redis.end());
    const cacheWith = async (prefix: string): Promise<RedisResultCache> => redisCache(await redis.clients(), prefix);

    resultCacheContract(name, async () => {
      const prefix = newPrefix();
      return {
        a: await cacheWith(prefix),
        b: await cacheWith(prefix),
        passMs: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
      };
    });

    test('every key has a time to live, and generations rise though Redis was emptied', async () => {
      const prefix = newPrefix();
      const cache = await cacheWith(prefix);
      const { commands } = await redis.clients();
      cache.invalidate('tool');
      const generation = (): Promise<number> =>
        Promise.resolve(commands.command('GET', `${prefix}cache:{tool}:gen`)).then(Number);
      const first = await until('a generation', async () => (await generation()) || undefined);
      const ttlMs = async (key: string): Promise<number> =>
        Number(await commands.command('PTTL', `${prefix}cache:{tool}:${key}`));
      await until('the generation here', () => cache.generation('tool') === first);
      assert.equal(await cache.get('tool', 'k'), undefined);
      const leaseMs = await ttlMs('k');
      assert.ok(leaseMs > 0 && leaseMs <= FLIGHT_LEASE_MS, String(leaseMs));
      cache.set('tool', 'k', '1', 60_000, cache.generation('tool'));
      await until('the result in Redis', async () => (await ttlMs('k')) > FLIGHT_LEASE_MS);
      assert.ok((await ttlMs('gen')) > 0);
      await commands.command('DEL', `${prefix}cache:{tool}:gen`);
      cache.invalidate('tool');
      await until('a higher generation', async () => (await generation()) > first);
      cache.close();
    });
  });
}

suite('one server', () => SharedRedis.single());
suite('Cluster', () => SharedRedis.cluster());

test('without Redis the memory level goes on, and what was invalidated meanwhile is not served when it is back', async () => {
  const redis = await SharedRedis.single();
  const server = redis.server;
  assert.ok(server !== null);
  try {
    const clients = await redis.clients(500);
    const cache = redisCache(clients, 'p:');
    await cache.get('tool', 'k');
    cache.set('tool', 'k', '1', 60_000, cache.generation('tool'));
    await until('the result in Redis', async () => Number(await server.run('HEXISTS', 'p:cache:{tool}:k', 'v')) === 1);
    server.pause();
    await until('the loss', async () => {
      await clients.commands.command('PING').catch(() => undefined);
      return !clients.commands.up;
    });
    assert.equal((cache.get('tool', 'k') as { resultJson: string }).resultJson, '1');
    assert.equal(cache.get('tool', 'other'), undefined);
    cache.invalidate('tool');
    assert.equal(cache.get('tool', 'k'), undefined);
    server.resume();
    await until('Redis', () => clients.commands.up);
    assert.equal(await cache.get('tool', 'k'), undefined);
    await until('the generation', async () => Number(await server.run('EXISTS', 'p:cache:{tool}:gen')) === 1);
    assert.equal(await cache.get('tool', 'k'), undefined);
    cache.close();
  } finally {
    await redis.end();
  }
});

describe('results of a node whose answers from Redis are held up', () => {
  let redis: SharedRedis;
  let proxy: TcpProxy;
  before(async () => {
    redis = await SharedRedis.single();
    proxy = await TcpProxy.start(redis.server?.port ?? 0);
  });
  after(async () => {
    await proxy.end();
    await redis.end();
  });

  /** The commands of `near` go through the proxy, what is published comes to it directly. */
  async function caches(commandMsMax: number, warn: () => void) {
    const commands = new RedisConnection(`redis://127.0.0.1:${proxy.port}`, 'test', QUIET, { commandMsMax });
    await commands.ready();
    const { subscriber } = await redis.clients();
    const prefix = newPrefix();
    const shared = { ...BOUNDS, prefix, now: () => performance.now() };
    const near = new RedisResultCache({ ...shared, commands, subscriber, log: { warn } });
    const far = new RedisResultCache({ ...shared, ...(await redis.clients()), log: QUIET });
    await until('that both hear of invalidations', async () => {
      const before = [near.generation('beside'), far.generation('beside')];
      far.invalidate('beside');
      await until('the own one', () => far.generation('beside') > Number(before[1]) + 1);
      return near.generation('beside') !== before[0];
    });
    const close = (): void => {
      near.close();
      far.close();
      commands.close();
    };
    return { near, far, prefix, close };
  }

  async function keep(cache: RedisResultCache, prefix: string): Promise<void> {
    await cache.get('tool', 'k');
    cache.set('tool', 'k', '1', 60_000, cache.generation('tool'));
    await until('it', async () => Number(await redis.server?.run('HEXISTS', `${prefix}cache:{tool}:k`, 'v')) === 1);
  }

  test('an answer that an invalidation overtook is not believed', async () => {
    const { close, far, near, prefix } = await caches(0, () => undefined);
    try {
      await keep(far, prefix);
      await near.get('tool', 'other');
      const calls = async (): Promise<string> =>
        /cmdstat_evalsha:calls=(\d+)/.exec(String(await redis.server?.run('INFO', 'commandstats')))?.[1] ?? '';
      const earlier = await calls();
      proxy.holdAnswers();
      const late = near.get('tool', 'k');
      await until('that Redis was asked', async () => (await calls()) !== earlier);
      const generation = near.generation('tool');
      far.invalidate('tool');
      await until('the news', () => near.generation('tool') !== generation);
      proxy.heal();
      assert.equal(await late, undefined);
      assert.equal(await near.get('tool', 'k'), undefined);
    } finally {
      proxy.heal();
      close();
    }
  });

  test('an invalidation that was not answered is repeated, though the connection stands', async () => {
    let warned = 0;
    const { close, far, near, prefix } = await caches(300, () => warned++);
    try {
      await keep(far, prefix);
      proxy.holdAnswers();
      near.invalidate('tool');
      await until('the failure', () => warned > 0);
      proxy.heal();
      await until('the end of it', async () => (await far.get('tool', 'k')) === undefined);
    } finally {
      proxy.heal();
      close();
    }
  });
});

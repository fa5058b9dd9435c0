import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import type { RateLimit } from '../../src/config/settings.ts';
import { digestOf } from '../../src/protocol/canonical-json.ts';
import { EVERYBODY, MemoryRates } from '../../src/rates/memory-rates.ts';
import type { RateBudgets } from '../../src/rates/port.ts';
import { RedisRates } from '../../src/rates/redis-rates.ts';
import { NodeConnections } from '../redis/node-connections.ts';
import { RedisClusterServers } from '../redis/redis-cluster-servers.ts';
import { newPrefix, SharedRedis, until } from '../redis/shared-redis.ts';

const limit = (tool: string, perSecond: number, burst: number, by: RateLimit['by'] = 'all'): RateLimit => ({
  tool,
  perSecond,
  burst,
  by,
});

/** What every `RateBudgets` promises; `open` gives one whose clock can be moved, or real ones. */
function ratesContract(name: string, open: (limits: readonly RateLimit[]) => Promise<RateBudgets>): void {
  describe(`rate budgets contract: ${name}`, () => {
    test('patterns name the tools that are limited', async () => {
      const rates = await open([limit('a.*', 1, 1), limit('b', 1, 1), limit('*.x', 1, 1)]);
      const limited = ['a.b', 'a.', 'a', 'b', 'bb', 'q.x', 'qx', 'constructor'].filter((tool) => rates.limits(tool));
      assert.deepEqual(limited, ['a.b', 'a.', 'b', 'q.x']);
      rates.close();
    });

    test('a budget that is used up refuses, and says for how long', async () => {
      const rates = await open([limit('t', 0.05, 2)]);
      let calls = 0;
      // Short refusals are those of who is asked: a remote one takes its time.
      const refusedMs = await until('the refusal', () => {
        const ms = rates.take('t', 'ann');
        if (ms === 0) calls += 1;
        return ms > 1_000 ? ms : undefined;
      });
      assert.ok(calls >= 2 && calls < 10, `after ${calls} calls`);
      assert.ok(refusedMs <= 60_000, `${refusedMs} ms`);
      rates.close();
    });

    test('principals have budgets of their own, unless the budget is for all', async () => {
      const rates = await open([limit('own', 0.01, 1, 'principal'), limit('all', 0.01, 1)]);
      const used = (tool: string, share: string): Promise<unknown> =>
        until(`${tool} to be used up`, () => rates.take(tool, share) > 1_000);
      await used('own', 'ann');
      assert.equal(rates.take('own', 'ben'), 0);
      await used('all', 'ann');
      await until('the refusal', () => rates.take('all', 'ben') > 0);
      rates.close();
    });

    test('a call that two budgets match takes from neither when one is used up', async () => {
      const rates = await open([limit('t', 0.01, 1), limit('*', 0.01, 50)]);
      await until('the first to be used up', () => rates.take('t', 'ann') > 1_000);
      for (let i = 0; i < 100; i += 1) rates.take('t', 'ann');
      assert.equal(rates.take('other', 'ann'), 0);
      rates.close();
    });
  });
}

ratesContract('memory', async (limits) => new MemoryRates(limits, () => performance.now()));

describe('rate budgets in memory', () => {
  test('over any time no more calls go through than rate and burst allow, and no fewer', () => {
    const steps = fc.array(fc.record({ ms: fc.nat(400), calls: fc.nat(12) }), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 20 }), (all, perSecond, burst) => {
        let nowMs = 0;
        const rates = new MemoryRates([limit('t', perSecond, burst)], () => nowMs);
        let tokens = burst;
        for (const { ms, calls } of all) {
          nowMs += ms;
          tokens = Math.min(burst, tokens + (ms * perSecond) / 1000);
          for (let i = 0; i < calls; i += 1) {
            const refusedMs = rates.take('t', 'x');
            if (Math.abs(tokens - Math.round(tokens)) > 1e-6) assert.equal(refusedMs === 0, tokens >= 1);
            if (refusedMs === 0) tokens -= 1;
            else assert.ok(tokens + (refusedMs * perSecond) / 1000 >= 1 - 1e-6, 'worth trying then');
          }
          assert.ok(tokens > -1e-6);
        }
      }),
    );
  });
});

function suite(name: string, start: () => Promise<SharedRedis>): void {
  describe(`rate budgets in Redis: ${name}`, () => {
    let redis: SharedRedis;
    before(async () => {
      redis = await start();
    });
    after(() => redis.end());
    const ratesWith = async (limits: readonly RateLimit[], prefix: string, nodes = 1): Promise<RedisRates> => {
      const { commands } = await redis.clients();
      return new RedisRates({ commands, prefix, limits, nodes: () => nodes, now: () => performance.now() });
    };
    ratesContract(name, (limits) => ratesWith(limits, newPrefix()));

    test('three nodes together keep to the rate, within the stated slack, and use it', async () => {
      const prefix = newPrefix();
      const [perSecond, burst, nodes] = [100, 30, 3];
      const all = await Promise.all([1, 2, 3].map(() => ratesWith([limit('t', perSecond, burst)], prefix, nodes)));
      const draw = Math.max(1, Math.floor(Math.min(perSecond / 10, burst / 2) / nodes));
      const beganMs = performance.now();
      let through = 0;
      let before = 0;
      // What is not asked for in time is not used: a machine may stand still for most of the two seconds, not each time.
      for (let tries = 0; tries < 5 && through - before < perSecond; tries += 1) {
        before = through;
        const fromMs = performance.now();
        while (performance.now() - fromMs < 2_000) {
          for (const rates of all) for (let i = 0; i < 3; i += 1) if (rates.take('t', 'x') === 0) through += 1;
          await new Promise((resolve) => setTimeout(resolve, 2));
        }
        const most = (perSecond * (performance.now() - beganMs)) / 1000 + burst + nodes * 3 * draw;
        assert.ok(through <= most, `${through} of at most ${most}`);
      }
      assert.ok(through - before >= perSecond, `${through - before} in two seconds`);
    });
  });
}

suite('one server', () => SharedRedis.single());
suite('Cluster', () => SharedRedis.cluster());

for (const [what, option, bad, good] of [
  ['is full', 'maxmemory', '1', '0'],
  ['takes no writes for want of replicas', 'min-replicas-to-write', '1', '0'],
] as const) {
  test(`while Redis ${what} each node keeps to its part of the rate, and to the whole when it is well`, async () => {
    const redis = await SharedRedis.single();
    try {
      const { commands } = await redis.clients();
      let nowMs = 0;
      const limits = [limit('t', 10, 10)];
      const rates = new RedisRates({ commands, prefix: 'p:', limits, nodes: () => 2, now: () => nowMs });
      await redis.server?.run('CONFIG', 'SET', option, bad);
      assert.equal(rates.take('t', 'x'), 0);
      await until('the refusal of Redis', () => commands.trouble !== '');
      assert.equal(commands.up, true);
      let through = 0;
      for (; nowMs < 10_000; nowMs += 10) if (rates.take('t', 'x') === 0) through += 1;
      assert.ok(through >= 49 && through <= 51, String(through));
      await redis.server?.run('CONFIG', 'SET', option, good);
      await until('tokens of Redis', async () => {
        nowMs += 1_000;
        rates.take('t', 'x');
        return String(await redis.server?.run('KEYS', 'p:rate:*')) !== '';
      });
      // Of ten tokens those that were let through meanwhile are paid for.
      await until('the budget to be used up', () => rates.take('t', 'x') > 0);
    } finally {
      await redis.end();
    }
  });
}

test('a bucket whose part of a Cluster is gone is left to the nodes', async () => {
  const servers = await RedisClusterServers.start();
  const connections = await new NodeConnections(servers.url, 500).ready();
  try {
    const { commands } = connections;
    let nowMs = 0;
    const limits = [limit('t', 10, 10)];
    const rates = new RedisRates({ commands, prefix: 'p:', limits, nodes: () => 2, now: () => nowMs });
    await servers.killPrimaryOf(`p:rate:0:${digestOf('t', EVERYBODY)}`);
    let through = 0;
    await until('calls beyond what is let through on credit', () => {
      nowMs += 100;
      if (rates.take('t', 'x') === 0) through += 1;
      return through === 20;
    });
  } finally {
    connections.close();
    await servers.end();
  }
});

test('while Redis is away each node keeps to its part of the rate', async () => {
  const redis = await SharedRedis.single();
  try {
    const { commands } = await redis.clients();
    let nowMs = 0;
    const limits = [limit('t', 10, 10)];
    const rates = new RedisRates({ commands, prefix: 'p:', limits, nodes: () => 2, now: () => nowMs });
    commands.close();
    await until('the loss', () => !commands.up);
    let through = 0;
    for (; nowMs < 10_000; nowMs += 10) if (rates.take('t', 'x') === 0) through += 1;
    assert.ok(through >= 49 && through <= 51, String(through));
  } finally {
    await redis.end();
  }
});

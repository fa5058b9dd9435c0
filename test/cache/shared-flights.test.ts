import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { MemoryResultCache } from '../../src/cache/memory-cache.ts';
import type { RedisResultCache } from '../../src/cache/redis-cache.ts';
import { RedisConnection } from '../../src/redis/connection.ts';
import { RedisSubscriber } from '../../src/redis/subscriber.ts';
import { undisturbed } from '../clients/undisturbed.ts';
import { QUIET } from '../redis/redis-server.ts';
import { newPrefix, SharedRedis, TOPOLOGIES, until } from '../redis/shared-redis.ts';
import { TcpProxy } from '../redis/tcp-proxy.ts';
import { BOUNDS, CallingNode, Executions, redisCache, TOOL, waitingOn } from './calling-nodes.ts';
import { sharedFlightsContract } from './shared-flights.contract.ts';

/** Long enough for a machine that others use, short enough to be waited for. */
const LEASE_MS = 2_000;

sharedFlightsContract('memory', async (executions, rest) => {
  const node = new CallingNode(new MemoryResultCache({ ...BOUNDS, now: () => performance.now() }), executions, rest);
  return [node, node, node];
});

for (const [name, start] of TOPOLOGIES) {
  describe(`flights of nodes that share ${name}`, () => {
    let redis: SharedRedis;
    before(async () => {
      redis = await start();
    });
    after(() => redis.end());

    sharedFlightsContract(name, async (executions, rest) => {
      const prefix = newPrefix();
      const node = async (): Promise<CallingNode> =>
        new CallingNode(redisCache(await redis.clients(), prefix), executions, rest);
      return [await node(), await node(), await node()];
    });
  });
}

describe('flights across nodes', () => {
  let redis: SharedRedis;
  const closing: (() => unknown)[] = [];
  before(async () => {
    redis = await SharedRedis.single();
  });
  after(() => redis.end());
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  const run = (name: string, ...args: (string | number)[]) => redis.server?.run(name, ...args);
  /** How often Redis was asked for it, scripts included. */
  const commandCalls = async (name: string): Promise<number> => {
    const stats = String(await run('INFO', 'commandstats'));
    return Number(new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
  };
  const kept = (results: RedisResultCache): RedisResultCache => {
    closing.push(() => results.close());
    return results;
  };

  /** Nodes with a prefix of their own; each node's commands go through a proxy of its own. */
  async function nodes(count: number, rest: { timeoutMs?: number; leaseMs?: number } = {}) {
    const prefix = newPrefix();
    const executions = new Executions();
    const { leaseMs = LEASE_MS, timeoutMs = 60_000 } = rest;
    const all = [];
    for (let i = 0; i < count; i += 1) {
      const proxy = await TcpProxy.start(redis.server?.port ?? 0);
      const commands = new RedisConnection(`redis://127.0.0.1:${proxy.port}`, 'test', QUIET, { commandMsMax: 2_000 });
      closing.push(
        () => proxy.end(),
        () => commands.close(),
      );
      await commands.ready();
      const { subscriber } = await redis.clients();
      const results = kept(redisCache({ commands, subscriber }, prefix, leaseMs));
      all.push({ node: new CallingNode(results, executions, { timeoutMs }), proxy, commands });
    }
    return { prefix, executions, all, ...flightOf(prefix) };
  }

  function flightOf(prefix: string) {
    /** The row of a flight that somebody waits for, as Redis knows. */
    const wanted = async (): Promise<string | undefined> => {
      const keys = (await run('KEYS', `${prefix}cache:{${TOOL}}:*`)) as readonly string[];
      const rows = keys.filter((key) => !key.endsWith(':gen'));
      for (const row of rows) if (Number(await run('HEXISTS', row, 'w')) === 1) return row;
      return undefined;
    };
    return { wanted };
  }

  async function pair(rest: { timeoutMs?: number; leaseMs?: number } = {}) {
    const { all, ...more } = await nodes(2, rest);
    const [a, b] = all as [(typeof all)[0], (typeof all)[0]];
    return { a, b, ...more };
  }

  /** A call on `a` that runs, and one on `b` that waits for it. */
  async function waitingPair(rest: { timeoutMs?: number; leaseMs?: number } = {}) {
    const two = await pair(rest);
    const first = two.a.node.call();
    const execution = await two.executions.begun(1);
    const second = two.b.node.call();
    const row = await until('that it waits', two.wanted);
    // Answered in order: it has heard that it has to wait.
    await two.b.commands.command('PING');
    return { ...two, row, first, second, execution };
  }

  for (const ending of ['ask', 'fail'] as const) {
    test(`an answer for its caller alone (${ending}) gives the flight to the node that waits`, async () => {
      const { execution, executions, first, second } = await waitingPair({ leaseMs: 60_000 });
      execution[ending]();
      assert.equal(await first.answer, ending === 'ask' ? 'asked' : 'error failed');
      (await executions.begun(2)).succeed('second');
      assert.equal(await second.answer, 'result second');
    });
  }

  test('a call that its client cancels gives the flight to the node that waits', async () => {
    const { b, execution, executions, first, second } = await waitingPair({ leaseMs: 60_000 });
    first.leave();
    assert.equal(execution.cancelled, true);
    const next = await executions.begun(2);
    assert.equal(next.node, b.node);
    next.succeed('second');
    assert.equal(await second.answer, 'result second');
  });

  test('a node whose connection ends loses its flights to one of those that wait', async () => {
    const { all, executions, wanted } = await nodes(3);
    const [a, b, c] = all as [(typeof all)[0], (typeof all)[0], (typeof all)[0]];
    const first = a.node.call().answer;
    const lost = await executions.begun(1);
    const others = [b, c].flatMap(({ node }) => [node.call().answer, node.call().answer]);
    await until('that they wait', wanted);
    await a.proxy.refuse();
    const next = await executions.begun(2);
    assert.notEqual(next.node, a.node);
    next.succeed('second');
    assert.deepEqual(await Promise.all(others), Array(4).fill('result second'));
    lost.succeed('first');
    assert.equal(await first, 'result first', 'its own caller is answered all the same');
    assert.equal(executions.all.length, 2);
  });

  test('a flight that lasts has its lease renewed', () =>
    undisturbed(LEASE_MS / 4, async () => {
      const { execution, executions, first, row, second } = await waitingPair();
      const token = String(await run('HGET', row, 't'));
      let lowestMs = LEASE_MS;
      await until('a renewal', async () => {
        const leftMs = Number(await run('PTTL', row));
        const renewed = leftMs > lowestMs;
        lowestMs = Math.min(lowestMs, leftMs);
        return renewed;
      });
      assert.equal(String(await run('HGET', row, 't')), token);
      execution.succeed('once');
      assert.deepEqual(await Promise.all([first.answer, second.answer]), ['result once', 'result once']);
      assert.equal(executions.all.length, 1);
    }));

  /** The rows of flights and results. */
  const rowsOf = async (prefix: string): Promise<readonly string[]> => {
    const keys = (await run('KEYS', `${prefix}cache:{${TOOL}}:*`)) as readonly string[];
    return keys.filter((key) => !key.endsWith(':gen'));
  };

  test('a flight that Redis has lost is told again: who waits goes on waiting, and who comes waits too', async () => {
    // Believed in for longer than a busy machine takes for what is done here.
    const { a, b, execution, executions, first, prefix, row, second } = await waitingPair({ leaseMs: 10_000 });
    const token = await run('HGET', row, 't');
    await a.proxy.refuse();
    await run('DEL', row);
    const looks = await commandCalls('hmget');
    // As when its messages were interrupted.
    (b.node.results as RedisResultCache).gap();
    await until('another look', async () => (await commandCalls('hmget')) > looks);
    await b.commands.command('PING');
    assert.equal(executions.all.length, 1);
    await a.proxy.accept();
    await until('the flight to be known again', async () => (await run('HGET', row, 't')) === token);
    const { commands, subscriber } = await redis.clients();
    const late = new CallingNode(kept(redisCache({ commands, subscriber }, prefix)), executions);
    const third = late.call();
    await until('that it waits', () => waitingOn([late]) === 1);
    execution.succeed('once');
    assert.deepEqual(await Promise.all([first.answer, second.answer, third.answer]), Array(3).fill('result once'));
    assert.equal(executions.all.length, 1);
  });

  test('a flight that Redis has lost with its connection is told again at once', async () => {
    const { a, b, executions, prefix, wanted } = await pair({ leaseMs: 300_000 });
    const first = a.node.call();
    const execution = await executions.begun(1);
    const [row = ''] = await rowsOf(prefix);
    const token = await run('HGET', row, 't');
    await run('DEL', row);
    a.proxy.cut();
    await until('the flight to be known again', async () => (await run('HGET', row, 't')) === token);
    const second = b.node.call();
    await until('that it waits', wanted);
    execution.succeed('once');
    assert.deepEqual(await Promise.all([first.answer, second.answer]), ['result once', 'result once']);
    assert.equal(executions.all.length, 1);
  });

  test('a flight that others have taken, or that was invalidated, is not told again', async () => {
    const { a, b, executions, prefix } = await pair({ leaseMs: 60_000 });
    const first = a.node.call();
    const execution = await executions.begun(1);
    const [row = ''] = await rowsOf(prefix);
    await run('DEL', row);
    const second = b.node.call();
    const other = await executions.begun(2);
    const token = await run('HGET', row, 't');
    const asked = async (): Promise<number> => (await commandCalls('evalsha')) + (await commandCalls('eval'));
    const reconnected = async (): Promise<void> => {
      const before = await asked();
      a.proxy.cut();
      await until('a renewal', async () => (await asked()) > before);
      // Answered in order: also what Redis had to be told whole.
      for (let n = 0; n < 2; n += 1) await a.commands.command('PING');
    };
    await reconnected();
    assert.equal(await run('HGET', row, 't'), token);
    other.succeed('second');
    assert.equal(await second.answer, 'result second');
    execution.succeed('first');
    assert.equal(await first.answer, 'result first');

    const third = a.node.call({ n: 2 });
    const outdated = await executions.begun(3);
    const lost = (await rowsOf(prefix)).find((key) => key !== row) ?? '';
    b.node.calls.invalidate(TOOL);
    await until('the invalidation', async () => (await run('GET', `${prefix}cache:{${TOOL}}:gen`)) !== null);
    await run('DEL', lost);
    await reconnected();
    assert.equal(await run('EXISTS', lost), 0);
    outdated.succeed('third');
    assert.equal(await third.answer, 'result third');
  });

  test('a result whose message is lost is found when the lease would have run out', () =>
    undisturbed(LEASE_MS / 4, async () => {
      const { a, executions, prefix, wanted } = await pair();
      const { commands } = await redis.clients();
      // Never started: it hears nothing.
      const deaf = new RedisSubscriber(redis.url, QUIET);
      closing.push(() => deaf.close());
      const far = new CallingNode(kept(redisCache({ commands, subscriber: deaf }, prefix, LEASE_MS)), executions);
      const first = a.node.call().answer;
      const execution = await executions.begun(1);
      const second = far.call().answer;
      await until('that it waits', wanted);
      execution.succeed('once');
      assert.deepEqual(await Promise.all([first, second]), ['result once', 'result once']);
      assert.equal(executions.all.length, 1);
    }));

  test('who waits when Redis goes away makes the call at once', async () => {
    const { b, execution, executions, first, second } = await waitingPair({ leaseMs: 60_000 });
    await b.proxy.refuse();
    const own = await executions.begun(2);
    assert.equal(own.node, b.node);
    own.succeed('second');
    assert.equal(await second.answer, 'result second');
    execution.succeed('first');
    assert.equal(await first.answer, 'result first');
  });

  test('who waits when Redis falls silent makes the call when it would have looked again', async () => {
    const { b, executions, second } = await waitingPair({ leaseMs: 1_000 });
    b.proxy.blackHole();
    const own = await executions.begun(2);
    assert.equal(own.node, b.node);
    own.succeed('second');
    assert.equal(await second.answer, 'result second');
  });

  test('who waits for a result that is invalidated makes the call, and the old result is served to nobody else', async () => {
    const { a, b, execution, executions, first, second } = await waitingPair({ leaseMs: 60_000 });
    a.node.calls.invalidate(TOOL);
    const fresh = await executions.begun(2);
    assert.equal(fresh.node, b.node);
    execution.succeed('old');
    assert.equal(await first.answer, 'result old');
    const third = a.node.call().answer;
    await until('that it waits', () => waitingOn([a.node]) === 1);
    fresh.succeed('new');
    assert.deepEqual(await Promise.all([second.answer, third]), ['result new', 'result new']);
    assert.equal(executions.all.length, 2);
  });

  test('a call that waits is answered when its time is over, and those after it go on waiting', () =>
    undisturbed(300, async () => {
      const { a, b, execution, executions, second } = await waitingPair({ timeoutMs: 1_500 });
      const third = b.node.call({ n: 2 });
      (await executions.begun(2)).succeed('other');
      assert.equal(await third.answer, 'result other');
      assert.equal(await second.answer, 'timeout');
      assert.equal(waitingOn([a.node, b.node]), 0);
      const late = b.node.call();
      await until('that it waits', () => waitingOn([b.node]) === 1);
      execution.succeed('first');
      assert.equal(await late.answer, 'result first');
      assert.equal(executions.all.length, 2);
    }));

  test('a call that has waited is made in the time that is left to it', async () => {
    const { execution, executions, second } = await waitingPair();
    const waitsMs = 120;
    const sinceMs = performance.now();
    await until('some time', () => performance.now() - sinceMs > waitsMs);
    execution.fail();
    const next = await executions.begun(2);
    assert.ok(next.waitedMs >= waitsMs, String(next.waitedMs));
    assert.equal(execution.waitedMs < next.waitedMs, true);
    next.succeed('second');
    assert.equal(await second.answer, 'result second');
  });

  test('a call that fails everywhere is waited for twice, and then made side by side', async () => {
    const { all, executions } = await nodes(5);
    const earlier = await commandCalls('hmget');
    const answers = all.map(({ node }) => node.call().answer);
    await until('that all have looked', async () => (await commandCalls('hmget')) - earlier === 5);
    (await executions.begun(1)).fail();
    (await executions.begun(2)).fail();
    await until('the others', () => executions.all.length === 5);
    for (const execution of executions.all.slice(2)) execution.fail();
    assert.deepEqual(await Promise.all(answers), Array(5).fill('error failed'));
  });

  test('a miss costs the look and the landing, a hit the look, and who waits is told once', async () => {
    const { a, b, executions, wanted } = await pair({ leaseMs: 60_000 });
    /** Scripts and messages of it. */
    const cost = async (work: () => Promise<unknown>): Promise<readonly number[]> => {
      const asked = () => Promise.all([commandCalls('evalsha'), commandCalls('eval'), commandCalls('publish')]);
      const [evalshas, evals, messages] = await asked();
      await work();
      const after = await asked();
      return [after[0] + after[1] - evalshas - evals, after[2] - messages];
    };
    const miss = async (n: number): Promise<void> => {
      const number = executions.all.length + 1;
      const call = a.node.call({ n });
      (await executions.begun(number)).succeed('x');
      await call.answer;
      // Commands of one connection are answered in order.
      await a.commands.command('PING');
    };
    // From here on all scripts are known.
    await miss(1);
    assert.deepEqual(await cost(() => miss(2)), [2, 0]);
    assert.deepEqual(await cost(() => b.node.call({ n: 2 }).answer), [1, 0]);
    assert.deepEqual(await cost(() => b.node.call({ n: 2 }).answer), [0, 0], 'in memory by now');
    const shared = async (): Promise<void> => {
      const first = a.node.call({ n: 3 });
      const execution = await executions.begun(3);
      const second = b.node.call({ n: 3 });
      await until('that it waits', wanted);
      execution.succeed('x');
      await Promise.all([first.answer, second.answer]);
    };
    assert.deepEqual(await cost(shared), [4, 1]);
  });
});

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { MemoryLedger } from '../../src/ledger/memory-ledger.ts';
import { RedisLedger } from '../../src/ledger/redis-ledger.ts';
import { RedisUnavailable } from '../../src/redis/unavailable.ts';
import { QUIET } from '../redis/redis-server.ts';
import { newPrefix, SharedRedis, until } from '../redis/shared-redis.ts';
import { ANSWER, ledgerContract, question, tokenOf } from './ledger.contract.ts';

ledgerContract('memory', async () => {
  const ledger = new MemoryLedger({ ttlMs: 60_000, now: () => performance.now() });
  return { a: ledger, b: ledger };
});

describe('the ledger in memory', () => {
  test('forgets an answer after its time, and runs the call again', async () => {
    let nowMs = 0;
    const ledger = new MemoryLedger({ ttlMs: 100, now: () => nowMs });
    await ledger.finish('k', tokenOf(await ledger.begin(question('k'))), ANSWER);
    nowMs = 99;
    assert.equal((await ledger.begin(question('k'))).kind, 'done');
    nowMs = 100;
    tokenOf(await ledger.begin(question('k')));
  });

  test('makes room by forgetting the oldest answer, never a call that runs', async () => {
    const ledger = new MemoryLedger({ ttlMs: 1_000, now: () => 0, keysMax: 2 });
    await ledger.begin(question('runs'));
    await ledger.finish('ended', tokenOf(await ledger.begin(question('ended'))), ANSWER);
    tokenOf(await ledger.begin(question('new')));
    assert.equal((await ledger.begin(question('more'))).kind, 'full');
    assert.equal((await ledger.begin(question('runs', { waitMs: 0 }))).kind, 'busy');
  });
});

function suite(name: string, start: () => Promise<SharedRedis>): void {
  describe(`the ledger in Redis: ${name}`, () => {
    let redis: SharedRedis;
    before(async () => {
      redis = await start();
    });
    after(() => redis.end());
    const ledgerWith = async (prefix: string, claimMs = 60_000): Promise<RedisLedger> => {
      const { commands } = await redis.clients();
      // A client of a Cluster connects to each server with the first command for it.
      await commands.command('EXISTS', `${prefix}once:k`);
      return new RedisLedger({ commands, prefix, ttlMs: 60_000, claimMs, log: QUIET });
    };

    ledgerContract(name, async () => {
      const prefix = newPrefix();
      return { a: await ledgerWith(prefix), b: await ledgerWith(prefix) };
    });

    test('a node that has gone leaves its key to the next caller, if the call may be repeated', async () => {
      const prefix = newPrefix();
      const [gone, other] = [await ledgerWith(prefix, 100), await ledgerWith(prefix, 60_000)];
      const token = tokenOf(await gone.begin(question('k', { repeatable: true })));
      gone.close();
      const second = tokenOf(await other.begin(question('k', { repeatable: true })));
      assert.equal(await gone.finish('k', token, ANSWER), false);
      assert.equal(await other.finish('k', second, ANSWER), true);
      other.close();
    });

    test('and otherwise makes the outcome unknown, until it says after all what it was', async () => {
      const prefix = newPrefix();
      const [gone, other] = [await ledgerWith(prefix, 100), await ledgerWith(prefix, 60_000)];
      const token = tokenOf(await gone.begin(question('k')));
      gone.close();
      assert.deepEqual(await other.begin(question('k')), { kind: 'unknown' });
      assert.equal(await gone.finish('k', token, ANSWER), true);
      assert.deepEqual(await other.begin(question('k')), { kind: 'done', answer: ANSWER });
      other.close();
    });

    test('a call that runs for longer than a claim keeps its key', async () => {
      const prefix = newPrefix();
      const [a, b] = [await ledgerWith(prefix, 1_500), await ledgerWith(prefix)];
      const token = tokenOf(await a.begin(question('k')));
      assert.deepEqual(await b.begin(question('k', { waitMs: 2_500 })), { kind: 'busy' });
      assert.equal(await a.finish('k', token, ANSWER), true);
      a.close();
      b.close();
    });

    test('every key has a time to live', async () => {
      const prefix = newPrefix();
      const ledger = await ledgerWith(prefix);
      const { commands } = await redis.clients();
      const token = tokenOf(await ledger.begin(question('k')));
      assert.ok(Number(await commands.command('PTTL', `${prefix}once:k`)) > 0);
      await ledger.finish('k', token, ANSWER);
      assert.ok(Number(await commands.command('PTTL', `${prefix}once:k`)) > 0);
      ledger.close();
    });
  });
}

suite('one server', () => SharedRedis.single());
suite('Cluster', () => SharedRedis.cluster());

test('while Redis is away nobody can begin; an answer that could not be stored is stored when it is back', async () => {
  const redis = await SharedRedis.single();
  const { server } = redis;
  assert.ok(server !== null);
  const { commands } = await redis.clients();
  const ledger = new RedisLedger({ commands, prefix: 'p:', ttlMs: 60_000, claimMs: 300, log: QUIET });
  try {
    const token = tokenOf(await ledger.begin(question('k')));
    server.pause();
    await assert.rejects(ledger.begin(question('l')), RedisUnavailable);
    assert.equal(await ledger.finish('k', token, ANSWER), true);
    server.resume();
    const done = await until('the answer', async () => {
      const begun = await ledger.begin(question('k', { waitMs: 0 })).catch(() => undefined);
      return begun?.kind === 'done' ? begun : undefined;
    });
    assert.deepEqual(done, { kind: 'done', answer: ANSWER });
    // The claim that may have been made while nobody could say so is no execution.
    tokenOf(
      await until('the other key', async () => {
        const begun = await ledger.begin(question('l', { waitMs: 0 })).catch(() => undefined);
        return begun?.kind === 'run' ? begun : undefined;
      }),
    );
  } finally {
    ledger.close();
    await redis.end();
  }
});

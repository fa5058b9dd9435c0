import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { MemoryLedger } from '../../src/ledger/memory-ledger.ts';
import { RedisLedger, type RedisLedgerOptions } from '../../src/ledger/redis-ledger.ts';
import { RedisUnavailable } from '../../src/redis/unavailable.ts';
import { undisturbed } from '../clients/undisturbed.ts';
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
      const claimMs = 1_500;
      // A node that stood still for longer has lost it.
      await undisturbed(claimMs / 3, async () => {
        const prefix = newPrefix();
        const [a, b] = [await ledgerWith(prefix, claimMs), await ledgerWith(prefix)];
        try {
          const token = tokenOf(await a.begin(question('k')));
          assert.deepEqual(await b.begin(question('k', { waitMs: 2_500 })), { kind: 'busy' });
          assert.equal(await a.finish('k', token, ANSWER), true);
        } finally {
          a.close();
          b.close();
        }
      });
    });

    test('however many wait for one key, one question at a time is asked; none when all have gone', async () => {
      const prefix = newPrefix();
      const a = await ledgerWith(prefix);
      const { commands } = await redis.clients();
      let asked = 0;
      const counting: RedisLedgerOptions['commands'] = {
        up: true,
        script: (script, keys, args) => {
          asked += 1;
          return commands.script(script, keys, args);
        },
      };
      const b = new RedisLedger({ commands: counting, prefix, ttlMs: 60_000, claimMs: 60_000, log: QUIET });
      const token = tokenOf(await a.begin(question('k')));
      let areWanted = true;
      const begunMs = performance.now();
      const waiting = Array.from({ length: 200 }, () => b.begin(question('k', { isWanted: () => areWanted })));
      const stays = b.begin(question('k'));
      await until('some questions', () => asked >= 8);
      // Pauses grow to a quarter of a second.
      const askedMax = 8 + (performance.now() - begunMs) / 250;
      assert.ok(asked <= askedMax, `${asked} questions`);
      areWanted = false;
      for (const begun of await Promise.all(waiting)) assert.deepEqual(begun, { kind: 'busy' });
      await a.finish('k', token, ANSWER);
      assert.deepEqual(await stays, { kind: 'done', answer: ANSWER });
      const leaves = question('l', { isWanted: () => areWanted });
      tokenOf(await a.begin(question('l')));
      assert.deepEqual(await b.begin(leaves), { kind: 'busy' });
      a.close();
      b.close();
    });

    test('a key that becomes free goes to one of those that wait, the others wait for it', async () => {
      const prefix = newPrefix();
      const [a, b] = [await ledgerWith(prefix), await ledgerWith(prefix)];
      const token = tokenOf(await a.begin(question('k')));
      const all = Array.from({ length: 10 }, () => b.begin(question('k')));
      await a.abandon('k', token);
      const next = tokenOf(await Promise.race(all));
      await b.finish('k', next, ANSWER);
      const kinds = (await Promise.all(all)).map((begun) => begun.kind);
      assert.deepEqual(kinds, ['run', ...Array.from({ length: 9 }, () => 'done')]);
      a.close();
      b.close();
    });

    test('an answer that cannot be stored keeps no other claim from being renewed', async () => {
      const claimMs = 600;
      await undisturbed(claimMs / 3, async () => {
        const prefix = newPrefix();
        const [a, b] = [await ledgerWith(prefix, claimMs), await ledgerWith(prefix)];
        try {
          const { commands } = await redis.clients();
          const spoilt = tokenOf(await a.begin(question('spoilt')));
          const other = tokenOf(await a.begin(question('other')));
          await commands.command('SET', `${prefix}once:spoilt`, 'not a hash');
          await a.finish('spoilt', spoilt, ANSWER);
          const endMs = performance.now() + 3 * claimMs;
          await until('three claims', () => performance.now() > endMs);
          assert.deepEqual(await b.begin(question('other', { waitMs: 0 })), { kind: 'busy' });
          assert.equal(await a.finish('other', other, ANSWER), true);
        } finally {
          a.close();
          b.close();
        }
      });
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
  const { commands } = await redis.clients(1_000);
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

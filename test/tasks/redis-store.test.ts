import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { Presence } from '../../src/cluster/heartbeat/presence.ts';
import type { RedisConnection } from '../../src/redis/connection.ts';
import type { TaskCall } from '../../src/tasks/port.ts';
import { presenceKey, RedisTaskStore } from '../../src/tasks/redis-store.ts';
import { undisturbed } from '../clients/undisturbed.ts';
import { newPrefix, SharedRedis, until } from '../redis/shared-redis.ts';
import { taskRecord, taskStoreContract } from './task-store.contract.ts';

let starts = 0;
/** A node that nobody says is there. */
function goneNode(): { nodeId: string; start: string } {
  starts += 1;
  return { nodeId: `n${starts}`, start: `s${starts}` };
}

const CALL: TaskCall = {
  tool: 'slow',
  revision: '2026-07-28',
  flags: 1,
  share: 'ann',
  extras: { taskId: 't', correlationId: 'c' },
  body: Buffer.from('{"jsonrpc":"2.0"}'),
};

function suite(name: string, start: () => Promise<SharedRedis>): void {
  describe(`tasks in Redis: ${name}`, () => {
    let redis: SharedRedis;
    before(async () => {
      redis = await start();
    });
    after(() => redis.end());

    const storeWith = async (
      prefix: string,
      claimMs = 60_000,
      tasksMax = 100,
      node = goneNode(),
    ): Promise<RedisTaskStore> =>
      new RedisTaskStore({ ...(await redis.clients()), prefix, tasksMax, claimMs, ...node });
    const pair = async (claimMs = 60_000): Promise<[RedisTaskStore, RedisTaskStore]> => {
      const prefix = newPrefix();
      return [await storeWith(prefix, claimMs), await storeWith(prefix, claimMs)];
    };

    taskStoreContract(name, async (tasksMax) => {
      const store = await storeWith(newPrefix(), 60_000, tasksMax);
      return {
        store,
        async later(ms) {
          const expected = store.size - 1;
          await new Promise((resolve) => setTimeout(resolve, ms));
          await until('the sweep', () => {
            store.sweep(0);
            return store.size === expected || undefined;
          });
        },
        close: async () => undefined,
      };
    });

    test('what one node stores the other reads, and the bound counts the tasks of both', async () => {
      const prefix = newPrefix();
      const a = await storeWith(prefix, 60_000, 2);
      const b = await storeWith(prefix, 60_000, 2);
      assert.equal(await a.put(taskRecord('1')), 'stored');
      assert.equal(await b.put(taskRecord('2')), 'stored');
      assert.deepEqual(await b.get('1'), taskRecord('1'));
      assert.equal(await b.put(taskRecord('3')), 'full');
      assert.equal(b.size, 2);
    });

    test('a node that was taken for gone can store nothing any more, though it writes first', async () => {
      const [a, b] = await pair(50);
      await a.put(taskRecord('1'), CALL);
      const orphan = await until('the claim to run out', async () => (await b.takeOrphans())[0]);
      assert.deepEqual(orphan, { record: taskRecord('1'), call: { ...CALL, body: orphan.call?.body }, lostNodes: 1 });
      assert.equal(String(orphan.call?.body), String(CALL.body));
      assert.equal(await a.put(taskRecord('1', { status: 'completed', resultJson: '{"of":"a"}' })), 'lost');
      assert.equal(await b.put(taskRecord('1', { status: 'completed', resultJson: '{"of":"b"}' })), 'stored');
      assert.equal((await a.get('1'))?.resultJson, '{"of":"b"}');
    });

    test('only one of the survivors gets an orphan, and tokens rise with every claim', async () => {
      const prefix = newPrefix();
      const nodes = await Promise.all([1, 2, 3, 4].map(() => storeWith(prefix, 500)));
      let owner = 0;
      await (nodes[owner] as RedisTaskStore).put(taskRecord('1'), CALL);
      const { commands } = await redis.clients();
      let last = 0;
      for (let round = 1; round <= 4; round += 1) {
        const taken = await until('the claim to run out', async () => {
          const survivors = nodes.map((node, i) => (i === owner ? [] : node.takeOrphans()));
          const orphans = (await Promise.all(survivors)).flatMap((its, i) => its.map((orphan) => ({ i, orphan })));
          return orphans.length > 0 ? orphans : undefined;
        });
        assert.equal(taken.length, 1);
        const [{ i, orphan }] = taken as [(typeof taken)[number]];
        assert.equal(orphan.lostNodes, round);
        owner = i;
        const token = Number(await commands.command('HGET', `${prefix}{tasks}:t:1`, 'k'));
        assert.ok(token > last, `${token} after ${last}`);
        last = token;
      }
    });

    describe('whose claim has run out', () => {
      const CLAIM_MS = 60_000;
      const PRESENCE_MS = 30_000;
      const NODE = { nodeId: 'a', start: 'a1' };
      let prefix = '';
      let a: RedisTaskStore;
      let b: RedisTaskStore;
      let commands: RedisConnection;
      before(async () => {
        commands = (await redis.clients()).commands;
      });
      beforeEach(async () => {
        prefix = newPrefix();
        a = await storeWith(prefix, CLAIM_MS, 1000, NODE);
        b = await storeWith(prefix, CLAIM_MS, 1000, { nodeId: 'b', start: 'b1' });
      });
      const command = (name: string, ...args: readonly (string | number)[]): Promise<unknown> =>
        commands.command(name, ...args);
      const presence = (nodeId: string, start: string): Presence =>
        new Presence(commands, { key: presenceKey(prefix, nodeId), start }, PRESENCE_MS);
      const serverMs = async (): Promise<number> => Number(((await command('TIME')) as readonly string[])[0]) * 1000;
      const scoreOf = async (id: string): Promise<number> =>
        Number(await command('ZSCORE', `${prefix}{tasks}:claims`, id));
      /** As if its claim had run out so long ago. */
      const ranOut = async (id: string, agoMs: number): Promise<unknown> =>
        command('ZADD', `${prefix}{tasks}:claims`, (await serverMs()) - agoMs, id);
      const taken = async (store: RedisTaskStore): Promise<string[]> =>
        (await store.takeOrphans()).map(({ record }) => record.taskId);

      test('is waited for while its node is there, and goes on when that renews', async () => {
        await presence('a', 'a1').tell(1);
        await a.put(taskRecord('1'), CALL);
        await ranOut('1', 1000);
        assert.deepEqual(await taken(b), []);
        const score = await scoreOf('1');
        const leftMs = score - (await serverMs());
        assert.ok(leftMs > 0 && leftMs <= PRESENCE_MS + 1000, `it is looked at in ${leftMs} ms`);
        assert.deepEqual(await a.renew(), { lost: [], answered: [], missing: [] });
        assert.ok((await scoreOf('1')) > score);
        assert.equal(await command('HGET', `${prefix}{tasks}:t:1`, 'w'), null);
        assert.equal(await a.put(taskRecord('1', { status: 'completed' })), 'stored');
      });

      test('is waited for though it was claimed before the first heartbeat of its node', async () => {
        await a.put(taskRecord('1'), CALL);
        await presence('a', 'a1').tell(1);
        await ranOut('1', 1000);
        assert.deepEqual(await taken(b), []);
      });

      test('is waited for when an orphan is what ran out', async () => {
        await b.put(taskRecord('1'), CALL);
        await ranOut('1', 1000);
        assert.deepEqual(await taken(a), ['1']);
        await presence('a', 'a1').tell(1);
        await ranOut('1', 1000);
        assert.deepEqual(await taken(b), []);
      });

      test('is not waited for for ever', async () => {
        await presence('a', 'a1').tell(1);
        await a.put(taskRecord('1'), CALL);
        await ranOut('1', 1000);
        assert.deepEqual(await taken(b), []);
        await command('HSET', `${prefix}{tasks}:t:1`, 'w', (await serverMs()) - 10 * CLAIM_MS - 1000);
        await ranOut('1', 1000);
        const [orphan] = await b.takeOrphans();
        assert.deepEqual([orphan?.record.taskId, orphan?.lostNodes], ['1', 1]);
        assert.deepEqual((await a.renew()).lost, ['1']);
        assert.equal(await a.put(taskRecord('1', { status: 'completed' })), 'lost');
      });

      test('stays with a node that still runs it, and is the first to come', async () => {
        await a.put(taskRecord('1'), CALL);
        await ranOut('1', 11 * CLAIM_MS);
        assert.deepEqual(await taken(a), []);
        assert.deepEqual(await taken(b), []);
        assert.equal(await command('HGET', `${prefix}{tasks}:t:1`, 'x'), '0');
        assert.equal(await a.put(taskRecord('1', { status: 'completed' })), 'stored');
      });

      test('is taken at once by its own node, when that was never told that it has it', async () => {
        await presence('a', 'a1').tell(1);
        await a.put(taskRecord('1'), CALL);
        await ranOut('1', 1000);
        const unaware = await storeWith(prefix, CLAIM_MS, 1000, NODE);
        const [orphan] = await unaware.takeOrphans();
        assert.deepEqual([orphan?.record.taskId, orphan?.lostNodes], ['1', 0]);
        assert.equal(await unaware.put(taskRecord('1', { status: 'completed' })), 'stored');
      });

      test('is taken at once when its node was started again, has said goodbye, or gave it back', async () => {
        const first = presence('a', 'a1');
        await first.tell(1);
        for (const id of ['1', '2', '3']) await a.put(taskRecord(id), CALL);
        await a.release('1');
        assert.deepEqual(await taken(b), ['1']);
        await presence('a', 'a2').tell(2);
        // A heartbeat that was on its way, and a goodbye.
        await first.tell(1);
        await first.end(1);
        assert.equal(await command('HGET', presenceKey(prefix, 'a'), 'start'), 'a2');
        await ranOut('2', 1000);
        assert.deepEqual(await taken(b), ['2']);
        const again = await storeWith(prefix, CLAIM_MS, 1000, { nodeId: 'a', start: 'a2' });
        await again.put(taskRecord('4'), CALL);
        await ranOut('4', 1000);
        assert.deepEqual(await taken(b), []);
        await presence('a', 'a2').end(2);
        await ranOut('4', 1000);
        assert.deepEqual(await taken(b), ['4']);
      });

      test('is not taken when nobody could look for long, until those that live have had time to come back', async () => {
        const looked = `${prefix}{tasks}:looked`;
        const lookedAgo = async (agoMs: number): Promise<unknown> =>
          command('HSET', looked, 'a', (await serverMs()) - agoMs);
        for (const id of ['1', '2', '3']) await a.put(taskRecord(id), CALL);
        assert.deepEqual(await taken(b), []);
        for (const id of ['1', '2']) await ranOut(id, 1000);
        await lookedAgo(CLAIM_MS);
        for (let looks = 0; looks < 2; looks += 1) assert.deepEqual(await taken(b), []);
        await a.release('3');
        assert.deepEqual(await taken(b), ['3'], 'what was given back is nobody’s');
        const leftMs = Number(await command('HGET', looked, 'f')) - (await serverMs());
        assert.ok(leftMs > CLAIM_MS / 2 && leftMs <= CLAIM_MS + 1000, `${leftMs} ms are left to come back`);
        // One comes back with its task; the other task was of a node that did not.
        assert.deepEqual(await a.renew(), { lost: [], answered: [], missing: [] });
        await ranOut('2', 1000);
        await command('HSET', looked, 'f', await serverMs());
        assert.deepEqual(await taken(b), ['2']);
        assert.equal(await a.put(taskRecord('1', { status: 'completed' })), 'stored');
      });

      test('is taken at once when others have looked all the time', async () => {
        await a.put(taskRecord('1'), CALL);
        assert.deepEqual(await taken(b), []);
        await command('HSET', `${prefix}{tasks}:looked`, 'a', (await serverMs()) - CLAIM_MS / 2);
        await ranOut('1', 1000);
        assert.deepEqual(await taken(b), ['1']);
      });

      test('does not stand before those of nodes that have gone', async () => {
        await presence('a', 'a1').tell(1);
        const gone = await storeWith(prefix, CLAIM_MS, 1000);
        await gone.put(taskRecord('orphan'), CALL);
        const waited = Array.from({ length: 250 }, (_, i) => `w${i}`);
        await Promise.all(waited.map((id) => a.put(taskRecord(id))));
        const nowMs = await serverMs();
        await command(
          'ZADD',
          `${prefix}{tasks}:claims`,
          ...waited.flatMap((id) => [nowMs - 2000, id]),
          nowMs - 1000,
          'orphan',
        );
        const found: string[] = [];
        for (let looks = 0; looks < 3; looks += 1) found.push(...(await taken(b)));
        assert.deepEqual(found, ['orphan']);
      });
    });

    test('claims that are renewed are not taken', async () => {
      const claimMs = 300;
      // A machine that stood still for longer than the claim has lost it: that is not what is looked at here.
      await undisturbed(claimMs / 3, async () => {
        const [a, b] = await pair(claimMs);
        await a.put(taskRecord('1'));
        const endMs = performance.now() + 3 * claimMs;
        while (performance.now() < endMs) {
          assert.deepEqual(await a.renew(), { lost: [], answered: [], missing: [] });
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
        assert.deepEqual(await b.takeOrphans(), []);
      });
    });

    test('ending a task elsewhere takes it from its node, which hears of it', async () => {
      const [a, b] = await pair();
      const heard: string[] = [];
      a.onNews = (taskId) => heard.push(taskId);
      await a.put(taskRecord('1', { status: 'input_required', inputRequests: new Map([['q', '{}']]) }));
      await until('messages to arrive', async () => {
        await b.leaveAnswers('1', new Map([['q', '{}']]));
        return heard.length > 0;
      });
      heard.length = 0;
      const ended = await b.end('1', 'cancelled', 'enough');
      await until('the message', () => heard.includes('1'));
      assert.deepEqual([ended?.status, ended?.statusMessage, ended?.inputRequests.size], ['cancelled', 'enough', 0]);
      assert.deepEqual((await a.renew()).lost, ['1']);
      assert.equal(await a.put(taskRecord('1', { status: 'completed' })), 'lost');
      assert.equal((await b.end('1', 'cancelled', 'again'))?.statusMessage, 'enough');
      assert.equal(await b.end('unknown', 'cancelled', ''), undefined);
    });

    test('answers wait for the node that runs the task, and are taken once', async () => {
      const [a, b] = await pair();
      await a.put(taskRecord('1'));
      await b.leaveAnswers('1', new Map([['q', '{"action":"accept"}']]));
      await b.leaveAnswers('1', new Map([['r', '{"action":"decline"}']]));
      assert.deepEqual((await a.renew()).answered, ['1']);
      const answers = await a.takeAnswers('1');
      assert.deepEqual([...(answers ?? [])].sort(), [
        ['q', '{"action":"accept"}'],
        ['r', '{"action":"decline"}'],
      ]);
      assert.deepEqual(await a.takeAnswers('1'), new Map());
      assert.deepEqual((await a.renew()).answered, []);
      assert.equal(await b.takeAnswers('1'), null);
    });

    test('a task that was released is taken at once, and its node is not counted as lost', async () => {
      const [a, b] = await pair();
      await a.put(taskRecord('1'), CALL);
      await a.release('1');
      const [orphan] = await b.takeOrphans();
      assert.deepEqual([orphan?.record.taskId, orphan?.lostNodes], ['1', 0]);
      assert.equal(await a.put(taskRecord('1', { status: 'completed' })), 'lost');
    });

    test('every key has a time to live', async () => {
      const prefix = newPrefix();
      const store = await storeWith(prefix);
      await store.put(taskRecord('1'), CALL);
      await store.put(taskRecord('2', { status: 'completed', ttlMs: null }));
      const { commands } = await redis.clients();
      await store.takeOrphans();
      for (const key of ['t:1', 't:2', 'all', 'ended', 'claims', 'since', 'looked']) {
        const ttl = Number(await commands.command('PTTL', `${prefix}{tasks}:${key}`));
        assert.ok(ttl > 0, `${key}: ${ttl}`);
      }
    });
  });
}

suite('one server', () => SharedRedis.single());
suite('Cluster', () => SharedRedis.cluster());

describe('tasks in Redis that was emptied', () => {
  test('are missing, not lost, and can be stored anew', async () => {
    const redis = await SharedRedis.single();
    try {
      const prefix = newPrefix();
      const store = new RedisTaskStore({
        ...(await redis.clients()),
        prefix,
        tasksMax: 4,
        claimMs: 60_000,
        ...goneNode(),
      });
      await store.put(taskRecord('1'));
      await store.put(taskRecord('2'));
      await redis.server?.run('FLUSHALL');
      assert.deepEqual((await store.renew()).missing, ['1', '2']);
      assert.equal(await store.put(taskRecord('1')), 'stored');
      assert.deepEqual((await store.renew()).missing, ['2']);
      assert.equal(await store.put(taskRecord('2')), 'stored');
      assert.deepEqual(await store.renew(), { lost: [], answered: [], missing: [] });
      // Deleted, though nothing was emptied: it stays away.
      await redis.server?.run('DEL', `${prefix}{tasks}:t:2`);
      assert.deepEqual((await store.renew()).lost, ['2']);
    } finally {
      await redis.end();
    }
  });
});

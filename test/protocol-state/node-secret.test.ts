/** The secret that nodes share through Redis: one for all, encoded as other values are, and never one that cannot be read. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { compileSettings } from '../../src/config/compile.ts';
import { thisMachine } from '../../src/config/machine.ts';
import type { Settings } from '../../src/config/settings.ts';
import type { RedisConnection } from '../../src/redis/connection.ts';
import { pack } from '../../src/redis/packed.ts';
import { NodeSecret } from '../../src/runtime/node-secret.ts';
import { eventually } from '../clients/eventually.ts';
import { RedisServer } from '../redis/redis-server.ts';

const KEY = 'mcp:secret';

class TestLog {
  readonly texts: string[] = [];
  readonly #note = (fields: object, message: string): void => {
    const { err } = fields as { err?: Error };
    this.texts.push(`${message}: ${err?.message}`);
  };
  readonly error = this.#note;
  readonly warn = this.#note;
  readonly info = this.#note;
  readonly debug = this.#note;
}

describe('the secret of the nodes', () => {
  let server: RedisServer;
  let redis: RedisConnection;
  before(async () => {
    server = await RedisServer.start();
    redis = server.connect();
    await redis.ready();
  });
  after(async () => {
    redis.close();
    await server.end();
  });
  const settingsOf = (): Settings => compileSettings({ redisUrl: server.url, heartbeatMs: 100 }, thisMachine());

  test('is that of whoever came first, as a version byte and MessagePack, with an end', async () => {
    await server.run('FLUSHALL');
    const [one, two] = [settingsOf(), settingsOf()];
    assert.notEqual(one.stateSecret, two.stateSecret);
    const first = await NodeSecret.open(redis, one, new TestLog());
    const second = await NodeSecret.open(redis, two, new TestLog());
    try {
      assert.equal(first.current, one.stateSecret);
      assert.equal(second.current, one.stateSecret);
      assert.deepEqual(await redis.commandBytes('GET', KEY), pack(1, one.stateSecret));
      assert.ok(Number(await redis.command('PTTL', KEY)) > 86_400_000);
    } finally {
      first.close();
      second.close();
    }
  });

  test('of another version is neither used nor replaced, and the node says so once', async () => {
    for (const foreign of [pack(2, 'of tomorrow'), Buffer.from('a text')]) {
      await server.run('SET', KEY, foreign);
      const settings = settingsOf();
      const log = new TestLog();
      const secret = await NodeSecret.open(redis, settings, log);
      try {
        assert.equal(secret.current, settings.stateSecret);
        await eventually(
          'another look',
          () => log.texts.length,
          (count) => count >= 2,
        );
        await eventually(
          'the time to live',
          () => redis.command('PTTL', KEY),
          (ms) => Number(ms) > 0,
        );
        for (const text of log.texts) assert.match(text, /another version of this program: version \d+, expected 1/);
        assert.equal(log.texts.length, 2);
        assert.equal(secret.current, settings.stateSecret);
        assert.deepEqual(await redis.commandBytes('GET', KEY), foreign);
        await server.run('DEL', KEY);
        const own = pack(1, settings.stateSecret);
        await eventually(
          'its own',
          () => redis.commandBytes('GET', KEY),
          (kept) => Buffer.isBuffer(kept) && own.equals(kept),
        );
      } finally {
        secret.close();
      }
    }
  });
});

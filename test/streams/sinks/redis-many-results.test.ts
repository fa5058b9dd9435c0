/**
 * One record of the log may close the windows of very many keys: all of that is one batch, which Redis takes whole.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { redisSinkKind } from '../../../src/streams/sinks/redis-sink.ts';
import { RedisServer } from '../../redis/redis-server.ts';
import { line } from './sink.contract.ts';

/** As arguments of a function call they would not fit on the stack. */
const RESULTS = 100_000;

test('a batch of a hundred thousand results is taken', async () => {
  const redis = await RedisServer.start();
  try {
    const url = `redis://127.0.0.1:${redis.port}`;
    const sink = redisSinkKind.create({ type: 'redis', url, stream: 'results' }, 's/redis');
    assert.equal(await sink.open(), 0);
    await sink.write({ seq: 7, lines: Array.from({ length: RESULTS }, (_, i) => line(i)) });
    assert.equal(await redis.run('XLEN', 'results'), RESULTS);
    await sink.close();
  } finally {
    await redis.end();
  }
});

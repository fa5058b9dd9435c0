/**
 * A start on which the connection that listens stands before the one that asks.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { RedisServer } from '../../redis/redis-server.ts';
import { TcpProxy } from '../../redis/tcp-proxy.ts';
import { BeatingHeart } from './beating-heart.ts';

/** Far more than it takes to find out that nothing can be asked. */
const TURNS = 20;

describe('the first beat', () => {
  let redis: RedisServer;
  let proxy: TcpProxy;
  before(async () => {
    redis = await RedisServer.start();
    proxy = await TcpProxy.start(redis.port);
  });
  after(async () => {
    await proxy.end();
    await redis.end();
  });

  test('comes before anything is said, though it is listened already', async () => {
    proxy.blackHole();
    const beating = new BeatingHeart(redis.url, `redis://127.0.0.1:${proxy.port}`);
    try {
      beating.heart.start();
      await beating.listens;
      for (let n = 0; n < TURNS; n++) await turn();
      assert.equal(beating.sightings, 0, beating.seen.trouble);
      proxy.heal();
      await beating.looked(1);
      assert.deepEqual([beating.seen.trouble, beating.seen.epoch > 0], ['', true]);
    } finally {
      beating.end();
    }
  });

  test('that cannot be made is said to be impossible', async () => {
    await proxy.refuse();
    const beating = new BeatingHeart(redis.url, `redis://127.0.0.1:${proxy.port}`);
    try {
      beating.heart.start();
      await beating.looked(1);
      assert.deepEqual([beating.seen.trouble, beating.seen.epoch], ['away', 0]);
      await proxy.accept();
      await beating.sees('n1');
      assert.deepEqual([beating.seen.trouble, beating.seen.epoch > 0], ['', true]);
    } finally {
      beating.end();
    }
  });
});

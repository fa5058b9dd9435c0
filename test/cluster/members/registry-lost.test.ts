/**
 * A registry that loses everything just when a node is due to go: heartbeats that were in it, and that nobody had read,
 * are lost with it, and do not count as missing.
 */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { BEAT, fieldsOf, LIST } from '../../../src/cluster/heartbeat/node-hash.ts';
import { RedisSubscriber } from '../../../src/redis/subscriber.ts';
import { eventually } from '../../clients/eventually.ts';
import { QUIET, RedisServer } from '../../redis/redis-server.ts';
import { BeatingHeart, FACTS, PATIENCE_MS, TTL_MS } from './beating-heart.ts';

describe('a registry that lost everything', () => {
  let redis: RedisServer;
  let beating: BeatingHeart;
  const beatsElsewhere = async (epoch: number): Promise<void> => {
    const commands = redis.connect();
    await commands.ready();
    await commands.script(BEAT, ['mcp:node:n2'], [epoch, TTL_MS, ...fieldsOf(FACTS, 0, false)]);
    await commands.script(LIST, ['mcp:nodes'], ['n2', TTL_MS]);
    commands.close();
  };

  before(async () => {
    redis = await RedisServer.start();
  });
  after(() => redis.end());
  beforeEach(async () => {
    await redis.run('FLUSHALL');
    await beatsElsewhere(0);
    beating = new BeatingHeart(redis.url);
    beating.heart.start();
    await beating.sees('n1,n2');
  });

  test('whoever is due to go stays when this node is not in it either, and goes when it does not come back', async () => {
    try {
      // Before this node's own next heartbeat is late, which it would wait for.
      await redis.run('PEXPIRE', 'mcp:node:n2', `${TTL_MS / 2}`);
      beating.beat();
      await beating.looked(1);
      await redis.run('FLUSHALL');
      beating.nowMs = TTL_MS / 2 + 1;
      await beating.looked(1);
      assert.equal(beating.ids, 'n1,n2');
      beating.beat();
      await beating.looked(1);
      assert.equal(beating.ids, 'n1,n2');
      beating.nowMs += TTL_MS - 1;
      beating.beat();
      await beating.looked(1);
      assert.equal(beating.ids, 'n1,n2');
      beating.nowMs += 2;
      await beating.sees('n1');
    } finally {
      beating.end();
    }
  });

  test('so it is when this node beats before it looks', async () => {
    try {
      await redis.run('FLUSHALL');
      beating.beat();
      beating.nowMs = TTL_MS + 1;
      await beating.looked(1);
      assert.equal(beating.ids, 'n1,n2');
      beating.beat();
      await beating.looked(1);
      assert.equal(beating.ids, 'n1,n2');
    } finally {
      beating.end();
    }
  });

  test('a node that is in it again says so: others have found it gone, and need not wait for their next look', async () => {
    const BEAT_MS = 20;
    const own = new BeatingHeart(redis.url, redis.url, BEAT_MS);
    const listener = new RedisSubscriber(redis.url, QUIET);
    let told = 0;
    listener.on('mcp:nodes:changed', () => told++);
    listener.start();
    await listener.standing;
    own.heart.start();
    try {
      await own.sees('n1,n2');
      for (let losses = 0; losses < 3; losses++) {
        const before = told;
        await redis.run('DEL', 'mcp:node:n1');
        await eventually(
          'a word of it',
          () => told,
          (count) => count > before,
          PATIENCE_MS,
        );
        await own.sees('n1,n2');
      }
    } finally {
      own.end();
      beating.end();
      listener.close();
    }
  });

  test('whoever is late while nothing can be written stays, though this node stood still when that began', async () => {
    try {
      await redis.run('CONFIG', 'SET', 'maxmemory', '1');
      await redis.run('DEL', 'mcp:node:n2');
      beating.nowMs = TTL_MS + 1;
      await beating.looked(1);
      assert.equal(beating.ids, 'n1,n2');
      await redis.run('CONFIG', 'SET', 'maxmemory', '0');
      beating.beat();
      await beating.looked(1);
      assert.equal(beating.ids, 'n1,n2');
      beating.nowMs += TTL_MS + 1;
      await beating.sees('n1');
    } finally {
      await redis.run('CONFIG', 'SET', 'maxmemory', '0');
      beating.end();
    }
  });

  test('whoever is late in a registry that lost nothing goes', async () => {
    try {
      await redis.run('DEL', 'mcp:node:n2');
      beating.nowMs = TTL_MS + 1;
      await beating.sees('n1');
    } finally {
      beating.end();
    }
  });
});

/** How long the keys of a unit outlive its owner. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { guarded, UnitFence } from '../../../src/streams/cluster/fence.ts';
import { UNIT_TTL_MS } from '../../../src/streams/cluster/unit-keys.ts';
import type { Sink } from '../../../src/streams/sinks/port.ts';
import { PLACE_TTL_MS, redisSinkKind } from '../../../src/streams/sinks/redis-sink.ts';
import { line } from '../sinks/sink.contract.ts';
import { redisUnits } from './redis-unit.ts';

const PUT = guarded(`return redis.call('HSET', KEYS[2], 'a', 'b')`);
const LEFT_MS = 1_000_000;

describe('the keys of a unit', () => {
  const units = redisUnits();
  const left = async (key: string): Promise<number> => Number(await units.server.run('PTTL', key));

  test('end together: one that is made later ends with the others, until the owner puts off the end of all', async () => {
    const fence = await units.claim();
    const { keys } = fence;
    const [head, boxes, letters, pieces] = [keys.head, keys.boxes, keys.letters('s'), keys.pieces(7)];
    assert.ok((await left(head)) > UNIT_TTL_MS - LEFT_MS);
    await units.server.run('PEXPIRE', head, LEFT_MS);
    await units.server.run('SADD', keys.begun, '7');
    await units.server.run('HSET', boxes, 's', '0 0 0 -1 -1');
    for (const key of [letters, pieces]) await fence.run(PUT, [key], []);
    for (const key of [head, letters, pieces]) {
      const ms = await left(key);
      assert.ok(ms > 0 && ms <= LEFT_MS, `${key} ${ms}`);
    }
    await fence.keep();
    for (const key of [head, keys.begun, boxes, letters, pieces]) {
      assert.ok((await left(key)) > UNIT_TTL_MS - LEFT_MS, key);
    }
  });

  test('are put off by whoever takes the unit over, and by nobody who was replaced', async () => {
    const fence = await units.claim();
    await units.server.run('HSET', fence.keys.boxes, 's', '0 0 0 -1 -1');
    await units.server.run('PEXPIRE', fence.keys.boxes, LEFT_MS);
    const next = await units.takeOver(fence);
    assert.ok((await left(fence.keys.boxes)) > UNIT_TTL_MS - LEFT_MS);
    await units.server.run('PEXPIRE', next.keys.head, LEFT_MS);
    await assert.rejects(fence.keep(), { name: 'Fenced' });
    assert.ok((await left(next.keys.head)) <= LEFT_MS);
    await assert.rejects(UnitFence.claim(units.redis, fence.keys, fence.token), { name: 'Fenced' });
    assert.ok((await left(next.keys.head)) <= LEFT_MS);
  });

  test('end before the place of their results in a Redis sink, which each of its writers puts off', async () => {
    const { url } = units.server;
    const place = (): Promise<number[]> => {
      const key = '{results}:millrace:s/redis';
      return Promise.all([key, `${key}:token`, `${key}:writer`].map(left));
    };
    const open = async (fence: number): Promise<Sink> => {
      const sink = redisSinkKind.create({ type: 'redis', url, stream: 'results', fence }, 's/redis');
      await sink.open();
      return sink;
    };
    const first = await open(1);
    await first.write({ seq: 1, lines: [line(1)] });
    await first.close();
    for (const ms of await place()) assert.ok(ms > PLACE_TTL_MS - LEFT_MS && PLACE_TTL_MS >= 3 * UNIT_TTL_MS, `${ms}`);
    await units.server.run('PEXPIRE', '{results}:millrace:s/redis', LEFT_MS);
    const next = await open(2);
    const [ms = 0] = await place();
    assert.ok(ms > PLACE_TTL_MS - LEFT_MS, `${ms}`);
    await next.close();
  });
});

/**
 * The place of a Redis sink goes with the token of the unit: who was replaced writes nothing more, and moves it nowhere.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Sink } from '../../../src/streams/sinks/port.ts';
import { redisSinkKind } from '../../../src/streams/sinks/redis-sink.ts';
import { RedisServer } from '../../redis/redis-server.ts';

let redis: RedisServer;
before(async () => {
  redis = await RedisServer.start();
});
after(() => redis.end());

const sinkWith = (fence: number): Sink => redisSinkKind.create({ url: redis.url, stream: 'results', fence }, 'sink');

const batch = (seq: number, by: string): Parameters<Sink['write']>[0] => ({
  seq,
  lines: [JSON.stringify({ id: `${by}${seq}` })],
});

async function written(): Promise<string[]> {
  const entries = (await redis.run('XRANGE', 'results', '-', '+')) as [string, string[]][];
  return entries.map(([, fields]) => fields[1] as string);
}

test('a writer with an older token is refused, and cannot open it again', async () => {
  const old = sinkWith(5);
  assert.equal(await old.open(), 0);
  await old.write(batch(1, 'old'));
  const next = sinkWith(6);
  assert.equal(await next.open(), 1);
  await assert.rejects(old.write(batch(2, 'old')), /another node writes/);
  await next.write(batch(2, 'next'));
  await assert.rejects(old.write(batch(3, 'old')), /another node writes/);
  assert.deepEqual(await written(), ['old1', 'next2']);
  const again = sinkWith(5);
  await assert.rejects(again.open(), /another node writes/);
  await Promise.all([old, next, again].map((sink) => sink.close()));
});

test('a sink that lost everything takes the owner it hears of, and none before that one', async () => {
  const old = sinkWith(7);
  const next = sinkWith(8);
  await old.open();
  await next.open();
  await redis.run('FLUSHALL');
  await old.write(batch(3, 'old'));
  await next.write(batch(4, 'next'));
  await assert.rejects(old.write(batch(5, 'old')), /another node writes/);
  assert.deepEqual(await written(), ['old3', 'next4']);
  await Promise.all([old, next].map((sink) => sink.close()));
});

/**
 * Units of streams in a Redis of the test's own: a new one each, and more owners of the same.
 */
import { after, before } from 'node:test';
import type { RedisConnection } from '../../../src/redis/connection.ts';
import { UnitFence } from '../../../src/streams/cluster/fence.ts';
import { type UnitKeys, unitKeys } from '../../../src/streams/cluster/unit-keys.ts';
import { RedisServer } from '../../redis/redis-server.ts';

export interface RedisUnits {
  readonly server: RedisServer;
  readonly redis: RedisConnection;
  /** Claims a unit nobody had before. */
  claim(token?: number): Promise<UnitFence>;
  /** Claims a unit again, with a later token. */
  takeOver(from: UnitFence, redis?: RedisConnection): Promise<UnitFence>;
  newKeys(): UnitKeys;
}

/** For the tests of this file; the server starts before them and ends after them. */
export function redisUnits(): RedisUnits {
  let server: RedisServer | null = null;
  let redis: RedisConnection | null = null;
  let units = 0;
  before(async () => {
    server = await RedisServer.start();
    redis = server.connect();
    await redis.ready();
  });
  after(async () => {
    redis?.close();
    await server?.end();
  });
  const newKeys = (): UnitKeys => unitKeys('test:', `unit-${++units}`);
  return {
    get server() {
      return server as RedisServer;
    },
    get redis() {
      return redis as RedisConnection;
    },
    newKeys,
    claim: async (token = 1) => (await UnitFence.claim(redis as RedisConnection, newKeys(), token)).fence,
    takeOver: async (from, on = redis as RedisConnection) =>
      (await UnitFence.claim(on, from.keys, from.token + 1)).fence,
  };
}

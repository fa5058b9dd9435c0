/**
 * How streams were cut into partitions the last time, noted in Redis.
 *
 * Role: cut otherwise, streams begin anew, which nobody should find out by missing results: it is told in the log.
 */
import type { RedisConnection } from '../../redis/connection.ts';
import type { EngineLog } from '../engine/engine.ts';
import type { Unit } from './units.ts';

export interface CutNotesPorts {
  readonly redis: RedisConnection;
  /** Start of all keys in Redis. */
  readonly prefix: string;
  readonly log: EngineLog;
}

/** Never rejects. */
export async function noteCuts({ log, prefix, redis }: CutNotesPorts, units: readonly Unit[]): Promise<void> {
  const key = `${prefix}stream-partitions`;
  try {
    for (const { cut, family, partition } of units) {
      if (partition > 0) continue;
      const before = await redis.command('HGET', key, family);
      if (before === cut) continue;
      await redis.command('HSET', key, family, cut);
      if (before === null) continue;
      const facts = { stream: family, before, partitions: cut };
      const what = 'another number of partitions, or a key of other fields';
      log.warn(facts, `the stream has ${what}: it begins anew, what it held stays in Redis`);
    }
  } catch (error) {
    log.info({ err: error }, 'whether streams have the partitions they had before is not known');
  }
}

/**
 * How often each command has been run by a Redis, of its own statistics; those inside of scripts count, too.
 */
import type { RedisServer } from '../../redis/redis-server.ts';

const ROW = /^cmdstat_([^:]+):calls=(\d+),/;
/** How the statistics are asked for. */
const OWN = 'info';

export async function commandCounts(redis: RedisServer): Promise<ReadonlyMap<string, number>> {
  const rows = String(await redis.run('INFO', 'commandstats')).split(/\r?\n/);
  const found = rows.map((row) => ROW.exec(row)).filter((row) => row !== null);
  return new Map(found.filter(([, name]) => name !== OWN).map(([, name = '', calls]) => [name, Number(calls)]));
}

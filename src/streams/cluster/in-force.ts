/**
 * The definitions of a unit that are in force, where every node can read them: beside its log in Redis.
 *
 * Role: what was defined at run time is kept with the declaration it began from. A node whose own declaration is the same
 * takes it over when it runs the unit, a node with another one puts its own in force.
 */
import { isDeepStrictEqual } from 'node:util';
import type { RedisConnection } from '../../redis/connection.ts';
import type { StreamDefinition } from '../define/definition.ts';
import { guarded, type UnitFence } from './fence.ts';

const KEEP = guarded(`return redis.call('HSET', KEYS[1], 'definitions', ARGV[2], 'declared', ARGV[3])`);

export interface InForce {
  readonly definitions: readonly StreamDefinition[];
  /** By the node that put them in force. */
  readonly declared: readonly StreamDefinition[];
}

/** Rejects with `Fenced`, or with `RedisUnavailable`. */
export async function keepInForce(fence: UnitFence, { declared, definitions }: InForce): Promise<void> {
  await fence.run(KEEP, [], [JSON.stringify(definitions), JSON.stringify(declared)]);
}

/** As the last owner put them in force, whoever asks; null before the first. `head`: key of the unit's head. */
export async function readInForce(redis: RedisConnection, head: string): Promise<InForce | null> {
  const reply = await redis.command('HMGET', head, 'definitions', 'declared');
  const [definitions, declared] = Array.isArray(reply) ? reply : [];
  if (typeof definitions !== 'string' || typeof declared !== 'string') return null;
  return { definitions: JSON.parse(definitions), declared: JSON.parse(declared) };
}

/** As `readInForce`; null too when another declaration led to them. */
export async function readAlike(
  redis: RedisConnection,
  head: string,
  declared: readonly StreamDefinition[],
): Promise<readonly StreamDefinition[] | null> {
  const inForce = await readInForce(redis, head);
  // As it reads when it was kept: what is undefined is left out there.
  const own = JSON.parse(JSON.stringify(declared)) as readonly StreamDefinition[];
  return inForce !== null && isDeepStrictEqual(inForce.declared, own) ? inForce.definitions : null;
}

/** What an owner that declares this goes on with. */
export async function definitionsInForce(
  fence: UnitFence,
  declared: readonly StreamDefinition[],
): Promise<readonly StreamDefinition[]> {
  return (await readAlike(fence.redis, fence.keys.head, declared)) ?? declared;
}

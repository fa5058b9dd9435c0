/**
 * The definitions of a unit that are in force, where every node can read them: beside its log in Redis.
 *
 * Role: what was defined at run time is kept with the declaration it began from. A node with the same declaration takes
 * it over when it runs the unit; a node with another one puts its own in force.
 * Invariant: definitions that another version of this program put in force are neither treated as absent nor replaced:
 * they are reported as unreadable, and the unit waits for a node that can read them.
 */
import { isDeepStrictEqual } from 'node:util';
import type { RedisConnection } from '../../redis/connection.ts';
import { pack, unpack } from '../../redis/packed.ts';
import { RedisUnavailable } from '../../redis/unavailable.ts';
import type { StreamDefinition } from '../define/definition.ts';
import { guarded, type UnitFence } from './fence.ts';

const VERSION = 1;
const KEEP = guarded(`return redis.call('HSET', KEYS[1], 'definitions', ARGV[2], 'declared', ARGV[3])`);

export interface InForce {
  readonly definitions: readonly StreamDefinition[];
  /** By the node that put them in force. */
  readonly declared: readonly StreamDefinition[];
}

/** Rejects with `Fenced`, or with `RedisUnavailable`. */
export async function keepInForce(fence: UnitFence, { declared, definitions }: InForce): Promise<void> {
  await fence.run(KEEP, [], [pack(VERSION, plain(definitions)), pack(VERSION, plain(declared))]);
}

/**
 * As the last owner put them in force, whoever asks; null before the first. `head`: key of the unit's head. Rejects with
 * `RedisUnavailable`, also when they are of a version that is not known here.
 */
export async function readInForce(redis: RedisConnection, head: string): Promise<InForce | null> {
  const reply = await redis.commandBytes('HMGET', head, 'definitions', 'declared');
  const [definitions, declared] = Array.isArray(reply) ? reply : [];
  if (!Buffer.isBuffer(definitions) || !Buffer.isBuffer(declared)) return null;
  return { definitions: listIn(definitions, head), declared: listIn(declared, head) };
}

function listIn(bytes: Buffer, head: string): readonly StreamDefinition[] {
  const list = unpack(VERSION, bytes);
  if (Array.isArray(list)) return list as readonly StreamDefinition[];
  const facts = `version ${bytes[0]}, expected ${VERSION}`;
  throw new RedisUnavailable(
    'refused',
    `the definitions in force in ${head} were written by another version of this program, or are damaged (${facts})`,
    false,
  );
}

/** As it reads when it was kept: what is undefined is left out. */
const plain = (list: readonly StreamDefinition[]): readonly StreamDefinition[] => JSON.parse(JSON.stringify(list));

/** As `readInForce`; null too when another declaration led to them. */
export async function readAlike(
  redis: RedisConnection,
  head: string,
  declared: readonly StreamDefinition[],
): Promise<readonly StreamDefinition[] | null> {
  const inForce = await readInForce(redis, head);
  return inForce !== null && isDeepStrictEqual(inForce.declared, plain(declared)) ? inForce.definitions : null;
}

/** What an owner that declares this goes on with. */
export async function definitionsInForce(
  fence: UnitFence,
  declared: readonly StreamDefinition[],
): Promise<readonly StreamDefinition[]> {
  return (await readAlike(fence.redis, fence.keys.head, declared)) ?? declared;
}

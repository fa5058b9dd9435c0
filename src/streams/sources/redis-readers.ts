/**
 * Under which names a Redis source reads, and what a name says of an entry that was handed over and not acknowledged.
 *
 *   {consumer}.{tag}      one life of one connection: a new tag each time, never used again
 *   {consumer}.claimed    what was taken over from other consumers
 *   {consumer}            whoever reads under the declared name itself
 *
 *   position in the log   id of the last entry that was taken in order, and the tag of the reader it was handed to
 *
 * Role: what Redis hands to a connection that is no more (a read that was waiting there when its node lost power, or was
 * taken for lost) lies among what others took since, and is in no log. Names make that plain: a reader takes what it is
 * given in order, so of the reader in the log's position everything up to that id is in the log, and nothing after it.
 * Whatever other readers left was never taken in order, for the log goes on to the next reader only when nothing is left
 * of the one before; it may have been taken by its id as a batch.
 * Invariant: a consumer with something pending is never removed, whoever reads under it meanwhile.
 */
import { randomBytes } from 'node:crypto';
import { Script } from '../../redis/script.ts';

export interface Position {
  /** `''`: nothing was taken yet. */
  readonly id: string;
  readonly tag: string;
}

export const CLAIMED = 'claimed';
/** Of the declared name itself. */
const PLAIN = '';
const TAG_BYTES = 6;
const TAG_SHAPE = /^[0-9a-f]{12}$/;

export const newTag = (): string => randomBytes(TAG_BYTES).toString('hex');

export const nameOf = (consumer: string, tag: string): string => (tag === PLAIN ? consumer : `${consumer}.${tag}`);

/** Null: `name` belongs to somebody else, whose name may begin alike. */
export function tagOf(consumer: string, name: string): string | null {
  if (name === consumer) return PLAIN;
  if (!name.startsWith(`${consumer}.`)) return null;
  const tag = name.slice(consumer.length + 1);
  return tag === CLAIMED || TAG_SHAPE.test(tag) ? tag : null;
}

/** As it is in the log. */
export const positionText = ({ id, tag }: Position): string => (tag === PLAIN ? id : `${id} ${tag}`);

export function positionOf(text: string): Position {
  const [id = '', tag = PLAIN] = text.split(' ');
  return { id, tag };
}

/** KEYS: the stream. ARGV: group, names. Removes those that have nothing pending; a reader that lives is made anew by its next read. */
export const FORGET = new Script(`
local named = {}
for i = 2, #ARGV do named[ARGV[i]] = true end
for _, facts in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local of = {}
  for i = 1, #facts, 2 do of[facts[i]] = facts[i + 1] end
  if named[of.name] and of.pending == 0 then redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], of.name) end
end
return 1`);

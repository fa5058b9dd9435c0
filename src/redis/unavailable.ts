/**
 * The one way a command to Redis fails for its users: shared state cannot be had right now, and why.
 *
 * Role: who asked turns it into a retryable answer; nobody else looks at texts of Redis. A command that was on its way
 * when the connection broke may have been carried out: `maybeDone` says so.
 */

/**
 * `away`: no connection. `slow`: no answer in time. `full`: out of memory. `readonly`: a replica, or a primary that
 * failed over. `loading`: it starts or its cluster is down. `busy`: too many commands under way. `refused`: anything
 * else it answered with an error.
 */
export type UnavailableWhy = 'away' | 'slow' | 'full' | 'readonly' | 'loading' | 'busy' | 'refused';

export class RedisUnavailable extends Error {
  override readonly name = 'RedisUnavailable';
  readonly why: UnavailableWhy;
  /** The command may have been carried out all the same. */
  readonly maybeDone: boolean;
  /** Code of an error reply (`BUSYGROUP`, `NOSCRIPT`); `''` for what never reached Redis or was not answered. */
  readonly code: string;

  constructor(why: UnavailableWhy, message: string, maybeDone: boolean, cause?: unknown, code = '') {
    super(message, cause === undefined ? undefined : { cause });
    this.why = why;
    this.maybeDone = maybeDone;
    this.code = code;
  }
}

const BY_PREFIX: readonly (readonly [prefix: string, why: UnavailableWhy])[] = [
  ['OOM', 'full'],
  ['READONLY', 'readonly'],
  ['MISCONF', 'readonly'],
  ['NOREPLICAS', 'readonly'],
  ['LOADING', 'loading'],
  ['CLUSTERDOWN', 'loading'],
  ['MASTERDOWN', 'loading'],
  ['TRYAGAIN', 'loading'],
  ['BUSY ', 'loading'],
];

/** What an error of the client or an error reply means. */
export function unavailableFrom(cause: unknown, address: string): RedisUnavailable {
  const text = cause instanceof Error ? cause.message : String(cause);
  if (text === 'Command timed out') {
    return new RedisUnavailable('slow', `Redis at ${address} did not answer in time`, true, cause);
  }
  const known = BY_PREFIX.find(([prefix]) => text.startsWith(prefix))?.[1];
  // An error reply has a code in capitals first; everything else came from the client and means the connection.
  const code = /^[A-Z]{3,}(?= |$)/.exec(text)?.[0] ?? '';
  const why = known ?? (code === '' ? 'away' : 'refused');
  return new RedisUnavailable(why, `Redis at ${address}: ${text}`, why === 'away', cause, code);
}

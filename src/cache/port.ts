/**
 * Port of the result cache: encoded tool results by what they depend on.
 *
 * Role: what `cached-calls.ts` keeps results in. A key is a digest of tool, canonical arguments, revision and, for a
 * private result, its owner; so an implementation never looks into any of them.
 * A result is stored under the generation of its tool in which its call began: what was computed before an
 * invalidation is never served after it, on whichever node either happened.
 * Who finds no result leads the flight of the key, until `set` or `release`; other nodes that look meanwhile are kept
 * waiting for what becomes of it. One look or flight for each key on each node: who asks sees to that.
 */
import type { MaybePromise } from '../sessions/port.ts';

/** No result is kept for longer, whatever is asked for. */
export const RESULT_TTL_MS_MAX = 86_400_000;

export interface CachedResult {
  /** The JSON-RPC result object, encoded, without its envelope. */
  readonly resultJson: string;
  /** Milliseconds left. */
  readonly ttlMs: number;
}

export interface ResultCache {
  /**
   * Absent: the call is the asker's to make. Never rejects: what cannot be asked has no result. May take as long as the
   * flight of another node: whose time is over `release`s the key.
   */
  get(tool: string, key: string): MaybePromise<CachedResult | undefined>;
  /** Of the tool, as far as is known here; to be read before the call begins, after a `get`. */
  generation(tool: string): number;
  /** The flight is over. Keeps nothing when the tool has another generation by now. */
  set(tool: string, key: string, resultJson: string, ttlMs: number, generation: number): void;
  /** The flight is over without a result for others, or nobody waits for it here any more. Does nothing without one. */
  release(key: string): void;
  /** Forgets all results of a tool, on every node. */
  invalidate(tool: string): void;
  /** Results in the memory of this node. */
  readonly size: number;
  close(): void;
}

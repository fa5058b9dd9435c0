/**
 * Port of the result cache: encoded tool results by what they depend on.
 *
 * Role: what `cached-calls.ts` keeps results in. A key is a digest of tool, canonical arguments, revision and, for a
 * private result, its owner; so an implementation never looks into any of them.
 * A result is stored under the generation of its tool in which its call began: what was computed before an
 * invalidation is never served after it, on whichever node either happened.
 */
import type { MaybePromise } from '../sessions/port.ts';

export interface CachedResult {
  /** The JSON-RPC result object, encoded, without its envelope. */
  readonly resultJson: string;
  /** Milliseconds left. */
  readonly ttlMs: number;
}

export interface ResultCache {
  /** Never rejects: what cannot be asked has no result. */
  get(tool: string, key: string): MaybePromise<CachedResult | undefined>;
  /** Of the tool, as far as is known here; to be read before the call begins, after a `get`. */
  generation(tool: string): number;
  /** Does nothing when the tool has another generation by now. */
  set(tool: string, key: string, resultJson: string, ttlMs: number, generation: number): void;
  /** Forgets all results of a tool, on every node. */
  invalidate(tool: string): void;
  /** Results in the memory of this node. */
  readonly size: number;
  close(): void;
}

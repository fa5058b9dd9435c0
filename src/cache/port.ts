/**
 * Port of the result cache: encoded tool results by what they depend on.
 *
 * Role: what `cached-calls.ts` keeps results in. A key names tool, canonical arguments, revision and, for a private
 * result, principal; so an implementation never looks into either.
 */
import type { MaybePromise } from '../sessions/port.ts';

export interface CachedResult {
  /** The JSON-RPC result object, encoded, without its envelope. */
  readonly resultJson: string;
  /** Milliseconds left. */
  readonly ttlMs: number;
}

export interface ResultCache {
  get(key: string): MaybePromise<CachedResult | undefined>;
  set(key: string, tool: string, resultJson: string, ttlMs: number): void;
  /** Forgets all results of a tool, on every node; `*`: of all tools. */
  invalidate(tool: string): void;
  readonly size: number;
}

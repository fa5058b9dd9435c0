/**
 * What stands between a call and its tool, made from the settings: rate budgets, idempotency ledger, kept results.
 *
 * Role: chooses embedded or Redis implementations, and forgets the results of tools that the catalogue changes.
 */
import { CachedCalls } from '../cache/cached-calls.ts';
import { MemoryResultCache } from '../cache/memory-cache.ts';
import type { ResultCache } from '../cache/port.ts';
import { FLIGHT_LEASE_MS, RedisResultCache } from '../cache/redis-cache.ts';
import type { CatalogueHolder, Entry } from '../catalogue/entry.ts';
import type { Membership } from '../cluster/port.ts';
import type { Settings } from '../config/settings.ts';
import { KeyedCalls } from '../ledger/keyed-calls.ts';
import { MemoryLedger } from '../ledger/memory-ledger.ts';
import type { Ledger } from '../ledger/port.ts';
import { RedisLedger } from '../ledger/redis-ledger.ts';
import type { Log, Meters } from '../observe/port.ts';
import type { Fault } from '../protocol/faults.ts';
import { outcomeOf } from '../protocol/methods/answers.ts';
import type { CallGuards } from '../protocol/methods/guarded-calls.ts';
import { MemoryRates } from '../rates/memory-rates.ts';
import type { RateBudgets } from '../rates/port.ts';
import { RedisRates } from '../rates/redis-rates.ts';
import { CLAIM_BEATS, type SharedState } from './shared-state.ts';

const METHOD = 'tools/call';

export interface GuardParts {
  readonly settings: Settings;
  readonly shared: Pick<SharedState, 'redis' | 'membership'>;
  readonly catalogue: CatalogueHolder;
  readonly meters: Meters;
  readonly log: Log;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

export interface OpenGuards extends CallGuards {
  /** What is kept of a tool's results is out of date. */
  forget(tool: string): void;
  close(): void;
}

export function openGuards(parts: GuardParts): OpenGuards {
  const { catalogue, log, meters, now, settings } = parts;
  const results = openResults(parts);
  const ledger = openLedger(parts);
  const rates = openRates(parts);
  const { resultsMax } = settings.cache;
  const answered = (fault: Fault | null): void =>
    meters.requestFinished(METHOD, fault === null ? 'ok' : outcomeOf(fault.name), 0);
  meters.gauge('millrace_cached_results', 'Tool results in the memory of this node.', () => results.size);
  const cached = new CachedCalls({
    results,
    version: settings.server.version,
    enabled: resultsMax > 0,
    timeoutMs: settings.requestTimeoutMs,
    answered,
    now,
    log,
  });
  meters.gauge('millrace_shared_calls', 'Calls that wait for an identical one.', () => cached.waiting);
  const keyed = new KeyedCalls({
    ledger,
    timeoutMs: settings.requestTimeoutMs,
    answered,
    log,
  });
  meters.gauge('millrace_keyed_calls', 'Calls with an idempotency key that run here.', () => ledger.running);
  const unsubscribe = catalogue.onChange(forgetChanged(catalogue, cached));
  return {
    cached,
    keyed,
    rates,
    forget: (tool) => cached.invalidate(tool),
    close() {
      unsubscribe();
      results.close();
      ledger.close();
      rates?.close();
    },
  };
}

function openResults({ log, now, settings, shared }: GuardParts): ResultCache {
  const { resultsMax, bytesMax } = settings.cache;
  if (shared.redis === null) return new MemoryResultCache({ resultsMax, bytesMax, now });
  const { commands, subscriber } = shared.redis;
  const { prefix } = settings.cluster;
  const bounds = { resultsMax, bytesMax, leaseMs: FLIGHT_LEASE_MS };
  const results = new RedisResultCache({ commands, subscriber, prefix, ...bounds, now, log });
  shared.redis.onGap.add(() => results.gap());
  return results;
}

function openLedger({ log, now, settings, shared }: GuardParts): Ledger {
  const ttlMs = settings.idempotencyTtlMs;
  if (shared.redis === null) return new MemoryLedger({ ttlMs, now });
  const { commands } = shared.redis;
  const claimMs = CLAIM_BEATS * settings.heartbeatMs;
  return new RedisLedger({ commands, prefix: settings.cluster.prefix, ttlMs, claimMs, log });
}

function openRates({ now, settings, shared }: GuardParts): RateBudgets | null {
  const limits = settings.rateLimits;
  if (limits.length === 0) return null;
  if (shared.redis === null) return new MemoryRates(limits, now);
  const { commands } = shared.redis;
  const { expectedNodes, prefix } = settings.cluster;
  return new RedisRates({ commands, prefix, limits, nodes: sharersOf(shared.membership, expectedNodes), now });
}

/** Nodes that a budget is for. A node that was started while Redis is away sees nobody: that does not make it all its own. */
function sharersOf(membership: Membership, expected: number): () => number {
  return () => (membership.known ? membership.nodes.length : Math.max(membership.nodes.length, expected));
}

/** A tool of this node that was replaced or taken away: what it answered before means nothing any more. */
function forgetChanged(catalogue: CatalogueHolder, cached: CachedCalls): () => void {
  let known = cachedTools(catalogue.current.entries);
  return () => {
    const now = cachedTools(catalogue.current.entries);
    for (const [name, key] of known) if (now.get(name) !== key) cached.invalidate(name);
    known = now;
  };
}

function cachedTools(entries: readonly Entry[]): ReadonlyMap<string, number> {
  const kept = entries.filter((entry) => entry.kind === 'tool' && entry.run !== 'remote' && entry.cacheTtlMs > 0);
  return new Map(kept.map((entry) => [entry.name, entry.key]));
}

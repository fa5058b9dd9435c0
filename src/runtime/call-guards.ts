/**
 * What stands between a call and its tool, made from the settings: rate budgets, idempotency ledger, kept results.
 *
 * Role: embedded ones where this node is alone, those of Redis otherwise; forgets the results of tools that the catalogue changes.
 */
import { CachedCalls } from '../cache/cached-calls.ts';
import { MemoryResultCache } from '../cache/memory-cache.ts';
import type { ResultCache } from '../cache/port.ts';
import type { CatalogueHolder, Entry } from '../catalogue/entry.ts';
import type { Settings } from '../config/settings.ts';
import { KeyedCalls } from '../ledger/keyed-calls.ts';
import { MemoryLedger } from '../ledger/memory-ledger.ts';
import type { Ledger } from '../ledger/port.ts';
import type { Log, Meters } from '../observe/port.ts';
import { type Fault, outcomeOf } from '../protocol/faults.ts';
import type { CallGuards } from '../protocol/methods/guarded-calls.ts';
import { MemoryRates } from '../rates/memory-rates.ts';
import type { RateBudgets } from '../rates/port.ts';
import type { SharedState } from './shared-port.ts';

const METHOD = 'tools/call';

export interface GuardParts {
  readonly settings: Settings;
  readonly shared: Pick<SharedState, 'redis'>;
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

function openResults({ now, settings, shared }: GuardParts): ResultCache {
  const { resultsMax, bytesMax } = settings.cache;
  return shared.redis?.openResults(now) ?? new MemoryResultCache({ resultsMax, bytesMax, now });
}

function openLedger({ now, settings, shared }: GuardParts): Ledger {
  return shared.redis?.openLedger() ?? new MemoryLedger({ ttlMs: settings.idempotencyTtlMs, now });
}

function openRates({ now, settings, shared }: GuardParts): RateBudgets | null {
  const limits = settings.rateLimits;
  if (limits.length === 0) return null;
  return shared.redis?.openRates(now) ?? new MemoryRates(limits, now);
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

/**
 * Facts of streams that are run in several places, or that nobody has told anything of yet.
 *
 * Role: what lists and gauges show: counters of all partitions together, the watermark of the one furthest behind.
 */
import type { StreamDefinition } from '../define/definition.ts';
import type { StreamFacts } from '../engine/port.ts';

type ByOperator = Readonly<Record<string, number>>;

/** One of each name, in the order of their first. */
export function factsOfAll(facts: readonly StreamFacts[]): readonly StreamFacts[] {
  const byName = new Map<string, StreamFacts>();
  for (const each of facts) {
    const known = byName.get(each.name);
    byName.set(each.name, known === undefined ? each : together(known, each));
  }
  return [...byName.values()];
}

function together(a: StreamFacts, b: StreamFacts): StreamFacts {
  const { accepted, batches, duplicates, late, rejected, results } = b.counters;
  return {
    ...a,
    watermark: earliest([a.watermark, b.watermark]),
    counters: {
      accepted: a.counters.accepted + accepted,
      rejected: a.counters.rejected + rejected,
      duplicates: a.counters.duplicates + duplicates,
      late: a.counters.late + late,
      batches: a.counters.batches + batches,
      results: a.counters.results + results,
    },
    pendingBytes: a.pendingBytes + b.pendingBytes,
    spilledBytes: a.spilledBytes + b.spilledBytes,
    deadLetters: a.deadLetters + b.deadLetters,
    partialsDropped: summed(a.partialsDropped, b.partialsDropped),
    keysEvicted: summed(a.keysEvicted, b.keysEvicted),
    resultsRefused: a.resultsRefused + b.resultsRefused,
    resultsFailed: summed(a.resultsFailed, b.resultsFailed),
    alertCallsLost: a.alertCallsLost + b.alertCallsLost,
    stepsLeftOut: a.stepsLeftOut + b.stepsLeftOut,
  };
}

function summed(a: ByOperator, b: ByOperator): Record<string, number> {
  const sums = { ...a };
  for (const [name, count] of Object.entries(b)) sums[name] = (sums[name] ?? 0) + count;
  return sums;
}

/** Of a stream that nobody has told anything of yet. */
export function factsBefore({
  description = '',
  durability = 'memory',
  name,
  title = '',
}: StreamDefinition): StreamFacts {
  const counters = { accepted: 0, rejected: 0, duplicates: 0, late: 0, batches: 0, results: 0 };
  return {
    name,
    title,
    description,
    durability,
    watermark: null,
    counters,
    pendingBytes: 0,
    spilledBytes: 0,
    deadLetters: 0,
    partialsDropped: {},
    keysEvicted: {},
    resultsRefused: 0,
    resultsFailed: {},
    alertCallsLost: 0,
    stepsLeftOut: 0,
  };
}

/** Of several partitions: the watermark of the one that is furthest behind. */
export function earliest(watermarks: readonly (number | null)[]): number | null {
  const known = watermarks.filter((each) => each !== null);
  return known.length === 0 ? null : Math.min(...known);
}

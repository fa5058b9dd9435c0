/**
 * What a bench run found: the shape that tables, JSON, HTML and comparisons are made of.
 *
 * Role: plain data with the unit in every name. A figure that was not measured is absent, never 0. JSON files hold
 * exactly this, so changing a name here changes what `bench:compare` can read.
 */
import type { Interval } from '../load/job.ts';
import { type Disturbance, disturbanceText } from '../measure/disturbance.ts';
import type { Machine } from '../measure/machine.ts';
import { type Spread, spreadOf } from '../measure/statistics.ts';

export const REPORT_FORMAT = 1;

/** How a figure is written, and whether more of it is better. */
export const FIGURES = {
  perSecond: { label: 'req/s', unit: 'count', better: 'more' },
  offeredPerSecond: { label: 'offered/s', unit: 'count', better: 'neither' },
  p50Us: { label: 'P50', unit: 'us', better: 'less' },
  p90Us: { label: 'P90', unit: 'us', better: 'less' },
  p95Us: { label: 'P95', unit: 'us', better: 'less' },
  p99Us: { label: 'P99', unit: 'us', better: 'less' },
  p999Us: { label: 'P99.9', unit: 'us', better: 'less' },
  maxUs: { label: 'max', unit: 'us', better: 'less' },
  cpuUsPerRequest: { label: 'CPU/req', unit: 'us', better: 'less' },
  residentMiB: { label: 'RSS MiB', unit: 'count', better: 'less' },
  failed: { label: 'failed', unit: 'count', better: 'less' },
  refused: { label: 'refused', unit: 'count', better: 'neither' },
  lateP99Us: { label: 'sent late', unit: 'us', better: 'neither' },
  cheapP99Us: { label: 'cheap P99', unit: 'us', better: 'less' },
  successShare: { label: 'success', unit: 'share', better: 'more' },
  capacityPerSecond: { label: 'capacity', unit: 'count', better: 'more' },
  goodput2Share: { label: 'good 2x', unit: 'share', better: 'more' },
  goodput10Share: { label: 'good 10x', unit: 'share', better: 'more' },
  refusalP99Us: { label: 'no P99', unit: 'us', better: 'less' },
  refusalMaxUs: { label: 'no max', unit: 'us', better: 'less' },
  recoveryMs: { label: 'recovery', unit: 'ms', better: 'less' },
  growthMiB: { label: 'growth MiB', unit: 'count', better: 'less' },
  streams: { label: 'streams', unit: 'count', better: 'neither' },
  residentKiBEach: { label: 'KiB each', unit: 'count', better: 'less' },
  fanOutP50Us: { label: 'fan P50', unit: 'us', better: 'less' },
  fanOutP99Us: { label: 'fan P99', unit: 'us', better: 'less' },
  eventsPerSecond: { label: 'events/s', unit: 'count', better: 'more' },
  cpuNsPerEvent: { label: 'CPU ns/ev', unit: 'count', better: 'less' },
  taskNsPerEvent: { label: 'worker ns/ev', unit: 'count', better: 'less' },
  redisPerRequest: { label: 'Redis', unit: 'count', better: 'less' },
  idleCpuShare: { label: 'idle', unit: 'share', better: 'less' },
  lostPerKill: { label: 'lost', unit: 'count', better: 'less' },
  outageMaxMs: { label: 'silence', unit: 'ms', better: 'less' },
  residentMiBPerHour: { label: 'RSS MiB/h', unit: 'count', better: 'less' },
  heapMiBPerHour: { label: 'heap MiB/h', unit: 'count', better: 'less' },
} as const satisfies Record<string, { label: string; unit: Unit; better: 'more' | 'less' | 'neither' }>;

export type Unit = 'count' | 'us' | 'ms' | 'share';
export type FigureName = keyof typeof FIGURES;
export type Figures = Readonly<Partial<Record<FigureName, number>>>;

export const isFigureName = (name: string): name is FigureName => Object.hasOwn(FIGURES, name);

/** One round of one variant. */
export interface Sample {
  readonly figures: Figures;
  /** Latencies at the percentiles of the curve; empty: none. */
  readonly curveUs: readonly number[];
  /** Answers behind the curve. */
  readonly curveCount: number;
  readonly intervals: readonly Interval[];
  /** Which client made the load. */
  readonly client: string;
  /** What went wrong without ending the round, in the words of the first case. */
  readonly problem: string;
}

export type Role = 'millrace' | 'limit' | 'control' | 'peer';

export interface VariantReport {
  readonly name: string;
  readonly role: Role;
  readonly rounds: readonly Sample[];
  /** Why a round is missing. */
  readonly failures: readonly string[];
  /** What the machine did beside each round; null where it does not tell. Absent from older reports. */
  readonly disturbances?: readonly (Disturbance | null)[];
}

export interface ScenarioReport {
  readonly name: string;
  readonly title: string;
  readonly columns: readonly FigureName[];
  readonly cannotShow: readonly string[];
  /** What others published of the same; not measured here. */
  readonly published: readonly string[];
  /** Why the scenario, or a part of it, was left out. */
  readonly skipped: readonly string[];
  readonly variants: readonly VariantReport[];
  readonly elapsedMs: number;
}

export interface BenchReport {
  readonly format: typeof REPORT_FORMAT;
  readonly command: string;
  readonly machine: Machine;
  readonly rounds: number;
  readonly interrupted: boolean;
  readonly notes: readonly string[];
  readonly scenarios: readonly ScenarioReport[];
}

/** One figure of all rounds, in their order; NaN where it was not measured. */
export function roundsOf(variant: VariantReport, figure: FigureName): number[] {
  return variant.rounds.map((sample) => sample.figures[figure] ?? Number.NaN);
}

/** What stands for all rounds: the median; of failures the most, or one round with them would look like none. */
export function typicalOf(variant: VariantReport, figure: FigureName): Spread {
  const spread = spreadOf(roundsOf(variant, figure));
  return figure === 'failed' ? { ...spread, median: spread.highest } : spread;
}

/** Rounds that something else on the machine disturbed, in words. */
export function disturbedRounds({ disturbances, name }: VariantReport): string[] {
  return (disturbances ?? []).flatMap((disturbance, round) => {
    const text = disturbance === null ? null : disturbanceText(disturbance);
    return text === null ? [] : [`${name}, round ${round + 1}: ${text}`];
  });
}

/**
 * Anomaly detectors: pure functions of (state, value, time).
 *
 * Each looks at one key's values in the order they come and says how far the newest one is from what was expected;
 * an anomalous value is learnt from like any other, except by `zscore`, where one outlier would widen the band. A value
 * whose square is beyond all numbers is learnt by none: the variance would be infinite, and the key deaf from then on.
 * - zscore: deviations from the running mean (Welford), of all values that were no anomalies.
 * - ewma: exponentially weighted mean and variance (West 1979: diff·alpha), deviations from it.
 * - seasonal: a running mean and variance per bucket of the season, so that a Monday morning is compared with others.
 * - rate: change per second since the value before, by the times of the events: one that comes late has none before it.
 */
import type { AnomalyPlan } from '../plan.ts';
import type { Seen } from './silences.ts';

/** Differences of two have squares, and sums of these are numbers. */
const LEARNT_MAX = 1e150;

/** `lastTs`, `lastValue`: of the value with the highest time; of `missing`, see `silences.ts`. */
export interface DetectorState extends Seen {
  /** Values seen; per bucket for `seasonal`. */
  count: number[];
  mean: number[];
  /** Sum of squared deviations (zscore, seasonal) or the weighted variance (ewma). */
  spread: number[];
}

export interface Verdict {
  readonly anomalous: boolean;
  readonly expected: number;
  /** In standard deviations; for `rate`, change per second over the allowed one. */
  readonly score: number;
}

export function createDetector(plan: AnomalyPlan): DetectorState {
  const buckets = plan.type === 'seasonal' ? plan.buckets : 1;
  const zeros = (): number[] => new Array<number>(buckets).fill(0);
  const never = { sinceTs: Number.NaN, lastTs: Number.NaN, lastValue: Number.NaN, ahead: [] };
  return { count: zeros(), mean: zeros(), spread: zeros(), ...never };
}

/** Takes the value in; null while there is nothing to compare it with. Changes `state`. */
export function detect(plan: AnomalyPlan, state: DetectorState, value: number, ts: number): Verdict | null {
  const verdict = plan.type === 'rate' ? rate(plan, state, value, ts) : banded(plan, state, value, ts);
  if (!(ts < state.lastTs)) {
    state.lastTs = ts;
    state.lastValue = value;
  }
  return verdict;
}

function rate(plan: AnomalyPlan, { lastTs, lastValue }: DetectorState, value: number, ts: number): Verdict | null {
  const seconds = (ts - lastTs) / 1000;
  if (!(seconds > 0)) return null;
  const change = Math.abs(value - lastValue) / seconds;
  return { anomalous: change > plan.maxPerSecond, expected: lastValue, score: finite(change / plan.maxPerSecond) };
}

function banded(plan: AnomalyPlan, state: DetectorState, value: number, ts: number): Verdict | null {
  const bucket = plan.type === 'seasonal' ? bucketOf(plan, ts) : 0;
  const count = state.count[bucket] as number;
  const mean = state.mean[bucket] as number;
  const spread = state.spread[bucket] as number;
  const warm = count >= Math.max(2, plan.warmup);
  const variance = plan.type === 'ewma' ? spread : spread / Math.max(1, count - 1);
  const score = scoreOf(value - mean, Math.sqrt(variance));
  const anomalous = warm && score > plan.threshold;
  if (!(anomalous && plan.type === 'zscore')) learn(plan, state, bucket, value);
  return warm ? { anomalous, expected: mean, score } : null;
}

/** Where nothing ever varied, any difference is infinitely far. */
function scoreOf(difference: number, deviation: number): number {
  if (deviation > 0) return finite(Math.abs(difference) / deviation);
  return difference === 0 ? 0 : Number.MAX_VALUE;
}

/** Results are JSON, which has no infinity. */
const finite = (score: number): number => Math.min(Number.MAX_VALUE, score);

function learn(plan: AnomalyPlan, state: DetectorState, bucket: number, value: number): void {
  if (Math.abs(value) > LEARNT_MAX) return;
  const count = (state.count[bucket] as number) + 1;
  const mean = state.mean[bucket] as number;
  const spread = state.spread[bucket] as number;
  const difference = value - mean;
  state.count[bucket] = count;
  if (plan.type === 'ewma') {
    const weight = count === 1 ? 1 : plan.alpha;
    state.mean[bucket] = mean + weight * difference;
    state.spread[bucket] = count === 1 ? 0 : (1 - weight) * (spread + weight * difference * difference);
    return;
  }
  const after = mean + difference / count;
  state.mean[bucket] = after;
  state.spread[bucket] = spread + difference * (value - after);
}

function bucketOf({ buckets, seasonMs }: AnomalyPlan, ts: number): number {
  const inSeason = ((ts % seasonMs) + seasonMs) % seasonMs;
  return Math.min(buckets - 1, Math.floor((inSeason / seasonMs) * buckets));
}

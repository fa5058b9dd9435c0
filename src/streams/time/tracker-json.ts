/**
 * A watermark tracker as JSON, for checkpoints. −Infinity, which JSON has no form for, is null.
 */
import type { WatermarkTracker } from './watermark.ts';

export interface TrackerJson {
  readonly watermark: number | null;
  readonly maxTs: number | null;
  readonly pausedSinceMs: number | null;
  readonly pausedMs: number;
  /** In order; which of them makes room for a new one depends on it. */
  readonly partitions: readonly (readonly [
    name: string,
    maxTs: number | null,
    idle: boolean,
    activeAtMs: number,
    pausedAtMs: number | null,
  ])[];
}

const finiteOrNull = (value: number): number | null => (Number.isFinite(value) ? value : null);

export function trackerToJson(tracker: WatermarkTracker): TrackerJson {
  return {
    watermark: finiteOrNull(tracker.watermark),
    maxTs: finiteOrNull(tracker.maxTs),
    pausedSinceMs: tracker.pausedSinceMs,
    pausedMs: tracker.pausedMs,
    partitions: [...tracker.partitions].map(([name, { maxTs, idle, activeAtMs, pausedAtMs }]) => {
      return [name, finiteOrNull(maxTs), idle, activeAtMs, pausedAtMs];
    }),
  };
}

export function trackerFromJson(json: TrackerJson): WatermarkTracker {
  return {
    watermark: json.watermark ?? -Infinity,
    maxTs: json.maxTs ?? -Infinity,
    pausedSinceMs: json.pausedSinceMs,
    pausedMs: json.pausedMs,
    partitions: new Map(
      json.partitions.map(([name, maxTs, idle, activeAtMs, pausedAtMs]) => {
        return [name, { maxTs: maxTs ?? -Infinity, idle, activeAtMs, pausedAtMs }];
      }),
    ),
  };
}

/**
 * Event time of one stream: how far it has come, given what its source partitions have shown.
 *
 * The watermark w says that no event at or before w is expected any more. Of a partition it is its highest time − the
 * bound of disorder − 1 (Flink's bounded out-of-orderness); of the stream the lowest of its partitions that are not
 * idle. When all are idle it goes on to the highest time any of them has shown, − the bound − 1: Flink lets it stay
 * there, and windows of partitions that fell silent first then never close. It never falls: a partition that comes back
 * counts again, and what it brings from before the watermark is late.
 *
 * A partition is idle from when the log says so (a tick that names it), so a replay decides alike. Which ones to name is
 * `silentPartitions`: those silent for `idleAfterMs` of a monotonic clock that stands still while the source, or that
 * partition, is paused by backpressure, and that begins anew at a restart. A paused source is not silent, it is not being asked
 * (FLINK-36751): leaving it out would make what it still holds late. One that was refused counts as paused for
 * `REFUSED_PAUSE_MS` from its latest refusal, however short the idle limit: it is taken again, or asks again, or it gave up
 * and holds the watermark no longer than that.
 *
 * Role: pure functions over plain data; the engine keeps the data, and puts it into checkpoints as JSON.
 */

export const PARTITIONS_MAX = 4096;
/** So long a refused partition counts as paused: several times what senders are told to wait. */
export const REFUSED_PAUSE_MS = 10_000;
/** What partitions past the limit share. Within it the highest time counts, as if they were one partition. */
export const SHARED_PARTITION = '\u0000shared';

export interface WatermarkOptions {
  readonly outOfOrderMs: number;
  /** 0: never. */
  readonly idleAfterMs: number;
}

export interface PartitionTime {
  maxTs: number;
  idle: boolean;
  /**
   * On the tracker's clock: since when it is silent (the end of the pause, of one that was refused), and since when it is
   * paused by itself.
   */
  activeAtMs: number;
  pausedAtMs: number | null;
}

export interface WatermarkTracker {
  /** −Infinity before the first event. */
  watermark: number;
  /** Highest time of all partitions, those forgotten included. */
  maxTs: number;
  /** In the order they appeared. */
  readonly partitions: Map<string, PartitionTime>;
  /** Since when the whole source is paused, and how long it was before. */
  pausedSinceMs: number | null;
  pausedMs: number;
}

export type TimeEvent =
  /** A batch of a partition; `tsMax` −Infinity when none of its events was accepted. */
  | { readonly kind: 'events'; readonly partition: string; readonly tsMax: number }
  /** A tick of the log named them. */
  | { readonly kind: 'idle'; readonly partitions: readonly string[] }
  /** Backpressure, of one partition or (null) of the whole source. */
  | { readonly kind: 'paused' | 'resumed'; readonly partition: string | null }
  /** A batch of the partition was offered and not taken: it will come again. */
  | { readonly kind: 'refused'; readonly partition: string }
  /** The process is new: nothing was asked for while there was none, and nothing is paused. */
  | { readonly kind: 'restarted' };

export function createTracker(): WatermarkTracker {
  return { watermark: -Infinity, maxTs: -Infinity, partitions: new Map(), pausedSinceMs: null, pausedMs: 0 };
}

/** Takes the event in; returns the watermark after it. `nowMs`: of a clock that nobody sets, of this process. */
export function track(tracker: WatermarkTracker, options: WatermarkOptions, event: TimeEvent, nowMs: number): number {
  switch (event.kind) {
    case 'events':
      if (takeEvents(tracker, event.partition, event.tsMax, nowMs)) advance(tracker, options);
      break;
    case 'idle':
      if (leaveOut(tracker, event.partitions)) advance(tracker, options);
      break;
    case 'paused':
      pause(tracker, event.partition, nowMs);
      break;
    case 'resumed':
      resume(tracker, event.partition, nowMs);
      break;
    case 'refused':
      refuse(tracker, event.partition, nowMs);
      break;
    case 'restarted':
      restart(tracker, nowMs);
      break;
  }
  return tracker.watermark;
}

/** Partitions a tick should name as idle. None while the source is paused. */
export function silentPartitions(tracker: WatermarkTracker, options: WatermarkOptions, nowMs: number): string[] {
  const silent: string[] = [];
  if (options.idleAfterMs === 0 || tracker.pausedSinceMs !== null) return silent;
  const clock = clockOf(tracker, nowMs);
  for (const [name, partition] of tracker.partitions) {
    if (partition.idle || partition.pausedAtMs !== null) continue;
    if (clock - partition.activeAtMs >= options.idleAfterMs) silent.push(name);
  }
  return silent;
}

/** Whether events of this time would say anything new of the partition. */
export function isNews(tracker: WatermarkTracker, name: string, tsMs: number): boolean {
  const known = tracker.partitions.get(name);
  return known === undefined || known.idle || tsMs > known.maxTs;
}

/** Every partition is idle. */
export function isSilent({ partitions }: WatermarkTracker): boolean {
  for (const { idle } of partitions.values()) if (!idle) return false;
  return partitions.size > 0;
}

/** Time without the time for which the whole source was paused. */
const clockOf = (tracker: WatermarkTracker, nowMs: number): number =>
  (tracker.pausedSinceMs ?? nowMs) - tracker.pausedMs;

function takeEvents(tracker: WatermarkTracker, name: string, tsMax: number, nowMs: number): boolean {
  const known = tracker.partitions.get(name);
  const clock = clockOf(tracker, nowMs);
  if (known !== undefined) touch(known, clock);
  if (!Number.isFinite(tsMax)) return false;
  tracker.maxTs = Math.max(tracker.maxTs, tsMax);
  const partition = known ?? admit(tracker, name, clock);
  const changed = partition.idle || tsMax > partition.maxTs;
  partition.idle = false;
  partition.maxTs = Math.max(partition.maxTs, tsMax);
  return changed;
}

/** What was on its way when a partition was paused still counts as a sign of life. */
function touch(partition: PartitionTime, clock: number): void {
  partition.activeAtMs = clock;
  if (partition.pausedAtMs !== null) partition.pausedAtMs = clock;
}

/** Past the limit an idle partition makes room: all it could still do is hold the watermark back on its return. */
function admit(tracker: WatermarkTracker, name: string, clock: number): PartitionTime {
  let admitted = name;
  if (tracker.partitions.size >= PARTITIONS_MAX) {
    const idle = firstIdle(tracker);
    if (idle === null) admitted = SHARED_PARTITION;
    else tracker.partitions.delete(idle);
  }
  let partition = tracker.partitions.get(admitted);
  if (partition === undefined) {
    partition = { maxTs: -Infinity, idle: false, activeAtMs: clock, pausedAtMs: null };
    tracker.partitions.set(admitted, partition);
  }
  touch(partition, clock);
  return partition;
}

function firstIdle(tracker: WatermarkTracker): string | null {
  for (const [name, { idle }] of tracker.partitions) if (idle) return name;
  return null;
}

function leaveOut(tracker: WatermarkTracker, names: readonly string[]): boolean {
  let changed = false;
  for (const name of names) {
    const partition = tracker.partitions.get(name);
    if (partition === undefined || partition.idle) continue;
    partition.idle = true;
    changed = true;
  }
  return changed;
}

function advance(tracker: WatermarkTracker, options: WatermarkOptions): void {
  let lowest = Infinity;
  for (const { idle, maxTs } of tracker.partitions.values()) if (!idle && maxTs < lowest) lowest = maxTs;
  const reached = lowest === Infinity ? tracker.maxTs : lowest;
  tracker.watermark = Math.max(tracker.watermark, reached - options.outOfOrderMs - 1);
}

function pause(tracker: WatermarkTracker, name: string | null, nowMs: number): void {
  if (name === null) {
    tracker.pausedSinceMs ??= nowMs;
    return;
  }
  const partition = tracker.partitions.get(name);
  if (partition !== undefined) partition.pausedAtMs ??= clockOf(tracker, nowMs);
}

function resume(tracker: WatermarkTracker, name: string | null, nowMs: number): void {
  if (name === null) {
    if (tracker.pausedSinceMs !== null) tracker.pausedMs += nowMs - tracker.pausedSinceMs;
    tracker.pausedSinceMs = null;
    return;
  }
  const partition = tracker.partitions.get(name);
  if (partition === undefined || partition.pausedAtMs === null) return;
  const clock = clockOf(tracker, nowMs);
  const { activeAtMs, pausedAtMs } = partition;
  // One that was refused is ahead of the clock already.
  if (activeAtMs < clock) partition.activeAtMs = Math.min(clock, activeAtMs + clock - pausedAtMs);
  partition.pausedAtMs = null;
}

function refuse(tracker: WatermarkTracker, name: string, nowMs: number): void {
  const partition = tracker.partitions.get(name);
  if (partition === undefined) return;
  partition.activeAtMs = Math.max(partition.activeAtMs, clockOf(tracker, nowMs) + REFUSED_PAUSE_MS);
}

function restart(tracker: WatermarkTracker, nowMs: number): void {
  tracker.pausedSinceMs = null;
  const clock = clockOf(tracker, nowMs);
  for (const partition of tracker.partitions.values()) {
    partition.activeAtMs = clock;
    partition.pausedAtMs = null;
  }
}

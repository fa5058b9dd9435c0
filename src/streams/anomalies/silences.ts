/**
 * When a key was seen, as far as its silences are not told yet: what `missing` decides by, whatever came with what.
 *
 * Role: pure, for `anomaly.ts`, which tells a silence when the watermark says that nothing can come to fill it.
 * Times are kept as runs: those that follow one another within the limit. The first run is what the key was seen in last,
 * as of the watermark; those behind it are `ahead`, each after a silence that is told when time has come so far.
 *
 *   watermark ──────────►                 sinceTs … lastTs │ silence │ ahead[0] … ahead[1] │ silence │ ahead[3] …
 *
 * Bound: runs of a key are at most the time between the watermark and its newest event, over the limit.
 */

/** Numbers of a run in `ahead`: its first and last time, and the value of the last. */
const RUN = 3;

export interface Seen {
  /** First and last time of the first run, and the last value; NaN: it was never seen. */
  sinceTs: number;
  lastTs: number;
  lastValue: number;
  readonly ahead: number[];
}

/**
 * The key is seen at that time. `isTold`: the silence after the only run was told. What is late, and before all that is
 * known, has been overtaken.
 */
export function see(seen: Seen, afterMs: number, ts: number, value: number, watermark: number, isTold: boolean): void {
  if (Number.isNaN(seen.lastTs) || (isTold && ts > seen.lastTs)) {
    seen.sinceTs = ts;
    seen.lastTs = ts;
    seen.lastValue = value;
    return;
  }
  if (isTold || (ts <= watermark && ts < seen.sinceTs)) return;
  if (seen.ahead.length === 0 && ts >= seen.lastTs && ts - seen.lastTs <= afterMs) {
    seen.lastTs = ts;
    seen.lastValue = value;
    return;
  }
  insert(seen, afterMs, ts, value);
}

/** The silence after the first run was told. False when no run is behind it. */
export function goOn(seen: Seen): boolean {
  if (seen.ahead.length === 0) return false;
  const [sinceTs, lastTs, lastValue] = seen.ahead.splice(0, RUN) as [number, number, number];
  Object.assign(seen, { sinceTs, lastTs, lastValue });
  return true;
}

/** Among the runs, which it may join. */
function insert(seen: Seen, afterMs: number, ts: number, value: number): void {
  const runs = [seen.sinceTs, seen.lastTs, seen.lastValue, ...seen.ahead];
  let at = 0;
  while (at < runs.length && (runs[at] as number) <= ts) at += RUN;
  runs.splice(at, 0, ts, ts, value);
  // With the run before it, then with the one behind what came of that.
  const joined = at > 0 && join(runs, at - RUN, afterMs) ? at - RUN : at;
  join(runs, joined, afterMs);
  const [sinceTs, lastTs, lastValue] = runs.splice(0, RUN) as [number, number, number];
  Object.assign(seen, { sinceTs, lastTs, lastValue });
  seen.ahead.splice(0, seen.ahead.length, ...runs);
}

/** The run at this place and the one behind it become one, where no silence is between them. */
function join(runs: number[], at: number, afterMs: number): boolean {
  const next = at + RUN;
  if (next >= runs.length || (runs[next] as number) - (runs[at + 1] as number) > afterMs) return false;
  if ((runs[next + 1] as number) >= (runs[at + 1] as number)) {
    runs[at + 1] = runs[next + 1] as number;
    runs[at + 2] = runs[next + 2] as number;
  }
  runs.splice(next, RUN);
  return true;
}

/**
 * Latencies with microsecond resolution: the only place that knows hdr-histogram-js.
 *
 * Role: every client records here; figures, curves and what crosses a process boundary are read from here. Three
 * significant digits from 1 µs to 10 minutes; longer values count as 10 minutes.
 * Coordinated omission: a client that knows when a request should have left records the time from then, which needs no
 * correction. One that only knows when it did leave, but was meant to send at a steady pace, records with the expected
 * interval, and the values it failed to sample are filled in. In a closed loop the pace is known in the end: `corrected`.
 */
import { build, decodeFromCompressedBase64, encodeIntoCompressedBase64, type Histogram } from 'hdr-histogram-js';
import { CURVE_PERCENTILES, type CurveUs } from './percentiles.ts';

const LONGEST_US = 600_000_000;
const DIGITS = 3;

export class LatencyHistogram {
  #histogram: Histogram;

  constructor() {
    this.#histogram = build({
      bitBucketSize: 32,
      autoResize: false,
      lowestDiscernibleValue: 1,
      highestTrackableValue: LONGEST_US,
      numberOfSignificantValueDigits: DIGITS,
      useWebAssembly: false,
    });
  }

  static decode(encoded: string): LatencyHistogram {
    const histogram = new LatencyHistogram();
    histogram.#histogram = decodeFromCompressedBase64(encoded, 32, false);
    return histogram;
  }

  encode(): string {
    return encodeIntoCompressedBase64(this.#histogram);
  }

  record(us: number): void {
    this.#histogram.recordValue(clamp(us));
  }

  /** As `record`, and what a steady sender would have seen during the wait. */
  recordWithExpectedInterval(us: number, intervalUs: number): void {
    this.#histogram.recordValueWithExpectedInterval(clamp(us), Math.max(1, Math.round(intervalUs)));
  }

  /** A copy with what connections would have seen that send once in `intervalUs`. */
  corrected(intervalUs: number): LatencyHistogram {
    const copy = new LatencyHistogram();
    copy.#histogram = this.#histogram.copyCorrectedForCoordinatedOmission(Math.max(1, Math.round(intervalUs)));
    return copy;
  }

  add(other: LatencyHistogram): void {
    this.#histogram.add(other.#histogram);
  }

  reset(): void {
    this.#histogram.reset();
  }

  get count(): number {
    return this.#histogram.totalCount;
  }

  get maxUs(): number {
    return this.count === 0 ? Number.NaN : this.#histogram.maxValue;
  }

  /** NaN when nothing was recorded. */
  percentileUs(percentile: number): number {
    return this.count === 0 ? Number.NaN : this.#histogram.getValueAtPercentile(percentile);
  }

  curve(): CurveUs {
    return CURVE_PERCENTILES.map((percentile) => this.percentileUs(percentile));
  }
}

function clamp(us: number): number {
  if (!(us > 0)) return 0;
  return us >= LONGEST_US ? LONGEST_US : Math.round(us);
}

/**
 * What one group of a load counted: answers by kind, latencies, and how both went over time.
 *
 * Role: shared by the own client and autocannon; the end of it is a `GroupReport`. Nothing counts before `begin`.
 */
import { LatencyHistogram } from '../measure/histogram.ts';
import type { GroupReport, Interval } from './job.ts';

const INTERVALS = 40;
const INTERVAL_MS_MIN = 100;
const PROBLEM_CHARS_MAX = 200;

export class Tally {
  readonly #contains: Buffer;
  readonly #latencies = new LatencyHistogram();
  readonly #refusals = new LatencyHistogram();
  readonly #late = new LatencyHistogram();
  readonly #interval = new LatencyHistogram();
  readonly #intervals: Interval[] = [];
  readonly #intervalMs: number;
  #good = 0;
  #refused = 0;
  #wrong = 0;
  #broken = 0;
  #unsent = 0;
  #firstProblem = '';
  #beganMs = Number.POSITIVE_INFINITY;
  #intervalEndsMs = Number.POSITIVE_INFINITY;

  constructor(contains: string, durationMs: number) {
    this.#contains = Buffer.from(contains);
    this.#intervalMs = Math.max(INTERVAL_MS_MIN, durationMs / INTERVALS);
  }

  begin(nowMs: number): void {
    this.#beganMs = nowMs;
    this.#intervalEndsMs = nowMs + this.#intervalMs;
  }

  /** `counts`: false for an answer that came after the measured time, whose latency is all that matters. */
  answered(startedMs: number, nowMs: number, status: number, body: Buffer, counts: boolean): void {
    if (startedMs < this.#beganMs && nowMs < this.#beganMs) return;
    const us = (nowMs - startedMs) * 1000;
    if (status >= 200 && status < 300 && (this.#contains.length === 0 || body.includes(this.#contains))) {
      if (counts) this.#good++;
      this.#latencies.record(us);
      this.#rollTo(nowMs);
      this.#interval.record(us);
    } else if (status === 503 || status === 429) {
      if (counts) this.#refused++;
      this.#refusals.record(us);
    } else {
      this.#wrong++;
      this.#note(`${status} ${body.toString('utf8', 0, PROBLEM_CHARS_MAX)}`);
    }
  }

  /** For a client that tells how long a request took; sent at a steady pace, or not (0). */
  took(us: number, nowMs: number, status: number, expectedIntervalUs: number): void {
    if (nowMs < this.#beganMs) return;
    if (status === 503 || status === 429) {
      this.#refused++;
      this.#refusals.record(us);
    } else if (status < 200 || status > 299) {
      this.#wrong++;
      this.#note(`status ${status}`);
    } else {
      this.#good++;
      if (expectedIntervalUs > 0) this.#latencies.recordWithExpectedInterval(us, expectedIntervalUs);
      else this.#latencies.record(us);
      this.#rollTo(nowMs);
      this.#interval.record(us);
    }
  }

  /** What `took` counted last turned out to have a body that is not the expected one. */
  mismatched(nowMs: number, body: string): void {
    if (nowMs < this.#beganMs) return;
    this.#good--;
    this.#wrong++;
    this.#note(body.slice(0, PROBLEM_CHARS_MAX));
  }

  lost(nowMs: number, reason: string, count = 1): void {
    if (nowMs < this.#beganMs) return;
    this.#broken += count;
    this.#note(reason);
  }

  neverSent(count: number): void {
    this.#unsent += count;
    this.#note(`${count} requests were due while every connection was busy`);
  }

  sentLate(us: number, nowMs: number): void {
    if (nowMs >= this.#beganMs) this.#late.record(us);
  }

  report(name: string): GroupReport {
    return {
      name,
      good: this.#good,
      refused: this.#refused,
      wrong: this.#wrong,
      broken: this.#broken,
      unsent: this.#unsent,
      firstProblem: this.#firstProblem,
      histogram: this.#latencies.encode(),
      refusals: this.#refusals.encode(),
      curveUs: this.#latencies.count === 0 ? [] : this.#latencies.curve(),
      lateP99Us: this.#late.percentileUs(99),
      intervals: this.#intervals,
    };
  }

  #note(problem: string): void {
    if (this.#firstProblem === '') this.#firstProblem = problem;
  }

  /** Closes the intervals that have passed; quiet ones have a count of 0. */
  #rollTo(nowMs: number): void {
    while (nowMs >= this.#intervalEndsMs && this.#intervals.length < INTERVALS * 2) {
      this.#intervals.push({
        atMs: this.#intervalEndsMs - this.#beganMs,
        count: this.#interval.count,
        p50Us: this.#interval.percentileUs(50),
        p99Us: this.#interval.percentileUs(99),
      });
      this.#interval.reset();
      this.#intervalEndsMs += this.#intervalMs;
    }
  }
}

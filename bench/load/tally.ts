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
/** After the end, for requests that are on their way; longer where answers took longer. */
const DRAIN_MS_MIN = 3000;

export class Tally {
  readonly #isGood: (body: Buffer) => boolean;
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

  constructor(isGood: (body: Buffer) => boolean, durationMs: number) {
    this.#isGood = isGood;
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
    if (status >= 200 && status < 300 && this.#isGood(body)) {
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

  /**
   * For a client that tells how long a request took; sent at a steady pace, or not (0). `wrongBody`: null when the body
   * is as it should be. `counts`: as of `answered`.
   */
  took(
    us: number,
    nowMs: number,
    status: number,
    wrongBody: string | null,
    expectedIntervalUs: number,
    counts: boolean,
  ): void {
    if (nowMs < this.#beganMs) return;
    if (status === 503 || status === 429) {
      if (counts) this.#refused++;
      this.#refusals.record(us);
    } else if (status < 200 || status > 299 || wrongBody !== null) {
      this.#wrong++;
      this.#note(wrongBody === null ? `status ${status}` : wrongBody.slice(0, PROBLEM_CHARS_MAX));
    } else {
      if (counts) this.#good++;
      if (expectedIntervalUs > 0) this.#latencies.recordWithExpectedInterval(us, expectedIntervalUs);
      else this.#latencies.record(us);
      this.#rollTo(nowMs);
      this.#interval.record(us);
    }
  }

  lost(nowMs: number, reason: string): void {
    if (nowMs < this.#beganMs) return;
    this.#broken++;
    this.#note(reason);
  }

  /** At the end: no answer came in less than it has been waited for. */
  neverAnswered(startedMs: number, nowMs: number): void {
    if (nowMs < this.#beganMs) return;
    this.lost(nowMs, 'no answer until the end');
    this.#latencies.record((nowMs - startedMs) * 1000);
  }

  /** The first of them has been due for `oldestUs`, and the others one by one since: no answer came in less. */
  neverSent(count: number, oldestUs: number, periodUs: number): void {
    this.#unsent += count;
    this.#latencies.recordWithExpectedInterval(oldestUs, periodUs);
    this.#note(`${count} requests were due while every connection was busy`);
  }

  sentLate(us: number, nowMs: number): void {
    if (nowMs >= this.#beganMs) this.#late.record(us);
  }

  /** How long to wait for what is on its way at the end: it may take as long as the answers so far. */
  get drainMs(): number {
    return Math.max(DRAIN_MS_MIN, this.#latencies.count === 0 ? 0 : this.#latencies.maxUs / 1000);
  }

  /**
   * `closedLoop`: its connections, which do not send while they wait what they would have sent. 0: latencies count from
   * when each request was due, or were corrected one by one.
   */
  report(name: string, elapsedMs: number, closedLoop: number): GroupReport {
    // Where answers stopped to come, nothing was there until the end.
    this.#rollTo(this.#beganMs + elapsedMs);
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
      curveUs: this.#curve(elapsedMs, closedLoop),
      lateP99Us: this.#late.percentileUs(99),
      intervals: this.#intervals,
    };
  }

  /** In the closed loop with the average interval between the requests of a connection, as wrk does it. */
  #curve(elapsedMs: number, closedLoop: number): readonly number[] {
    if (this.#latencies.count === 0) return [];
    if (closedLoop === 0) return this.#latencies.curve();
    const answers = this.#good + this.#refused + this.#wrong;
    const intervalUs = (elapsedMs * 1000 * closedLoop) / Math.max(1, answers);
    return this.#latencies.corrected(intervalUs).curve();
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

// HOT PATH
/**
 * The meters: the request path adds to plain numbers here and does nothing else. Prometheus reads them at scrape time
 * through `scrape.ts`.
 *
 * Negative or broken durations (a clock that was set back) count as zero, so sums never fall.
 */
import type { FixedHistogram } from './histogram.ts';
import { MeterBook } from './meter-book.ts';
import type { Meters, Outcome } from './port.ts';
import { Scrape } from './scrape.ts';
import { ENTRIES_MAX, OUTCOMES, SHED_REASONS, STATUS_FIRST, STATUSES, Tallies } from './tallies.ts';

const outcomeNumbers = new Map<string, number>(OUTCOMES.map((name, number) => [name, number]));
const shedNumbers = new Map<string, number>(SHED_REASONS.map((name, number) => [name, number]));

/** First of `OUTCOMES`. */
const OK: Outcome = 'ok';

function bump(counts: Float64Array, place: number): void {
  counts[place] = (counts[place] as number) + 1;
}

const secondsOf = (ms: number): number => (ms > 0 && ms < Number.POSITIVE_INFINITY ? ms / 1000 : 0);

export class RuntimeMeters implements Meters {
  readonly #tallies = new Tallies();
  readonly #book = new MeterBook();
  readonly #scrape = new Scrape(this.#tallies, this.#book);
  /** Counted last: most requests name the method of the one before. */
  #lastMethod = '';
  #lastRow = 0;

  requestFinished(method: string, outcome: Outcome, ms: number): void {
    const tallies = this.#tallies;
    if (method !== this.#lastMethod) {
      this.#lastMethod = method;
      this.#lastRow = tallies.methods.numberOf(method);
    }
    const row = this.#lastRow;
    const number = outcome === OK ? 0 : (outcomeNumbers.get(outcome) as number);
    bump(tallies.requests, row * OUTCOMES.length + number);
    (tallies.durations[row] as FixedHistogram).record(secondsOf(ms));
  }

  queueWaited(ms: number): void {
    this.#tallies.queueWaits.record(secondsOf(ms));
  }

  batchSent(jobs: number): void {
    this.#tallies.batches.record(jobs);
  }

  callerRan(ms: number): void {
    this.#tallies.callerRuns++;
    this.#tallies.callerRunSeconds += secondsOf(ms);
  }

  shed(reason: (typeof SHED_REASONS)[number]): void {
    bump(this.#tallies.sheds, shedNumbers.get(reason) as number);
  }

  workerLost(reason: string, entry: string): void {
    const tallies = this.#tallies;
    bump(tallies.losses, tallies.reasons.numberOf(reason) * ENTRIES_MAX + tallies.entries.numberOf(entry));
  }

  workerStarted(): void {
    this.#tallies.workerStarts++;
  }

  strayError(entry: string): void {
    bump(this.#tallies.strays, this.#tallies.entries.numberOf(entry));
  }

  quarantined(entry: string): void {
    bump(this.#tallies.quarantines, this.#tallies.entries.numberOf(entry));
  }

  httpRefused(status: number): void {
    const place = status - STATUS_FIRST;
    bump(this.#tallies.refusals, place >= 0 && place < STATUSES && Number.isInteger(place) ? place : STATUSES);
  }

  gauge(name: string, help: string, read: () => number, labels?: Record<string, string>): void {
    this.#book.addGauge(name, help, read, labels ?? {});
  }

  counter(counter: Parameters<Meters['counter']>[0]): void {
    this.#book.addCounter(counter);
  }

  render(): Promise<string> {
    return this.#scrape.render();
  }

  /** Stops watching the event loop. */
  close(): void {
    this.#scrape.close();
  }
}

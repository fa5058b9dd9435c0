/**
 * The meters as Prometheus text. prom-client is imported only here: it names, labels and escapes; the numbers stay
 * where the request path counts them and are copied in when somebody asks. Loaded when somebody asks first.
 *
 * Series that never counted are left out where a label makes many of them; everything else starts at zero.
 */
import { Counter, Gauge, type Metric, Registry } from 'prom-client';
import type { FixedHistogram } from './histogram.ts';
import { type Labels, type MeterBook, PREFIX, type Series, type Visit } from './meter-book.ts';
import type { ProcessFacts } from './process-facts.ts';
import { ENTRIES_MAX, OUTCOMES, SHED_REASONS, statusLabel, type Tallies } from './tallies.ts';

export class Exposition {
  readonly #registry = new Registry();
  readonly #book: MeterBook;
  readonly #process: ProcessFacts;
  /** Names of the book that are registered. */
  readonly #known = new Set<string>();

  constructor(tallies: Tallies, book: MeterBook, facts: ProcessFacts) {
    this.#book = book;
    this.#process = facts;
    this.#requests(tallies);
    this.#pool(tallies);
    for (const { kind, name, help, read } of facts.facts) {
      if (kind === 'counter') this.#counter(name, help, [], (visit) => visit({}, read()));
    }
  }

  async render(): Promise<string> {
    for (const { name, help, labelNames, series } of this.#book.gauges()) {
      if (this.#isNew(name)) this.#newGauge(name, help, labelNames, series);
    }
    for (const { name, help, labelNames, read } of this.#book.counters()) {
      if (this.#isNew(name)) this.#counter(name, help, labelNames, read);
    }
    this.#process.refresh();
    const text = await this.#registry.metrics();
    this.#process.restart();
    return text;
  }

  #isNew(name: string): boolean {
    const isNew = !this.#known.has(name);
    this.#known.add(name);
    return isNew;
  }

  #requests(tallies: Tallies): void {
    const help = 'Requests by method and outcome.';
    this.#counter(`${PREFIX}requests_total`, help, ['method', 'outcome'], (visit) => {
      for (const [place, count] of tallies.requests.entries()) {
        const method = tallies.methods.nameOf(Math.floor(place / OUTCOMES.length));
        const outcome = OUTCOMES[place % OUTCOMES.length];
        if (count > 0 && outcome !== undefined) visit({ method, outcome }, count);
      }
    });
    this.#histogram(`${PREFIX}request_duration_seconds`, 'Time from acceptance to answer.', () =>
      tallies.durations
        .map((histogram, row) => ({ labels: { method: tallies.methods.nameOf(row) }, histogram }))
        .filter((entry) => entry.histogram.total > 0),
    );
    this.#counter(`${PREFIX}http_refused_total`, 'HTTP requests refused before the protocol.', ['status'], (visit) => {
      for (const [place, count] of tallies.refusals.entries()) {
        if (count > 0) visit({ status: statusLabel(place) }, count);
      }
    });
  }

  #pool(tallies: Tallies): void {
    const one = (name: string, help: string, read: () => number) =>
      this.#counter(PREFIX + name, help, [], (visit) => visit({}, read()));
    const histogram = (name: string, help: string, only: FixedHistogram) =>
      this.#histogram(PREFIX + name, help, () => [{ labels: {}, histogram: only }]);
    histogram('queue_wait_seconds', 'Time calls waited for a worker.', tallies.queueWaits);
    histogram('batch_size', 'Calls in one message to a worker.', tallies.batches);
    one('caller_runs_total', 'Calls run by the front-end thread.', () => tallies.callerRuns);
    one('caller_runs_seconds_total', 'Time of calls run by the front-end thread.', () => tallies.callerRunSeconds);
    this.#counter(`${PREFIX}sheds_total`, 'Requests shed, by reason.', ['reason'], (visit) => {
      for (const [place, reason] of SHED_REASONS.entries()) visit({ reason }, tallies.sheds[place] ?? 0);
    });
    one('worker_starts_total', 'Workers started.', () => tallies.workerStarts);
    this.#counter(`${PREFIX}worker_losses_total`, 'Workers terminated, by reason.', ['reason', 'entry'], (visit) => {
      for (const [place, count] of tallies.losses.entries()) {
        const reason = tallies.reasons.nameOf(Math.floor(place / ENTRIES_MAX));
        if (count > 0) visit({ reason, entry: tallies.entries.nameOf(place % ENTRIES_MAX) }, count);
      }
    });
    this.#byEntry(tallies, 'stray_errors_total', 'Errors a tool left behind outside its call.', tallies.strays);
    this.#byEntry(tallies, 'quarantines_total', 'Times a tool was quarantined.', tallies.quarantines);
  }

  #byEntry(tallies: Tallies, name: string, help: string, counts: Float64Array): void {
    this.#counter(PREFIX + name, help, ['entry'], (visit) => {
      for (const [place, count] of counts.entries())
        if (count > 0) visit({ entry: tallies.entries.nameOf(place) }, count);
    });
  }

  #counter(name: string, help: string, labelNames: readonly string[], each: (visit: Visit) => void): void {
    new Counter({
      name,
      help,
      labelNames: [...labelNames],
      registers: [this.#registry],
      collect() {
        this.reset();
        each((labels, value) => this.inc(labels, value));
      },
    });
  }

  #newGauge(name: string, help: string, labelNames: readonly string[], series: ReadonlyMap<string, Series>): void {
    new Gauge({
      name,
      help,
      labelNames: [...labelNames],
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const { labels, read } of series.values()) this.set(labels, read());
      },
    });
  }

  /** prom-client's own histogram can only observe; the registry asks any object with `name` and `get`. */
  #histogram(name: string, help: string, read: () => { labels: Labels; histogram: FixedHistogram }[]): void {
    const metric = {
      name,
      get: () =>
        Promise.resolve({ name, help, type: 'histogram', aggregator: 'sum', values: histogramValues(name, read()) }),
      reset: () => undefined,
    };
    this.#registry.registerMetric(metric as unknown as Metric);
  }
}

function histogramValues(name: string, series: { labels: Labels; histogram: FixedHistogram }[]) {
  const values: { labels: Labels; value: number; metricName: string }[] = [];
  for (const { labels, histogram } of series) {
    let below = 0;
    for (const [bucket, count] of histogram.counts.entries()) {
      below += count;
      const bound = histogram.bounds[bucket];
      const le = bound === undefined ? '+Inf' : String(bound);
      values.push({ labels: { le, ...labels }, value: below, metricName: `${name}_bucket` });
    }
    values.push({ labels, value: histogram.sum, metricName: `${name}_sum` });
    values.push({ labels, value: below, metricName: `${name}_count` });
  }
  return values;
}

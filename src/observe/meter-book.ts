/**
 * Gauges and counters as their owners declare them: a name, what it means, and who reads it, by labels.
 *
 * Role: what the exposition shows beside the tallies. Declaring costs a map entry, so a process that is never scraped pays
 * for nothing else. The series of a gauge are declared one by one, those of a counter are what its owner has when it is read.
 * Bound: `SERIES_MAX` names of each, and series under one name; more are left out.
 */
export const PREFIX = 'millrace_';
const SERIES_MAX = 1024;

export type Labels = Record<string, string>;

export interface Series {
  readonly labels: Labels;
  readonly read: () => number;
}

export interface NamedGauge {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
  readonly series: ReadonlyMap<string, Series>;
}

export type Visit = (labels: Labels, value: number) => void;

export interface NamedCounter {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
  /** Visits every series. */
  readonly read: (visit: Visit) => void;
}

/** Metric names begin with the prefix once. */
const prefixed = (name: string): string => (name.startsWith(PREFIX) ? name : PREFIX + name);

export class MeterBook {
  readonly #gauges = new Map<string, NamedGauge & { readonly series: Map<string, Series> }>();
  readonly #counters = new Map<string, NamedCounter>();

  /** Of this server: the name gets the prefix. */
  addGauge(name: string, help: string, read: () => number, labels: Labels): void {
    this.addGaugeAs(prefixed(name), help, read, labels);
  }

  /** Under a name that every program uses. The same labels again: the newer one is read. */
  addGaugeAs(name: string, help: string, read: () => number, labels: Labels): void {
    let gauge = this.#gauges.get(name);
    if (gauge === undefined) {
      if (this.#gauges.size >= SERIES_MAX) return;
      gauge = { name, help, labelNames: Object.keys(labels), series: new Map() };
      this.#gauges.set(name, gauge);
    }
    const key = JSON.stringify(labels);
    if (gauge.series.has(key) || gauge.series.size < SERIES_MAX) gauge.series.set(key, { labels, read });
  }

  /** Under the name with the prefix. The same name again changes nothing. */
  addCounter({ help, labelNames, name, read }: NamedCounter): void {
    const full = prefixed(name);
    if (this.#counters.has(full) || this.#counters.size >= SERIES_MAX) return;
    this.#counters.set(full, { name: full, help, labelNames, read: (visit) => read(atMost(SERIES_MAX, visit)) });
  }

  gauges(): Iterable<NamedGauge> {
    return this.#gauges.values();
  }

  counters(): Iterable<NamedCounter> {
    return this.#counters.values();
  }
}

function atMost(count: number, visit: Visit): Visit {
  let left = count;
  return (labels, value) => {
    if (left > 0) visit(labels, value);
    left -= 1;
  };
}

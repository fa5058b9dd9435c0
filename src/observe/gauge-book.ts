/**
 * Gauges as their owners declare them: a name, what it means, and who reads it, by labels.
 *
 * Role: what the exposition shows. Declaring costs a map entry, so a process that is never scraped pays for nothing else.
 * Bound: `GAUGE_SERIES_MAX` names, and series under one name; more are left out.
 */
export const PREFIX = 'millrace_';
/** Gauge series under one name, and names. */
export const GAUGE_SERIES_MAX = 1024;

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

/** Metric names begin with the prefix once. */
const prefixed = (name: string): string => (name.startsWith(PREFIX) ? name : PREFIX + name);

export class GaugeBook {
  readonly #gauges = new Map<string, NamedGauge & { readonly series: Map<string, Series> }>();

  /** Of this server: the name gets the prefix. */
  add(name: string, help: string, read: () => number, labels: Labels): void {
    this.addAs(prefixed(name), help, read, labels);
  }

  /** Under a name that every program uses. The same labels again: the newer one is read. */
  addAs(name: string, help: string, read: () => number, labels: Labels): void {
    let gauge = this.#gauges.get(name);
    if (gauge === undefined) {
      if (this.#gauges.size >= GAUGE_SERIES_MAX) return;
      gauge = { name, help, labelNames: Object.keys(labels), series: new Map() };
      this.#gauges.set(name, gauge);
    }
    const key = JSON.stringify(labels);
    if (gauge.series.has(key) || gauge.series.size < GAUGE_SERIES_MAX) gauge.series.set(key, { labels, read });
  }

  all(): Iterable<NamedGauge> {
    return this.#gauges.values();
  }
}

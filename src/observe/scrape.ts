/**
 * What a scrape of Prometheus reads. The event loop is watched from the start; the exposition, and with it prom-client, is
 * loaded when somebody asks first: most processes of a client that starts servers over stdio are never asked.
 */
import type { Exposition } from './exposition.ts';
import type { MeterBook } from './meter-book.ts';
import { ProcessFacts } from './process-facts.ts';
import type { Tallies } from './tallies.ts';

export class Scrape {
  readonly #tallies: Tallies;
  readonly #book: MeterBook;
  readonly #process = new ProcessFacts();
  #exposition: Promise<Exposition> | null = null;

  constructor(tallies: Tallies, book: MeterBook) {
    this.#tallies = tallies;
    this.#book = book;
    for (const { kind, name, help, read, labels } of this.#process.facts) {
      if (kind === 'gauge') book.addGaugeAs(name, help, read, labels);
    }
  }

  async render(): Promise<string> {
    this.#exposition ??= this.#open();
    return (await this.#exposition).render();
  }

  /** Stops watching the event loop. */
  close(): void {
    this.#process.close();
  }

  async #open(): Promise<Exposition> {
    const { Exposition } = await import('./exposition.ts');
    return new Exposition(this.#tallies, this.#book, this.#process);
  }
}

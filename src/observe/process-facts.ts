/**
 * What the process tells of itself: event-loop delay, memory, CPU. Names without the millrace prefix are those every
 * Prometheus client uses, so that ordinary dashboards find them.
 *
 * The event-loop delay is that of this thread since the previous scrape: `restart()` forgets what was told.
 * prom-client's own collection of such facts is not used: it watches garbage collection with an observer that cannot
 * be taken away again, and a process may hold several runtimes, one after another.
 */
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';

export interface Fact {
  readonly kind: 'gauge' | 'counter';
  readonly name: string;
  readonly help: string;
  readonly labels: Record<string, string>;
  readonly read: () => number;
}

const NS_PER_S = 1e9;
const US_PER_S = 1e6;
const RESOLUTION_MS = 10;

export class ProcessFacts {
  readonly #delay: IntervalHistogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  #memory = process.memoryUsage();
  readonly facts: readonly Fact[];

  constructor() {
    this.#delay.enable();
    const started = Date.now() / 1000 - process.uptime();
    this.facts = [
      this.#delayFact('0.5', () => this.#delay.percentile(50)),
      this.#delayFact('0.99', () => this.#delay.percentile(99)),
      this.#delayFact('1', () => this.#delay.max),
      counter('process_cpu_user_seconds_total', 'User CPU time.', () => process.cpuUsage().user / US_PER_S),
      counter('process_cpu_system_seconds_total', 'System CPU time.', () => process.cpuUsage().system / US_PER_S),
      gauge('process_start_time_seconds', 'Start of the process, in seconds since the epoch.', () => started),
      gauge('process_resident_memory_bytes', 'Resident memory, all threads.', () => this.#memory.rss),
      gauge('nodejs_heap_size_total_bytes', 'Heap of this thread.', () => this.#memory.heapTotal),
      gauge('nodejs_heap_size_used_bytes', 'Heap of this thread in use.', () => this.#memory.heapUsed),
      gauge('nodejs_external_memory_bytes', 'Memory outside the heap.', () => this.#memory.external),
      gauge('nodejs_array_buffers_bytes', 'Memory of array buffers.', () => this.#memory.arrayBuffers),
    ];
  }

  /** Before reading the facts. */
  refresh(): void {
    this.#memory = process.memoryUsage();
  }

  /** After reading them. */
  restart(): void {
    this.#delay.reset();
  }

  close(): void {
    this.#delay.disable();
  }

  #delayFact(quantile: string, readNs: () => number): Fact {
    return {
      kind: 'gauge',
      name: 'millrace_event_loop_delay_seconds',
      help: 'Delay of the front-end event loop since the previous scrape; quantile 1 is the longest.',
      labels: { quantile },
      // No sample yet: the histogram then answers with its extremes.
      read: () => (this.#delay.max > 0 && this.#delay.min <= this.#delay.max ? readNs() / NS_PER_S : 0),
    };
  }
}

const gauge = (name: string, help: string, read: () => number): Fact => ({
  kind: 'gauge',
  name,
  help,
  labels: {},
  read,
});

const counter = (name: string, help: string, read: () => number): Fact => ({
  kind: 'counter',
  name,
  help,
  labels: {},
  read,
});

/**
 * What a server used while it was being measured: CPU time between two moments, resident memory at its highest.
 *
 * Role: started by a run when the warm-up is over and stopped when the load ends; in between memory is looked at a few
 * times a second, which costs less than it could disturb.
 */
import { readTree, type TreeReading } from './process-tree.ts';

const SAMPLE_MS = 200;
const MIB = 1024 * 1024;

export interface Usage {
  /** NaN where the operating system does not tell. */
  readonly cpuUs: number;
  /** Highest seen. */
  readonly residentMiB: number;
  /** Resident memory over time, oldest first. */
  readonly readings: readonly MemoryReading[];
}

export interface MemoryReading {
  readonly atMs: number;
  readonly residentMiB: number;
}

export class UsageWatch {
  readonly #pid: number;
  readonly #start: TreeReading | null;
  readonly #timer: NodeJS.Timeout;
  readonly #startMs = performance.now();
  readonly #readings: MemoryReading[] = [];

  constructor(pid: number) {
    this.#pid = pid;
    this.#start = readTree(pid);
    this.#note(this.#start);
    this.#timer = setInterval(() => this.#note(readTree(pid)), SAMPLE_MS);
  }

  stop(): Usage {
    clearInterval(this.#timer);
    const end = readTree(this.#pid);
    this.#note(end);
    const readings = this.#readings;
    if (this.#start === null || end === null) return { cpuUs: Number.NaN, residentMiB: Number.NaN, readings };
    return {
      cpuUs: end.cpuUs - this.#start.cpuUs,
      residentMiB: Math.max(...readings.map(({ residentMiB }) => residentMiB)),
      readings,
    };
  }

  #note(reading: TreeReading | null): void {
    if (reading === null) return;
    this.#readings.push({ atMs: performance.now() - this.#startMs, residentMiB: reading.residentBytes / MIB });
  }
}

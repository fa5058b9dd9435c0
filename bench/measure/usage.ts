/**
 * What a server used while it was being measured: CPU time between two moments, resident memory at its highest.
 *
 * Role: started by a run when the warm-up is over and stopped when the load ends; in between memory is looked at a few
 * times a second, which costs less than it could disturb.
 */
import { readTree, type TreeReading } from './process-tree.ts';

const SAMPLE_MS = 250;
const MIB = 1024 * 1024;

export interface Usage {
  /** NaN where the operating system does not tell. */
  readonly cpuUs: number;
  /** Highest seen. */
  readonly residentMiB: number;
  /** At the end. */
  readonly residentEndMiB: number;
}

export class UsageWatch {
  readonly #pid: number;
  readonly #start: TreeReading | null;
  readonly #timer: NodeJS.Timeout;
  #highestBytes = 0;

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
    if (this.#start === null || end === null) {
      return { cpuUs: Number.NaN, residentMiB: Number.NaN, residentEndMiB: Number.NaN };
    }
    return {
      cpuUs: end.cpuUs - this.#start.cpuUs,
      residentMiB: this.#highestBytes / MIB,
      residentEndMiB: end.residentBytes / MIB,
    };
  }

  #note(reading: TreeReading | null): void {
    if (reading !== null) this.#highestBytes = Math.max(this.#highestBytes, reading.residentBytes);
  }
}

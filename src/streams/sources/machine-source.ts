/**
 * This machine as a stream: processor, memory, load and network counters, sampled at an interval.
 *
 * Options: `everyMs` (default 1000). One event per processor core, one per network interface, one for memory and one for
 * load: `{host, metric, part, value, at}`; processors as percent busy, interfaces as bytes per second, memory as percent
 * used, load as the mean of the last minute. Where the system has no `/proc/net/dev` there are no interface events.
 */
import { readFile } from 'node:fs/promises';
import { cpus, freemem, hostname, loadavg, totalmem } from 'node:os';
import { optionalNumber } from '../connector-options.ts';
import { type BatchMaker, monotonic, type PacedBatch, PacedSource } from './paced-source.ts';
import type { SourceHost, SourceKind } from './port.ts';

const HOUR_MS = 3_600_000;

interface Reading {
  readonly metric: 'cpu' | 'memory' | 'load' | 'received' | 'sent';
  readonly part: string;
  readonly value: number;
}

export const machineSourceKind: SourceKind = {
  type: 'machine',
  options: ['everyMs'],
  create(options, stream, host) {
    const everyMs = optionalNumber(options, `${stream}/machine`, 'everyMs', 1000, 10, HOUR_MS);
    return new PacedSource(host, hostname(), () => Promise.resolve(new Sampler(host, everyMs)));
  },
};

class Sampler implements BatchMaker {
  readonly #host: SourceHost;
  readonly #everyMs: number;
  #busy = busyTimes();
  #network: ReadonlyMap<string, readonly [received: number, sent: number]> = new Map();
  #atMs: number;

  constructor(host: SourceHost, everyMs: number) {
    this.#host = host;
    this.#everyMs = everyMs;
    this.#atMs = monotonic();
  }

  get notBeforeMs(): number {
    return this.#atMs + this.#everyMs;
  }

  async next(): Promise<PacedBatch> {
    const readings = [...this.#processors(), ...(await this.#interfaces()), ...memoryAndLoad()];
    const at = this.#host.now();
    this.#atMs = monotonic();
    const host = hostname();
    const lines = readings.map((reading) => JSON.stringify({ host, ...reading, at }));
    return { format: 'ndjson', body: Buffer.from(lines.join('\n')), position: '', dueMs: 0 };
  }

  #processors(): Reading[] {
    const before = this.#busy;
    this.#busy = busyTimes();
    return this.#busy.flatMap(({ busy, total }, core) => {
      const earlier = before[core];
      const span = earlier === undefined ? 0 : total - earlier.total;
      if (earlier === undefined || span <= 0) return [];
      return [{ metric: 'cpu', part: `core${core}`, value: rounded((100 * (busy - earlier.busy)) / span) }];
    });
  }

  async #interfaces(): Promise<Reading[]> {
    const before = this.#network;
    this.#network = await networkBytes();
    const seconds = Math.max(0.001, (monotonic() - this.#atMs) / 1000);
    return [...this.#network].flatMap(([part, [received, sent]]): Reading[] => {
      const earlier = before.get(part);
      if (earlier === undefined) return [];
      return [
        { metric: 'received', part, value: rounded((received - earlier[0]) / seconds) },
        { metric: 'sent', part, value: rounded((sent - earlier[1]) / seconds) },
      ];
    });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

function memoryAndLoad(): Reading[] {
  return [
    { metric: 'memory', part: 'all', value: rounded((100 * (totalmem() - freemem())) / totalmem()) },
    { metric: 'load', part: 'all', value: rounded(loadavg()[0] ?? 0) },
  ];
}

const rounded = (value: number): number => Math.round(value * 100) / 100;

function busyTimes(): readonly { readonly busy: number; readonly total: number }[] {
  return cpus().map(({ times }) => {
    const total = times.user + times.nice + times.sys + times.idle + times.irq;
    return { busy: total - times.idle, total };
  });
}

/** Linux only: elsewhere the file is not there. */
async function networkBytes(): Promise<ReadonlyMap<string, readonly [number, number]>> {
  let text: string;
  try {
    text = await readFile('/proc/net/dev', 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Map();
    throw error;
  }
  const rows = text.split('\n').flatMap((line) => {
    const match = /^\s*([^:]+):\s*(\d+)(?:\s+\d+){7}\s+(\d+)/.exec(line);
    return match === null ? [] : [[match[1] as string, [Number(match[2]), Number(match[3])]] as const];
  });
  return new Map(rows);
}

/**
 * The memory the limits can add up to, line by line.
 *
 * Two sums: `reserved` is taken as soon as the server runs and must fit the machine, or it does not start; `peak` is
 * what every limit at once would take: heaps grown to the end, every connection a slow reader. No server meets its
 * peak, so a peak beyond the machine is told, not refused; under memory pressure `residentMiBMax` acts first.
 */
import { GARBAGE_SHARE } from '../dispatch/heap-watch.ts';
import { boardBytes } from '../dispatch/job-board.ts';
import { DERIVED_BYTES_MAX } from '../streams/engine/results/derived-limits.ts';
import type { Settings } from './settings.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

/** Measured on Node 20, Linux: 92 MiB for the process without workers, 14 MiB for each idle worker. */
export const PROCESS_BYTES = 96 * MIB;
export const IDLE_WORKER_BYTES = 16 * MIB;
/** Socket, parser and bookkeeping of one connection without its buffers. */
export const CONNECTION_BYTES = 4 * KIB;
/** A session or task without its events. */
export const RECORD_BYTES = 2 * KIB;

/**
 * Slots of the job board, as a bound: waiting, in flight, waiting for their clients' answers, inline (twice), abandoned
 * by their clients, and some per worker. A test holds it against the engine's own sum.
 */
const SLOTS_PER_PERMIT = 4;
const SLOTS_PER_WORKER = 96;

export function jobSlots(settings: Pick<Settings, 'queueSize' | 'maxConcurrent' | 'workers'>): number {
  return settings.queueSize + SLOTS_PER_PERMIT * settings.maxConcurrent + SLOTS_PER_WORKER * settings.workers;
}

/** Engines of the streams, as a bound: one for all of this node, and one for each partition of what is replicated. */
function streamEngines({ definitions, files }: Settings['streaming']): number {
  if (definitions.length === 0 && files.length === 0) return 0;
  // What is wrong with a declaration is told when the streams are opened.
  return definitions.reduce((engines, { durability, partitions }) => {
    if (durability !== 'replicated') return engines;
    return engines + (Number.isSafeInteger(partitions) ? Math.max(1, Number(partitions)) : 1);
  }, 1);
}

export interface BudgetLine {
  readonly what: string;
  /** Options that set it, for the reader who wants less. */
  readonly setBy: string;
  readonly reservedBytes: number;
  readonly peakBytes: number;
}

export interface MemoryBudget {
  readonly lines: readonly BudgetLine[];
  readonly reservedMiB: number;
  readonly peakMiB: number;
  readonly machineMiB: number;
}

export function memoryBudget(settings: Settings, machineMiB: number): MemoryBudget {
  const { limits, workers, sessions, tasks } = settings;
  const calls = settings.queueSize + settings.maxConcurrent;
  const line = (what: string, setBy: string, reservedBytes: number, extraBytes: number): BudgetLine => ({
    what,
    setBy,
    reservedBytes,
    peakBytes: reservedBytes + extraBytes,
  });
  const lines = [
    line('process', '', PROCESS_BYTES, 0),
    line(
      'workers',
      'workers, workerHeapMib',
      workers * IDLE_WORKER_BYTES,
      workers * settings.workerHeapMiB * (1 + GARBAGE_SHARE) * MIB,
    ),
    line('job board', 'queueSize, maxConcurrent', boardBytes(workers + 1, jobSlots(settings)), 0),
    line('waiting bodies', 'queueSize, maxConcurrent, maxRequestBytes', 0, calls * settings.requestBytesMax),
    line('results', 'maxConcurrent, maxResultBytes', 0, settings.maxConcurrent * settings.resultBytesMax),
    line(
      'connections',
      'maxConnections, maxHeaderBytes, maxRequestBytes, maxStreamBufferBytes',
      0,
      limits.connectionsMax *
        (CONNECTION_BYTES +
          limits.headerBytesMax +
          Math.max(settings.requestBytesMax, limits.messageBytesMax) +
          limits.streamBufferBytesMax),
    ),
    line('sessions', 'sessions.max, sessions.maxEventBytes', 0, sessions.max * (RECORD_BYTES + sessions.eventBytesMax)),
    line('tasks', 'tasks.max', 0, tasks.max * RECORD_BYTES),
    line('derived events', 'streams', 0, streamEngines(settings.streaming) * DERIVED_BYTES_MAX),
  ];
  const sum = (read: (entry: BudgetLine) => number): number =>
    Math.ceil(lines.reduce((total, entry) => total + read(entry), 0) / MIB);
  return {
    lines,
    reservedMiB: sum((entry) => entry.reservedBytes),
    peakMiB: sum((entry) => entry.peakBytes),
    machineMiB,
  };
}

/** Why the server must not start with this budget, or null. */
export function overBudget(budget: MemoryBudget, residentMiBMax: number): string | null {
  const { reservedMiB, machineMiB } = budget;
  const least = `the limits reserve ${reservedMiB} MiB before the first request (${reservedLines(budget)})`;
  if (reservedMiB > machineMiB) return `${least}, this machine has ${machineMiB} MiB`;
  if (residentMiBMax > 0 && reservedMiB > residentMiBMax) return `${least}, maxResidentMib is ${residentMiBMax} MiB`;
  return null;
}

/** What an operator should know, or null. */
export function budgetNote(budget: MemoryBudget): string | null {
  if (budget.peakMiB <= budget.machineMiB) return null;
  const largest = budget.lines.reduce((a, b) => (b.peakBytes > a.peakBytes ? b : a));
  return (
    `all limits reached at once would take ${budget.peakMiB} MiB, this machine has ${budget.machineMiB} MiB; ` +
    `most of it is ${largest.what} (${largest.setBy})`
  );
}

function reservedLines(budget: MemoryBudget): string {
  return budget.lines
    .filter((entry) => entry.reservedBytes > 0)
    .map((entry) => `${entry.what} ${Math.ceil(entry.reservedBytes / MIB)}`)
    .join(', ');
}

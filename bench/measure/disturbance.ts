/**
 * What else the machine did while something was measured: processor time of programs that have no part in the bench, and
 * time that the hypervisor gave to other machines.
 *
 * Role: a figure that was taken beside something else is no worse than it says, but it says something else. Part of the
 * bench is this process and all its descendants: servers, load clients, the stores they need; and a server that was there
 * before, where its number is given (`--pid`).
 * Interrupts are left out: the kernel counts those of the bench's own traffic as nobody's. Linux only, as `/proc` is.
 */
import { readFileSync } from 'node:fs';
import { readTree, treeUnreadable } from './process-tree.ts';

/** Shares of all processor time there was, 0 to 1. */
export interface Disturbance {
  readonly others: number;
  readonly stolen: number;
}

/** Ticks of all processors since the machine started. */
export interface MachineTicks {
  readonly busy: number;
  readonly stolen: number;
  readonly all: number;
}

/** Less is what every machine does beside. */
const SHARE_TOLD = 0.05;
const US_PER_TICK = 10_000;

/** `/proc/stat`, whose first line is: cpu user nice system idle iowait irq softirq steal. */
export function ticksOf(stat: string): MachineTicks {
  const [user = 0, nice = 0, system = 0, ...rest] = (stat.split('\n', 1)[0] ?? '').split(/\s+/).slice(1, 9).map(Number);
  const busy = user + nice + system;
  return { busy, stolen: rest[4] ?? 0, all: rest.reduce((sum, one) => sum + one, busy) };
}

export interface Readings {
  readonly machine: MachineTicks;
  readonly benchUs: number;
}

/** Null where the operating system does not tell. `server`: one that this process did not start, and is part of the bench. */
export function readAll(server: number | null): Readings | null {
  if (treeUnreadable() !== null) return null;
  const trees = [process.pid, ...(server === null ? [] : [server])].map(readTree);
  const benchUs = trees.reduce((sum, tree) => sum + (tree?.cpuUs ?? Number.NaN), 0);
  return Number.isNaN(benchUs) ? null : { machine: ticksOf(readFileSync('/proc/stat', 'utf8')), benchUs };
}

export class DisturbanceWatch {
  readonly #read: () => Readings | null;
  readonly #start: Readings | null;

  constructor(read: () => Readings | null) {
    this.#read = read;
    this.#start = read();
  }

  /** Since it was made. Null where nobody tells, or where no tick has passed. */
  stop(): Disturbance | null {
    const start = this.#start;
    const end = this.#read();
    if (start === null || end === null) return null;
    const all = end.machine.all - start.machine.all;
    if (all <= 0) return null;
    const bench = (end.benchUs - start.benchUs) / US_PER_TICK;
    const others = Math.max(0, end.machine.busy - start.machine.busy - bench);
    return { others: others / all, stolen: (end.machine.stolen - start.machine.stolen) / all };
  }
}

/** In words; null when it was too little to matter. */
export function disturbanceText({ others, stolen }: Disturbance): string | null {
  const parts: string[] = [];
  if (others > SHARE_TOLD) parts.push(`other programs took ${percent(others)} of the processors`);
  if (stolen > SHARE_TOLD) parts.push(`the hypervisor gave ${percent(stolen)} of the processors to other machines`);
  return parts.length === 0 ? null : parts.join(', ');
}

const percent = (share: number): string => `${(share * 100).toFixed(0)} %`;

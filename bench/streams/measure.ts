/**
 * Times one peer at one job in this process: a run to warm up, then rounds of which the median counts, and a check against
 * plain Maps, without which there is no figure.
 *
 * Role: the body of `peer-process.ts`, and usable by whoever has a peer. Input is made outside of what is timed; every
 * run must come to the same totals.
 */
import { collectGarbage } from './garbage.ts';
import { type Job, jobOf, sameTotals, type Totals } from './job.ts';
import type { Peer } from './peer.ts';
import { mapOverRows } from './peer-map.ts';

export interface Measured {
  readonly peer: string;
  readonly input: Peer['input'];
  /** Events of the timed runs. */
  readonly events: number;
  readonly eventsPerS: number;
  readonly nsPerEvent: number;
  /** All threads of the process. */
  readonly cpuNsPerEvent: number;
  /** Of that, what a worker thread does; the same where there is no other part. */
  readonly taskNsPerEvent: number;
  readonly rssMiB: number;
  /** Of the first `CHECK_EVENTS` events, which every peer does. */
  readonly check: Totals;
  readonly totals: Totals;
}

export interface Refused {
  readonly peer: string;
  readonly refused: string;
}

export const CHECK_EVENTS = 20_000;
const MIB = 2 ** 20;

export async function measure(peer: Peer, job: Job, rounds: number): Promise<Measured | Refused> {
  const refused = peer.refuses(job);
  if (refused !== '') return { peer: peer.name, refused };
  const checked = jobOf(job.name, job.keys, Math.min(CHECK_EVENTS, job.events));
  const check = await peer.prepare(checked).run();
  const timed = jobOf(job.name, job.keys, Math.min(job.events, peer.eventsMax(job)));
  const prepared = peer.prepare(timed);
  const totals = await prepared.run();
  const walls: number[] = [];
  const cpus: number[] = [];
  const tasks: number[] = [];
  for (let round = 0; round < rounds; round++) {
    collectGarbage();
    const cpu = process.cpuUsage();
    const began = performance.now();
    const again = await prepared.run();
    walls.push(performance.now() - began);
    const { system, user } = process.cpuUsage(cpu);
    cpus.push((system + user) / 1000);
    tasks.push((prepared.taskUs?.() ?? system + user) / 1000);
    if (!sameTotals(again, totals)) throw new Error(`${peer.name} came to other totals in another run`);
  }
  // Only now: Maps share code with peers, which would be compiled for both before they are timed.
  const wanted = await mapOverRows.prepare(checked).run();
  if (!sameTotals(check, wanted)) {
    throw new Error(`${peer.name} comes to ${JSON.stringify(check)}, plain Maps to ${JSON.stringify(wanted)}`);
  }
  const wallMs = median(walls);
  return {
    peer: peer.name,
    input: peer.input,
    events: timed.events,
    eventsPerS: Math.round((timed.events * 1000) / wallMs),
    nsPerEvent: Math.round((wallMs * 1e6) / timed.events),
    cpuNsPerEvent: Math.round((median(cpus) * 1e6) / timed.events),
    taskNsPerEvent: Math.round((median(tasks) * 1e6) / timed.events),
    rssMiB: Math.round(process.memoryUsage.rss() / MIB),
    check,
    totals,
  };
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] as number;
}

/**
 * What each more of something brings: workers for CPU-bound calls, calls that share tasks, one front end or the other.
 *
 * Role: saturation with one millisecond of work per call on 1, 2, 4 … workers up to the cores; echo on both front ends,
 * and with a task for each call.
 */
import { availableParallelism } from 'node:os';
import { closedLoop } from '../load/job.ts';
import { millrace } from '../servers/commands.ts';
import { resultOf } from '../wire/exchange.ts';
import { MODERN_CALLER, toolCall } from '../wire/messages.ts';
import { hashRounds, roundsPerMs } from './calibrate.ts';
import { echoCalls } from './calls.ts';
import { type LoadVariant, loadVariant, saturatedVariant } from './load-variant.ts';
import type { Scenario } from './scenario.ts';

/** 1, 2, 4 … and the cores themselves. */
export function workerCounts(cores: number): number[] {
  const counts: number[] = [];
  for (let workers = 1; workers < cores; workers *= 2) counts.push(workers);
  return [...counts, cores];
}

const withWorkers = (workers: number, rounds: number): LoadVariant => ({
  name: `${workers} ${workers === 1 ? 'worker' : 'workers'}, 1 ms`,
  role: 'millrace',
  server: () => millrace('--workers', String(workers)),
  load: async (url) => {
    const request = toolCall(MODERN_CALLER, 'hash', { text: 'bench', rounds }, 1);
    await resultOf(url, request);
    return [closedLoop('hash', [request], workers * 4, '"content"')];
  },
});

const onFrontEnd = (frontEnd: 'uws' | 'node', ...flags: readonly string[]): LoadVariant => ({
  name: `echo on ${frontEnd}${flags.length === 0 ? '' : ', a task per call'}`,
  role: 'millrace',
  ...(frontEnd === 'node' ? { quick: true } : {}),
  server: (plan) => millrace('--workers', String(plan.workers), '--frontend', frontEnd, ...flags),
  load: async (url, plan) => [await echoCalls(url, plan.connections)],
});

export const scaling: Scenario = {
  name: 'scaling',
  title: 'workers for CPU-bound calls; batching and front ends for echo',
  columns: ['perSecond', 'p50Us', 'p99Us', 'p999Us', 'cpuUsPerRequest', 'residentMiB', 'failed'],
  cannotShow: [
    'Scaling up to the last core: front end and load client need one, too.',
    'What batching brings to calls that take long: they never share a task.',
  ],
  inSuite: { roundsMax: 2, variants: 'all' },
  roundsMax: Number.POSITIVE_INFINITY,
  prepare: () => {
    hashRounds(1000);
    const rounds = roundsPerMs();
    const counts = workerCounts(availableParallelism());
    const echoes = [onFrontEnd('uws'), onFrontEnd('uws', '--no-batching'), onFrontEnd('node')];
    const scaled = counts.map((workers) => loadVariant(withWorkers(workers, rounds)));
    return { variants: [...scaled, ...echoes.map(saturatedVariant)], skipped: [] };
  },
};

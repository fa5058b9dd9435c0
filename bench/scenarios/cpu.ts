/**
 * Tools that burn CPU, alone and beside cheap calls: do they use the workers, and who waits for whom?
 *
 * Role: calls of a known amount of work (`calibrate.ts`) at saturation, against a bare loop; then fifty cheap calls per
 * expensive one in the open loop, where a cheap call that has to wait cannot hide.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { closedLoop, type LoadGroup } from '../load/job.ts';
import { control, millrace } from '../servers/commands.ts';
import { resultOf } from '../wire/exchange.ts';
import { type Caller, LEGACY_CALLER, MODERN_CALLER, toolCall } from '../wire/messages.ts';
import { hashRounds, roundsPerMs } from './calibrate.ts';
import { atRate, echoCalls } from './calls.ts';
import { type LoadVariant, loadVariant } from './load-variant.ts';
import type { Plan, Round, Scenario, Variant } from './scenario.ts';

const CHEAP_PER_EXPENSIVE = 50;
const CHEAP_PER_SECOND = 1000;
const FIBONACCI_N = 20;
const MIXED_CONNECTIONS = 64;

/** At least two, or an expensive call leaves none for the cheap ones. */
const mixedWorkers = (plan: Plan): string[] => ['--workers', String(Math.max(2, plan.workers))];

async function heavyCalls(url: string, caller: Caller, rounds: number, connections: number): Promise<LoadGroup> {
  const request = toolCall(caller, 'hash', { text: 'bench', rounds }, 2);
  await resultOf(url, request);
  return closedLoop('hash', [request], connections, '"content"');
}

function atSaturation(name: string, rounds: number): LoadVariant {
  return {
    name,
    role: 'millrace',
    server: (plan) => millrace('--workers', String(plan.workers)),
    load: async (url, plan) => [await heavyCalls(url, MODERN_CALLER, rounds, plan.workers * 4)],
  };
}

function mixed(name: string, server: LoadVariant['server'], role: LoadVariant['role'], rounds: number): LoadVariant {
  const caller = name.startsWith('SDK v1') ? LEGACY_CALLER : MODERN_CALLER;
  return {
    name,
    role,
    ...(role === 'millrace' ? { quick: true } : {}),
    server,
    load: async (url) => {
      const cheap = atRate(await echoCalls(url, MIXED_CONNECTIONS, caller), CHEAP_PER_SECOND);
      if (rounds === 0) return [cheap];
      const heavy = await heavyCalls(url, caller, rounds, MIXED_CONNECTIONS);
      return [cheap, atRate(heavy, CHEAP_PER_SECOND / CHEAP_PER_EXPENSIVE)];
    },
  };
}

const fibonacci: LoadVariant = {
  name: `millrace fibonacci(${FIBONACCI_N})`,
  role: 'millrace',
  server: (plan) => millrace('--workers', String(plan.workers)),
  load: async (url, plan) => {
    const request = toolCall(MODERN_CALLER, 'fibonacci', { n: FIBONACCI_N }, 1);
    await resultOf(url, request);
    return [closedLoop('fibonacci', [request], plan.workers * 4, '6765')];
  },
};

/** One loop, its rate times the workers: the workers of a server have a core each at best. */
function bareLoop(rounds: number): Variant {
  return { name: 'bare loop x workers, 1 ms', role: 'limit', quick: true, measure: (round) => runLoop(rounds, round) };
}

async function runLoop(rounds: number, { plan, stopped }: Round): ReturnType<Variant['measure']> {
  const { command, args } = control('bare-loop', { rounds, durationMs: plan.durationMs });
  const { stdout } = await promisify(execFile)(command, [...args], { signal: stopped });
  const { perSecond } = JSON.parse(stdout) as { perSecond: number };
  const figures = { perSecond: perSecond * plan.workers, cpuUsPerRequest: 1_000_000 / perSecond };
  return { figures, curveUs: [], curveCount: 0, intervals: [], client: 'none', problem: '' };
}

export const cpu: Scenario = {
  name: 'cpu',
  title: `CPU-bound calls alone, and 1:${CHEAP_PER_EXPENSIVE} beside echo at ${CHEAP_PER_SECOND}/s (figures of echo)`,
  columns: ['perSecond', 'p50Us', 'p99Us', 'p999Us', 'cpuUsPerRequest', 'residentMiB', 'failed'],
  cannotShow: [
    'The scaling of CPU work when cores are fewer than workers, front end and load client together.',
    'P99 of 1,000 calls a second over a few seconds rests on a few dozen calls; P99.9 on a handful.',
  ],
  inSuite: { roundsMax: 2, variants: 'all' },
  roundsMax: Number.POSITIVE_INFINITY,
  prepare: () => {
    hashRounds(1000);
    const oneMs = roundsPerMs();
    const ours = (plan: Plan) => millrace(...mixedWorkers(plan));
    const loads: LoadVariant[] = [
      { ...atSaturation('millrace 1 ms', oneMs), quick: true },
      atSaturation('millrace 20 ms', oneMs * 20),
      fibonacci,
      mixed('echo alone', ours, 'millrace', 0),
      mixed('echo beside 1 ms', ours, 'millrace', oneMs),
      mixed('echo beside 20 ms', ours, 'millrace', oneMs * 20),
      mixed('SDK v1: echo beside 20 ms', () => control('sdk-v1', { toolset: 'cpu' }), 'peer', oneMs * 20),
    ];
    return { variants: [bareLoop(oneMs), ...loads.map(loadVariant)], skipped: [] };
  },
};

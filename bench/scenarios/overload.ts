/**
 * More than the server can do: twice and ten times its capacity, for each overload policy.
 *
 * Role: a scenario with phases on one server. Capacity is measured first, at saturation on the same server; then the
 * multiples of it are offered in the open loop. A prober asks all the while: it tells how long after the load the server
 * answers as before. Growth of memory compares the second quarter of the worst phase with the last.
 */

import { closedLoop, type GroupReport, type LoadGroup } from '../load/job.ts';
import { LatencyHistogram } from '../measure/histogram.ts';
import type { MemoryReading } from '../measure/usage.ts';
import type { Figures, Sample } from '../report/model.ts';
import { millrace } from '../servers/commands.ts';
import { type ServerProcess, startServer } from '../servers/server-process.ts';
import { resultOf } from '../wire/exchange.ts';
import { MODERN_CALLER, toolCall } from '../wire/messages.ts';
import { hashRounds, roundsPerMs } from './calibrate.ts';
import { latencyFigures, loadServer, withoutNaN } from './load-variant.ts';
import { Prober } from './prober.ts';
import type { Round, Scenario, Variant } from './scenario.ts';

type Policy = 'caller-runs' | 'reject' | 'block';

interface Work {
  readonly label: string;
  readonly tool: string;
  readonly args: object;
  readonly contains: string;
}

const IN_FLIGHT = 20;
const QUEUE = 100;
/** Enough for all that waits in the server, and for what is on its way to a refusal. */
const CONNECTIONS = 500;
const SLEEP_MS = 20;
const CPU_MS = 2;

function variant(policy: Policy, work: Work, quick: boolean): Variant {
  return {
    name: `${policy}, ${work.label}`,
    role: 'millrace',
    quick,
    measure: async (round) => {
      const server = await startServer(commandFor(policy, round));
      try {
        return await phases(server, work, policy, round);
      } finally {
        await server.end();
      }
    },
  };
}

const commandFor = (policy: Policy, { plan }: Round) =>
  millrace(
    ...['--workers', String(plan.workers), '--overload', policy],
    ...['--max-concurrent', String(IN_FLIGHT), '--queue-size', String(QUEUE)],
  );

async function phases(server: ServerProcess, work: Work, policy: Policy, round: Round): Promise<Sample> {
  const request = toolCall(MODERN_CALLER, work.tool, work.args, 1);
  await resultOf(server.url, request);
  const saturating = closedLoop('capacity', [request], IN_FLIGHT * 2, work.contains);
  const offered = (ratePerSecond: number): LoadGroup => ({
    ...closedLoop('offered', [request], CONNECTIONS, work.contains),
    ratePerSecond,
    pacing: 'coarse',
  });
  const ownClient: Round = { ...round, plan: { ...round.plan, client: 'own' } };
  const capacity = goodPerSecond(await loadServer(server.url, server.pid, [saturating], ownClient));
  const twice = await loadServer(server.url, server.pid, [offered(capacity * 2)], ownClient);
  const prober = new Prober(server.url, request);
  await prober.baseline();
  prober.start();
  const tenfold = await loadServer(server.url, server.pid, [offered(capacity * 10)], ownClient);
  // Phases that were cut short cannot be held against each other.
  round.stopped.throwIfAborted();
  const [worst] = tenfold.run.report.groups as [GroupReport];
  const recoveryMs = await prober.recoveredAfter(tenfold.endedMs);
  const refusals = LatencyHistogram.decode(worst.refusals);
  const figures: Figures = {
    capacityPerSecond: capacity,
    goodput2Share: goodPerSecond(twice) / capacity,
    goodput10Share: goodPerSecond(tenfold) / capacity,
    refusalP99Us: refusals.percentileUs(99),
    refusalMaxUs: refusals.maxUs,
    recoveryMs,
    growthMiB: tenfold.usage === null ? Number.NaN : growth(tenfold.usage.readings),
    residentMiB: tenfold.usage?.residentMiB ?? Number.NaN,
    refused: worst.refused,
    failed: worst.wrong + worst.broken,
    ...latencyFigures(worst),
  };
  return {
    figures: withoutNaN(figures),
    curveUs: worst.curveUs,
    curveCount: worst.good,
    intervals: worst.intervals,
    client: 'own',
    // A policy that stops reading leaves requests in the client: that is what it is for.
    problem: policy === 'block' && worst.wrong + worst.broken === 0 ? '' : worst.firstProblem,
  };
}

const goodPerSecond = ({ run }: Awaited<ReturnType<typeof loadServer>>): number =>
  ((run.report.groups[0]?.good ?? 0) * 1000) / run.report.elapsedMs;

/** Highest of the last quarter over highest of the second. */
export function growth(readings: readonly MemoryReading[]): number {
  const endMs = readings.at(-1)?.atMs ?? 0;
  const highest = (from: number, to: number): number =>
    Math.max(
      ...readings
        .filter(({ atMs }) => atMs >= endMs * from && atMs <= endMs * to)
        .map(({ residentMiB }) => residentMiB),
    );
  const grown = highest(0.75, 1) - highest(0.25, 0.5);
  return Number.isFinite(grown) ? grown : Number.NaN;
}

export const overload: Scenario = {
  name: 'overload',
  title: `2 and 10 times capacity; ${IN_FLIGHT} in flight, a queue of ${QUEUE}`,
  columns: [
    'capacityPerSecond',
    'goodput2Share',
    'goodput10Share',
    'refusalP99Us',
    'refusalMaxUs',
    'recoveryMs',
    'growthMiB',
    'failed',
  ],
  cannotShow: [
    'Goodput of CPU-bound work where the load client needs the cores, too: it makes ten times the requests.',
    'With block the requests stay in the client: what it could not send is no failure and no goodput.',
    'Growth over a few seconds is mostly the heap finding its size; the soak scenario is for leaks.',
  ],
  inSuite: { roundsMax: 1, variants: 'all' },
  roundsMax: 2,
  prepare: () => {
    hashRounds(1000);
    const rounds = roundsPerMs() * CPU_MS;
    const cpu: Work = {
      label: `CPU ${CPU_MS} ms`,
      tool: 'hash',
      args: { text: 'bench', rounds },
      contains: '"content"',
    };
    const wait: Work = {
      label: `wait ${SLEEP_MS} ms`,
      tool: 'sleep',
      args: { ms: SLEEP_MS },
      contains: `slept ${SLEEP_MS}`,
    };
    return {
      variants: [
        variant('caller-runs', cpu, true),
        variant('reject', cpu, false),
        variant('block', cpu, false),
        variant('reject', wait, false),
      ],
      skipped: [],
    };
  },
};

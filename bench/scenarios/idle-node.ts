/**
 * What heartbeats cost: the CPU time of a node that has nothing to do, alone and as one of three.
 *
 * Role: part of the cluster scenario. The kernel counts CPU time in ticks of 10 ms, so it is watched for seconds.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { readTree } from '../measure/process-tree.ts';
import type { Sample } from '../report/model.ts';
import { Cluster } from '../servers/cluster.ts';
import { millrace } from '../servers/commands.ts';
import { startServer } from '../servers/server-process.ts';
import { withoutNaN } from './load-variant.ts';
import type { Round, Variant } from './scenario.ts';

/** For the start to be over: compiled code, first heartbeats. */
const SETTLE_MS = 2000;
const WATCH_MS_MIN = 10_000;
const NODES = 3;

async function idle(pid: number, { plan, stopped }: Round): Promise<Sample> {
  await wait(SETTLE_MS, undefined, { signal: stopped });
  const before = readTree(pid)?.cpuUs ?? Number.NaN;
  const beganMs = performance.now();
  await wait(Math.max(WATCH_MS_MIN, plan.durationMs), undefined, { signal: stopped });
  const spentUs = (readTree(pid)?.cpuUs ?? Number.NaN) - before;
  const idleCpuShare = spentUs / 1000 / (performance.now() - beganMs);
  const figures = withoutNaN({ idleCpuShare });
  return { figures, curveUs: [], curveCount: 0, intervals: [], client: '', problem: '' };
}

export const idleAlone: Variant = {
  name: 'idle, no Redis',
  role: 'millrace',
  quick: false,
  measure: async (round) => {
    const server = await startServer(millrace('--workers', String(round.plan.workers)));
    try {
      return await idle(server.pid, round);
    } finally {
      await server.end();
    }
  },
};

export const idleWithRedis: Variant = {
  name: 'idle, one of 3',
  role: 'millrace',
  quick: false,
  measure: async (round) => {
    const flags = ['--workers', String(round.plan.workers)];
    const cluster = await Cluster.start({ nodes: NODES, flags: () => flags, balanced: false });
    try {
      return await idle(cluster.nodes[0]?.pid ?? 0, round);
    } finally {
      await cluster.end();
    }
  },
};

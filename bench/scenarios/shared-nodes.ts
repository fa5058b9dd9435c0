/**
 * A variant of the cluster scenario: nodes that share a Redis, one load, what it took the nodes and Redis.
 *
 * Role: CPU time and memory are those of all nodes together; HAProxy and Redis are not in them.
 */
import type { LoadGroup } from '../load/job.ts';
import { runLoad } from '../load/run-load.ts';
import { type Usage, UsageWatch } from '../measure/usage.ts';
import type { Figures, Sample } from '../report/model.ts';
import { Cluster } from '../servers/cluster.ts';
import type { ServerProcess } from '../servers/server-process.ts';
import { sampleOf } from './load-variant.ts';
import type { Plan, Round, Variant } from './scenario.ts';

export interface SharedVariant {
  readonly name: string;
  readonly quick: boolean;
  readonly nodes: number;
  /** Of node `index`, from 0. */
  readonly flags: (plan: Plan, index: number) => readonly string[];
  /** Through HAProxy, or at the first node itself. */
  readonly way: 'balancer' | 'direct';
  /** Driven to its limit: warmed up until its code is compiled. */
  readonly saturated: boolean;
  readonly load: (url: string, plan: Plan) => Promise<LoadGroup>;
}

export function shared(variant: SharedVariant): Variant {
  return {
    name: variant.name,
    quick: variant.quick,
    role: 'millrace',
    measure: async (round) => {
      const cluster = await Cluster.start({
        nodes: variant.nodes,
        flags: (index) => variant.flags(round.plan, index),
        balanced: variant.way === 'balancer',
      });
      try {
        return await measure(cluster, variant, round);
      } finally {
        await cluster.end();
      }
    },
  };
}

async function measure(cluster: Cluster, variant: SharedVariant, { plan, stopped }: Round): Promise<Sample> {
  const url = variant.way === 'direct' ? (cluster.nodes[0] as ServerProcess).url : cluster.balancer.url;
  const job = {
    url,
    groups: [await variant.load(url, plan)],
    warmupMs: variant.saturated ? plan.saturatedWarmupMs : plan.warmupMs,
    durationMs: plan.durationMs,
  };
  let watches: readonly UsageWatch[] = [];
  let before: Promise<number> = Promise.resolve(0);
  const measuring = (): void => {
    watches = cluster.nodes.map(({ pid }) => new UsageWatch(pid));
    before = cluster.commands();
  };
  const run = await runLoad(job, plan.client, measuring, stopped);
  const usage = together(watches.map((watch) => watch.stop()));
  const commands = (await cluster.commands()) - (await before);
  const sample = sampleOf(run, usage);
  const answers = run.report.groups.reduce((sum, { good, refused, wrong }) => sum + good + refused + wrong, 0);
  const figures: Figures = { ...sample.figures, redisPerRequest: commands / Math.max(1, answers) };
  return { ...sample, figures };
}

function together(usages: readonly Usage[]): Usage {
  return {
    cpuUs: usages.reduce((sum, { cpuUs }) => sum + cpuUs, 0),
    residentMiB: usages.reduce((sum, { residentMiB }) => sum + residentMiB, 0),
    readings: [],
  };
}

/**
 * The usual variant: a fresh server, asked once, loaded, watched, ended.
 *
 * Role: shared by the scenarios whose figures are throughput and latency of one load. The server's CPU time is read
 * from the end of the warm-up to the end of the load, and divided by all answers in between, refusals included.
 */
import type { GroupReport, LoadGroup, LoadReport } from '../load/job.ts';
import { type LoadRun, runLoad } from '../load/run-load.ts';
import { CURVE_PERCENTILES } from '../measure/percentiles.ts';
import { type Usage, UsageWatch } from '../measure/usage.ts';
import type { Figures, Role, Sample } from '../report/model.ts';
import { type ServerCommand, type ServerProcess, startServer } from '../servers/server-process.ts';
import type { Plan, Round, Variant } from './scenario.ts';

export interface LoadVariant {
  readonly name: string;
  readonly role: Role;
  /** Part of a quick run, too. */
  readonly quick?: true;
  readonly server: (plan: Plan) => ServerCommand | Promise<ServerCommand>;
  /** Checks one answer, then says what to send. The first group's figures are the variant's. */
  readonly load: (url: string, plan: Plan) => Promise<readonly LoadGroup[]>;
  /** Beside those of the first group. */
  readonly further?: (report: LoadReport) => Figures;
}

/** A variant driven to its limit: warmed up until its code is compiled. A quick run spares slow peers that. */
export function saturatedVariant(variant: LoadVariant): Variant {
  const usual = loadVariant(variant);
  return {
    ...usual,
    measure: (round) => {
      const { plan } = round;
      const warmupMs = plan.quick && variant.role === 'peer' ? plan.warmupMs : plan.saturatedWarmupMs;
      return usual.measure({ ...round, plan: { ...plan, warmupMs } });
    },
  };
}

export function loadVariant(variant: LoadVariant): Variant {
  return {
    name: variant.name,
    role: variant.role,
    quick: variant.quick === true,
    measure: async (round) => {
      const server = await startServer(await variant.server(round.plan));
      try {
        return await server.during(round.stopped, (stopped) => measureServer(server, variant, { ...round, stopped }));
      } finally {
        await server.end();
      }
    },
  };
}

async function measureServer(server: ServerProcess, variant: LoadVariant, round: Round): Promise<Sample> {
  const groups = await variant.load(server.url, round.plan);
  const { run, usage } = await loadServer(server.url, server.pid, groups, round);
  const sample = sampleOf(run, usage);
  const further = variant.further?.(run.report) ?? {};
  return { ...sample, figures: { ...sample.figures, ...further } };
}

export interface LoadedServer {
  readonly run: LoadRun;
  /** Null: not looked into. */
  readonly usage: Usage | null;
  /** When the last request left; clients then wait for answers. */
  readonly endedMs: number;
}

/** `pid` 0: a server that is not ours to look into. */
export function loadServer(
  url: string,
  pid: number,
  groups: readonly LoadGroup[],
  { plan, stopped }: Round,
): Promise<LoadedServer> {
  const { client, durationMs, warmupMs } = plan;
  return watched(pid, (measuring) => runLoad({ url, groups, warmupMs, durationMs }, client, measuring, stopped));
}

/** Watches the server from when `load` says that it measures until it ends. */
export async function watched(pid: number, load: (measuring: () => void) => Promise<LoadRun>): Promise<LoadedServer> {
  let watch: UsageWatch | null = null;
  let beganMs = performance.now();
  const measuring = (): void => {
    beganMs = performance.now();
    if (pid !== 0) watch = new UsageWatch(pid);
  };
  try {
    const run = await load(measuring);
    return { run, usage: stopWatch(watch), endedMs: beganMs + run.report.elapsedMs };
  } catch (error) {
    stopWatch(watch);
    throw error;
  }
}

function stopWatch(watch: UsageWatch | null): Usage | null {
  return watch === null ? null : watch.stop();
}

export function sampleOf(run: LoadRun, usage: Usage | null): Sample {
  const { elapsedMs, groups } = run.report;
  const [first] = groups;
  if (first === undefined) throw new Error('a load without groups');
  const answers = groups.reduce((sum, group) => sum + group.good + group.refused + group.wrong, 0);
  const failed = groups.reduce((sum, group) => sum + group.wrong + group.broken, 0);
  const refused = groups.reduce((sum, group) => sum + group.refused, 0);
  const problem = groups.find((group) => group.firstProblem !== '')?.firstProblem ?? '';
  return {
    figures: withoutNaN({
      perSecond: (first.good * 1000) / elapsedMs,
      ...latencyFigures(first),
      lateP99Us: first.lateP99Us,
      cpuUsPerRequest: usage === null || answers === 0 ? Number.NaN : usage.cpuUs / answers,
      residentMiB: usage === null ? Number.NaN : usage.residentMiB,
      failed,
      refused,
      successShare: share(groups),
    }),
    curveUs: first.curveUs,
    curveCount: first.good,
    intervals: first.intervals,
    client: run.client,
    problem,
  };
}

function share(groups: readonly GroupReport[]): number {
  const good = groups.reduce((sum, group) => sum + group.good, 0);
  const all = groups.reduce((sum, group) => sum + group.good + group.refused + group.wrong, 0) + missing(groups);
  return all === 0 ? Number.NaN : good / all;
}

const missing = (groups: readonly GroupReport[]): number =>
  groups.reduce((sum, group) => sum + group.broken + group.unsent, 0);

export function latencyFigures({ curveUs }: Pick<GroupReport, 'curveUs'>): Figures {
  return {
    p50Us: atPercentile(curveUs, 50),
    p90Us: atPercentile(curveUs, 90),
    p95Us: atPercentile(curveUs, 95),
    p99Us: atPercentile(curveUs, 99),
    p999Us: atPercentile(curveUs, 99.9),
    maxUs: atPercentile(curveUs, 100),
  };
}

/** The curve's point at or right above the percentile. */
function atPercentile(curveUs: readonly number[], percentile: number): number {
  return curveUs[CURVE_PERCENTILES.findIndex((point) => point >= percentile)] ?? Number.NaN;
}

export function withoutNaN(figures: Figures): Figures {
  return Object.fromEntries(Object.entries(figures).filter(([, value]) => !Number.isNaN(value)));
}

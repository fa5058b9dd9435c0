/**
 * Runs scenarios: in rounds, the order of the variants reversed every round, one fresh server after the other.
 *
 * Role: knows nothing of what is measured, but which of it is judged. A variant that fails loses its round and is reported; the others go on. When
 * it is stopped, what has been measured so far is the result, and the last round counts with the time it had.
 */
import { setMaxListeners } from 'node:events';
import { type Disturbance, DisturbanceWatch, readAll } from './measure/disturbance.ts';
import type { BenchReport, Sample, ScenarioReport } from './report/model.ts';
import { readTargets } from './report/targets.ts';
import type { Plan, Scenario, Variant } from './scenarios/scenario.ts';

export interface Progress {
  /** `rounds`: that the scenario will have. */
  scenarioBegins(scenario: Scenario, rounds: number): void;
  roundBegins(scenario: Scenario, variant: Variant, round: number): void;
  roundEnds(scenario: Scenario, variant: Variant, round: number, sample: Sample | Error): void;
  scenarioEnds(report: ScenarioReport): void;
}

export async function runSuite(
  scenarios: readonly Scenario[],
  plan: Plan,
  stopped: AbortSignal,
  progress: Progress,
): Promise<BenchReport['scenarios']> {
  setMaxListeners(0, stopped);
  const reports: ScenarioReport[] = [];
  for (const scenario of scenarios) {
    if (stopped.aborted) break;
    progress.scenarioBegins(scenario, roundsIn(scenario, plan));
    const report = await runScenario(scenario, plan, stopped, progress);
    progress.scenarioEnds(report);
    reports.push(report);
  }
  return reports;
}

async function runScenario(
  scenario: Scenario,
  plan: Plan,
  stopped: AbortSignal,
  progress: Progress,
): Promise<ScenarioReport> {
  const startMs = performance.now();
  const prepared = scenario.prepare(plan);
  const part = plan.wholeSuite ? scenario.inSuite : null;
  const judged = part?.variants === 'judged' ? judgedIn(scenario.name) : null;
  const variants = prepared.variants.filter((variant) => isWanted(variant, judged, plan));
  const samples = variants.map((): (Sample | null)[] => []);
  const failures = variants.map((): string[] => []);
  const disturbances = variants.map((): (Disturbance | null)[] => []);
  const rounds = roundsIn(scenario, plan);
  for (let round = 0; round < rounds && !stopped.aborted; round++) {
    for (const index of orderOf(variants.length, round)) {
      const variant = variants[index];
      if (variant === undefined || stopped.aborted) break;
      progress.roundBegins(scenario, variant, round);
      const { serverPid = null } = variant;
      const watch = new DisturbanceWatch(() => (serverPid === 0 ? null : readAll(serverPid)));
      const result = await measure(variant, plan, stopped);
      if (stopped.aborted && result instanceof Error) break;
      progress.roundEnds(scenario, variant, round, result);
      samples[index]?.push(result instanceof Error ? null : result);
      disturbances[index]?.push(watch.stop());
      if (result instanceof Error) failures[index]?.push(`round ${round + 1}: ${result.message}`);
    }
  }
  return {
    name: scenario.name,
    title: scenario.title,
    columns: scenario.columns,
    cannotShow: scenario.cannotShow,
    published: scenario.published ?? [],
    skipped: prepared.skipped,
    variants: variants.map(({ name, role }, index) => ({
      name,
      role,
      rounds: (samples[index] ?? []).map((sample) => sample ?? NO_SAMPLE),
      failures: failures[index] ?? [],
      disturbances: disturbances[index] ?? [],
    })),
    elapsedMs: performance.now() - startMs,
  };
}

function roundsIn({ inSuite, roundsMax }: Scenario, { rounds, wholeSuite }: Plan): number {
  return Math.min(rounds, roundsMax, (wholeSuite ? inSuite?.roundsMax : undefined) ?? Number.POSITIVE_INFINITY);
}

/** Variants that targets name. */
function judgedIn(scenario: string): ReadonlySet<string> {
  const targets = readTargets().filter((target) => target.scenario === scenario);
  return new Set(targets.flatMap(({ over, variant }) => [variant, over]));
}

/** Named ones are run even if a quick run would leave them out. `judged`: of the rest only these; null: all. */
function isWanted({ name, quick }: Variant, judged: ReadonlySet<string> | null, plan: Plan): boolean {
  if (plan.variants.length > 0) return plan.variants.some((part) => name.includes(part));
  return quick || (!plan.quick && (judged === null || judged.has(name)));
}

/** Keeps the rounds of all variants in step where one failed. */
const NO_SAMPLE: Sample = {
  figures: {},
  curveUs: [],
  curveCount: 0,
  intervals: [],
  client: '',
  problem: '',
};

/** First to last in even rounds, last to first in odd ones. */
export function orderOf(variants: number, round: number): number[] {
  const order = Array.from({ length: variants }, (_, index) => index);
  return round % 2 === 0 ? order : order.reverse();
}

async function measure(variant: Variant, plan: Plan, stopped: AbortSignal): Promise<Sample | Error> {
  try {
    return await variant.measure({ plan, stopped });
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

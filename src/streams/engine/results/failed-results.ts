/**
 * Results that were told without a value, as a reducer of the user threw when its window was to give it.
 *
 * Role: beside what becomes of the results of a round. What is failed is in the result itself, as the log decides; here is
 * what operators are told: a count, and a reason for being degraded until a round of the window has no such result.
 * Bounds: one number and one time for each window of the plan; one line of the log per window and minute.
 */
import type { Plan } from '../../plan.ts';
import { operatorName } from '../shards/image-chunks.ts';
import type { ResultChunk, ShardReport } from '../task.ts';

const LOG_EVERY_MS = 60_000;

export interface FailedFacts {
  readonly operator: string;
  readonly results: number;
  /** Of one of them. */
  readonly why: string;
}

export class FailedResults {
  /** By name of the operator, since the start. */
  readonly #counts = new Map<string, number>();
  readonly #failing = new Set<string>();
  readonly #loggedMs = new Map<string, number>();

  /** What is to be logged of a round. */
  count(plan: Plan, chunks: readonly ResultChunk[], reports: readonly ShardReport[]): readonly FailedFacts[] {
    const failed = failedIn(plan, reports);
    if (this.#failing.size > 0) {
      for (const { operator } of chunks) this.#failing.delete(nameIn(plan, operator));
    }
    const toLog: FailedFacts[] = [];
    for (const facts of failed.values()) {
      const { operator, results } = facts;
      this.#failing.add(operator);
      this.#counts.set(operator, (this.#counts.get(operator) ?? 0) + results);
      const nowMs = performance.now();
      if (nowMs - (this.#loggedMs.get(operator) ?? Number.NEGATIVE_INFINITY) < LOG_EVERY_MS) continue;
      this.#loggedMs.set(operator, nowMs);
      toLog.push(facts);
    }
    return toLog;
  }

  /** Only these go on with their state. */
  keep(operators: ReadonlySet<string>): void {
    for (const name of this.#counts.keys()) {
      if (operators.has(name)) continue;
      this.#counts.delete(name);
      this.#failing.delete(name);
      this.#loggedMs.delete(name);
    }
  }

  get reasons(): readonly string[] {
    return [...this.#failing].map((name) => `stream results of ${name}`);
  }

  /** Of operators of a stream that have any. */
  of(plan: Plan, stream: number): Record<string, number> {
    const counts = plan.operators
      .filter((operator) => operator.stream === stream)
      .map((operator) => [operator.name, this.#counts.get(operatorName(plan, operator)) ?? 0] as const);
    return Object.fromEntries(counts.filter(([, count]) => count > 0));
  }
}

/** By name of the operator. */
function failedIn(plan: Plan, reports: readonly ShardReport[]): ReadonlyMap<string, FailedFacts> {
  const failed = new Map<string, FailedFacts>();
  for (const { letGo } of reports) {
    for (const each of letGo) {
      if (each.kind !== 'failed') continue;
      const operator = nameIn(plan, each.operator);
      const known = failed.get(operator);
      failed.set(operator, { operator, results: (known?.results ?? 0) + each.count, why: known?.why ?? each.why });
    }
  }
  return failed;
}

function nameIn(plan: Plan, index: number): string {
  const operator = plan.operators[index];
  return operator === undefined ? '' : operatorName(plan, operator);
}

/**
 * How many keys each operator has evicted because its stream's state was at its limit, with the policy `evict-idle`.
 *
 * Role: beside the results of a round, which say nothing of an evicted key except that a raised alert is cleared. A key
 * that comes back begins anew: a window counts from nothing, an anomaly learns again, a pattern waits for its first
 * step.
 * Invariant: the counts are a function of the log, as evictions are: they are part of the checkpoint, and counted again
 * with the records after it.
 * Bound: one number for each operator of the plan.
 */
import type { Plan } from '../../plan.ts';
import { operatorName } from '../shards/image-chunks.ts';
import type { ShardReport } from '../task.ts';

/** By name of the operator. */
export type EvictionFacts = readonly (readonly [string, number])[];

export class Evictions {
  readonly #keys = new Map<string, number>();

  count(plan: Plan, reports: readonly ShardReport[]): void {
    for (const { letGo } of reports) {
      for (const each of letGo) {
        const operator = plan.operators[each.operator];
        if (each.kind !== 'evicted' || operator === undefined) continue;
        const name = operatorName(plan, operator);
        this.#keys.set(name, (this.#keys.get(name) ?? 0) + each.count);
      }
    }
  }

  /** Only these go on with their state. */
  keep(operators: ReadonlySet<string>): void {
    for (const name of this.#keys.keys()) if (!operators.has(name)) this.#keys.delete(name);
  }

  /** Of operators of a stream that have let any go. */
  of(plan: Plan, stream: number): Record<string, number> {
    const counts = plan.operators
      .filter((operator) => operator.stream === stream)
      .map((operator) => [operator.name, this.#keys.get(operatorName(plan, operator)) ?? 0] as const);
    return Object.fromEntries(counts.filter(([, count]) => count > 0));
  }

  /** For the checkpoint. */
  facts(): EvictionFacts {
    return [...this.#keys];
  }

  restore(facts: EvictionFacts = []): void {
    this.#keys.clear();
    for (const [name, count] of facts) this.#keys.set(name, count);
  }
}

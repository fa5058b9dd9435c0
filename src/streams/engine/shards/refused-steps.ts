/**
 * Steps of a round that cannot be applied: left out of some shards, and therefore of all.
 *
 * Role: for `ShardSet`. Questions and copies change nothing: they are left out only where they fail. A batch counts as
 * a whole or not at all, so that it can be kept as a dead letter and published again; and time is the same in all
 * shards, as results of several are put together, and a replay leaves out the same.
 */
import { isLook, type Step, ThreadLost, type Unasked } from '../task.ts';

interface Refused {
  readonly why: string;
  /** Shards that are as if it had never come. */
  readonly without: Set<number>;
}

export class RefusedSteps {
  readonly #steps = new Map<Step, Refused>();
  readonly unasked: Unasked[] = [];

  has(step: Step): boolean {
    return this.#steps.has(step);
  }

  /** It was left out in these shards. False when that is known of it. */
  add(step: Step, part: readonly number[], error: unknown): boolean {
    if (step.kind === 'query') this.unasked.push({ id: step.id, shards: part, why: whyOf(error) });
    if (isLook(step)) return true;
    const known = this.#steps.get(step);
    const refused = known ?? { why: whyOf(error), without: new Set() };
    for (const shard of part) refused.without.add(shard);
    this.#steps.set(step, refused);
    return known === undefined;
  }

  /** The shards have one of them in their state. */
  areIn(part: readonly number[]): boolean {
    for (const { without } of this.#steps.values()) {
      if (!part.every((shard) => without.has(shard))) return true;
    }
    return false;
  }

  /** The shards were put back to before the round: they have none of these. */
  outOf(part: readonly number[]): void {
    for (const { without } of this.#steps.values()) for (const shard of part) without.add(shard);
  }

  whys(): ReadonlyMap<Step, string> {
    const whys = new Map<Step, string>();
    for (const [step, { why }] of this.#steps) whys.set(step, why);
    return whys;
  }
}

function whyOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  if (!(error instanceof ThreadLost)) return `it cannot be applied: ${message}`;
  return error.hung ? `a thread did not come to its end: ${message}` : `threads were lost over applying it: ${message}`;
}

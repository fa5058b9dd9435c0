/**
 * Which streams are made of results of which: what a sink of type `stream`, or an alert's action, leads to.
 *
 * Role: for the order of derived events (`engine/results/derivations.ts`), and for what has to wait for them (`engine/pipeline.ts`).
 * `define/compile-feeds.ts` sees to it that no stream feeds itself, by whatever way.
 * Ranks: each stream has one, from 1 on, behind those of all that feed it; they depend on the plan alone.
 */
import type { OperatorPlan, Plan } from './plan.ts';

/** Results of an operator become events of a stream, by their indexes. */
export interface Feed {
  readonly operator: number;
  readonly target: number;
}

/** In place of a stream: time that passes, for all of them. */
export const TICK = -1;

const NONE: ReadonlySet<number> = new Set();

/** Streams whose events lead to results of the operator. */
export function streamsBehind(operator: OperatorPlan, operators: readonly OperatorPlan[]): readonly number[] {
  if (operator.kind === 'join') return [operator.stream, operator.right];
  const source = operator.kind === 'anomaly' || operator.kind === 'alert' ? operators[operator.source] : undefined;
  return source === undefined ? [operator.stream] : streamsBehind(source, operators);
}

export class FeedGraph {
  /** By stream. */
  readonly rankOf: readonly number[];
  /** By stream: those that its events can lead to events of. */
  readonly #below: readonly ReadonlySet<number>[];
  readonly #apart: readonly ReadonlySet<number>[];
  readonly #apartOfTick: ReadonlySet<number>;

  constructor({ operators, streams }: Pick<Plan, 'operators' | 'streams'>, feeds: readonly Feed[]) {
    const targets = streams.map(() => new Set<number>());
    for (const { operator, target } of feeds) {
      const plan = operators[operator] as OperatorPlan;
      for (const stream of streamsBehind(plan, operators)) targets[stream]?.add(target);
    }
    this.#below = streams.map((_, stream) => reachable(targets, stream));
    this.rankOf = ranksOf(this.#below);
    this.#apart = this.#below.map((below) => apartFrom(below, operators));
    this.#apartOfTick = new Set(this.#apart.flatMap((apart) => [...apart]));
  }

  below(stream: number): ReadonlySet<number> {
    return this.#below[stream] ?? NONE;
  }

  /**
   * What must not be applied together with a record of this stream that came before it: records of these streams, or
   * `TICK`, see what is made of its results.
   */
  apart(stream: number): ReadonlySet<number> {
    return stream === TICK ? this.#apartOfTick : (this.#apart[stream] ?? NONE);
  }
}

function reachable(targets: readonly ReadonlySet<number>[], from: number): ReadonlySet<number> {
  const found = new Set<number>();
  const open = [from];
  for (let stream = open.pop(); stream !== undefined; stream = open.pop()) {
    for (const target of targets[stream] as ReadonlySet<number>) {
      if (found.has(target)) continue;
      found.add(target);
      open.push(target);
    }
  }
  return found;
}

/** Whoever leads to a stream leads to all that it leads to: those with more below them come first. */
function ranksOf(below: readonly ReadonlySet<number>[]): readonly number[] {
  const sizeOf = (stream: number): number => (below[stream] as ReadonlySet<number>).size;
  const order = below.map((_, stream) => stream).sort((a, b) => sizeOf(b) - sizeOf(a) || a - b);
  const ranks = below.map(() => 0);
  for (const [i, stream] of order.entries()) ranks[stream] = i + 1;
  return ranks;
}

/** These streams, those that share an operator with one of them, and time. */
function apartFrom(below: ReadonlySet<number>, operators: readonly OperatorPlan[]): ReadonlySet<number> {
  if (below.size === 0) return NONE;
  const apart = new Set([...below, TICK]);
  for (const operator of operators) {
    const behind = streamsBehind(operator, operators);
    if (behind.some((stream) => below.has(stream))) for (const stream of behind) apart.add(stream);
  }
  return apart;
}

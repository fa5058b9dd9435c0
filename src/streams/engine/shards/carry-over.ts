/**
 * State that goes on when the plan changes.
 *
 * Role: pure, beside `lifecycle.ts`. Groups and operators are known by their names, as in checkpoints; where their memory
 * is, on disk or not, is of no matter here. Other shards have other keys: with another number of them all begins anew.
 */
import type { Plan } from '../../plan.ts';
import type { HeldMemory, HeldShard } from '../task.ts';
import { groupName, operatorName } from './image-chunks.ts';

export interface CarriedOver {
  /** As they are under the plan before. */
  readonly shards: readonly HeldShard[];
  /** Without anything, under the new plan. */
  readonly fresh: (shard: number) => HeldShard;
}

/** Memory of groups and operators that the new plan understands (`kept`, by name); fresh memory for the others. */
export function carryOver(
  before: Plan,
  after: Plan,
  kept: ReadonlySet<string>,
  { fresh, shards }: CarriedOver,
): HeldShard[] {
  // Views hold no keys, and which ids their tables have given is no function of the log.
  const holding = new Set(before.operators.flatMap(({ group, kind }) => (kind === 'view' ? [] : [group])));
  const groups = new Map(
    before.groups.filter(({ index }) => holding.has(index)).map(({ index }) => [groupName(before, index), index]),
  );
  const operators = new Map(before.operators.map((operator) => [operatorName(before, operator), operator]));
  return Array.from({ length: after.shards }, (_, shard) => {
    const begun = fresh(shard);
    const old = shards[shard];
    if (old === undefined || before.shards !== after.shards) return begun;
    const groupImages = after.groups.map(({ index }) => {
      const known = groups.get(groupName(after, index));
      return (known === undefined ? undefined : old.groups[known]) ?? (begun.groups[index] as HeldMemory);
    });
    const operatorImages = after.operators.map((operator) => {
      const name = operatorName(after, operator);
      const known = kept.has(name) ? operators.get(name) : undefined;
      const image = known === undefined ? undefined : old.operators[known.index];
      return image ?? (begun.operators[operator.index] as HeldMemory);
    });
    const watermarks = after.streams.map(({ name }) => {
      const index = before.streams.findIndex((stream) => stream.name === name);
      return old.watermarks[index] ?? Number.NEGATIVE_INFINITY;
    });
    return { ...begun, groups: groupImages, operators: operatorImages, watermarks };
  });
}

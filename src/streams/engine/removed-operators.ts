/**
 * Operators that a new plan no longer has: the keys they hold in tables that stay are released.
 *
 * Role: for `lifecycle.ts`, between rounds. A step like any other of the plan's record: if it cannot be applied it is
 * left out of all shards, noted before anything later is given out, and left out by a replay. The keys then stay as
 * long as their table does, which is reported.
 */
import type { Plan } from '../plan.ts';
import type { StreamEngine } from './engine.ts';
import { groupName, operatorName } from './shards/image-chunks.ts';
import type { Step } from './task.ts';

/** `kept`: names of operators that go on; `seq`: of the record that the plan is in. */
export async function letGo(engine: StreamEngine, after: Plan, kept: ReadonlySet<string>, seq: number): Promise<void> {
  const before = engine.plan;
  if (before.shards !== after.shards) return;
  const groups = new Set(after.groups.map(({ index }) => groupName(after, index)));
  const operators = before.operators
    .filter((operator) => !kept.has(operatorName(before, operator)) && groups.has(groupName(before, operator.group)))
    .map(({ index }) => index);
  if (operators.length === 0) return;
  const its = engine.missed.of(seq);
  const steps: readonly Step[] = its.begin([{ kind: 'drop', operators }]);
  if (steps.length === 0) return;
  const { refused } = await engine.shards.round(steps, Number.POSITIVE_INFINITY);
  its.refuse(refused);
  await its.keep(engine.parts.now());
}

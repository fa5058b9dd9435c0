/**
 * The table of operator kinds: from a plan's operator to the code that runs it.
 *
 * Role: the one place that knows all operators; `Shard` only knows this table. A kind may need modules (custom
 * reducers): they are loaded before the plan is used and given in here.
 */

import type { Reducer } from '../../aggregates/reducer.ts';
import { alertKind } from '../../alerts/alert.ts';
import { anomalyKind } from '../../anomalies/anomaly.ts';
import { hashKey } from '../../decode/key-hash.ts';
import { joinKind } from '../../joins/join.ts';
import type { OperatorKind } from '../../operator.ts';
import { patternKind } from '../../patterns/operator.ts';
import type { OperatorPlan, Plan, WindowPlan } from '../../plan.ts';
import { KeyTable } from '../../state/key-table.ts';
import type { ShardMemory } from '../../state/memory.ts';
import { viewKind } from '../../views/view.ts';
import { countWindowKind } from '../../windows/count-window.ts';
import type { PartialCombiner } from '../../windows/partials.ts';
import { sessionWindowKind } from '../../windows/session-window.ts';
import { type SliceWindowKind, sliceWindowKind } from '../../windows/slice-window.ts';
import type { ShardParts } from './shard.ts';

export class OperatorParts implements ShardParts {
  readonly #kinds: Readonly<Record<string, OperatorKind>>;
  readonly #slices: SliceWindowKind;

  /** `reducers` by `module#export`. */
  constructor(reducers: ReadonlyMap<string, Reducer>) {
    const slices = sliceWindowKind(reducers);
    this.#slices = slices;
    const count = countWindowKind(reducers);
    this.#kinds = {
      'window/tumbling': slices,
      'window/hopping': slices,
      'window/cumulating': slices,
      'window/session': sessionWindowKind(reducers),
      'window/count': count,
      'window/global': count,
      pattern: patternKind,
      join: joinKind,
      anomaly: anomalyKind,
      alert: alertKind,
      view: viewKind,
    } as Readonly<Record<string, OperatorKind>>;
  }

  kindOf(operator: OperatorPlan): OperatorKind {
    const name = operator.kind === 'window' ? `window/${operator.type}` : operator.kind;
    return this.#kinds[name] as OperatorKind;
  }

  combiner(operator: WindowPlan, plan: Plan): PartialCombiner | null {
    return this.#slices.combiner(operator, plan);
  }

  createKeys(plan: Plan, group: number): ShardMemory {
    return KeyTable.create(plan, group);
  }

  attachKeys(memory: ShardMemory, plan: Plan, group: number): KeyTable {
    return new KeyTable(memory, plan, group, hashKey);
  }
}

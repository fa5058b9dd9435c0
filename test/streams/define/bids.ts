/** A stream of bids to hang operators on, and what is wrong with definitions that use it. */
import assert from 'node:assert/strict';
import { compilePlan } from '../../../src/streams/define/compile.ts';
import type { StreamDefinition, WindowDefinition } from '../../../src/streams/define/definition.ts';
import { DefinitionProblem } from '../../../src/streams/define/definition-problem.ts';
import type { OperatorPlan, Plan } from '../../../src/streams/plan.ts';

export const OPTIONS = { epoch: 1, shards: 8 };

export function bids(more: Partial<StreamDefinition> = {}): StreamDefinition {
  return {
    name: 'bids',
    schema: {
      fields: {
        auction: 'integer',
        bidder: 'integer',
        price: 'number',
        city: { type: 'string', optional: true },
        at: 'integer',
      },
      timestamp: { field: 'at' },
      key: ['auction'],
    },
    ...more,
  };
}

export const PEOPLE: StreamDefinition = {
  name: 'people',
  schema: { fields: { id: 'integer', name: 'string' }, key: ['id'] },
};

export function tumbling(more: Partial<WindowDefinition> = {}): WindowDefinition {
  return { name: 'w', type: 'tumbling', sizeMs: 60_000, aggregates: { n: 'count' }, ...more };
}

/** Anything may be wrong with them. */
export function problemsOf(...definitions: readonly unknown[]): string[] {
  try {
    compilePlan(definitions, OPTIONS);
  } catch (error) {
    assert.ok(error instanceof DefinitionProblem, String(error));
    assert.equal(error.message.split('\n').length, error.problems.length);
    return error.message.split('\n');
  }
  return [];
}

export function operatorNamed(plan: Plan, name: string): OperatorPlan {
  const found = plan.operators.find((operator) => operator.name === name);
  assert.ok(found !== undefined, `no operator ${name}`);
  return found;
}

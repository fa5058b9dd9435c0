/**
 * What is declared here can be declared: every query, and every random case of the oracle, compiles to a plan.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compilePlan } from '../../../src/streams/define/compile.ts';
import { caseArbitrary, joinCaseArbitrary } from '../oracle/arbitrary.ts';
import { NEXMARK_QUERIES } from './queries.ts';

const OPTIONS = { epoch: 1, shards: 4 };

test('every Nexmark query compiles, and its answer is an operator of it', () => {
  for (const { answer, name, streams } of NEXMARK_QUERIES) {
    const plan = compilePlan(streams, OPTIONS);
    const operator = plan.operators.find((each) => each.name === answer.operator);
    assert.equal(plan.streams[operator?.stream ?? -1]?.name, answer.stream, name);
  }
});

test('every random case compiles', () => {
  fc.assert(
    fc.property(fc.oneof(caseArbitrary(), joinCaseArbitrary()), ({ streams }) => {
      compilePlan(streams, OPTIONS);
    }),
    { numRuns: 200, seed: 9 },
  );
});

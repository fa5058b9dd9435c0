/** Random patterns over random streams: the matcher against brute force, regular expressions and its own state. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { PatternPlan } from '../../../src/streams/plan.ts';
import { allMatches, keptMatches } from './brute-force.ts';
import {
  type Chain,
  type Letter,
  type LetterCondition,
  type LetterPattern,
  type LetterStep,
  matchesOf,
  run,
} from './letters.ts';

const order = (letter: Letter): number => (letter.name[0] as string).charCodeAt(0);
/** Conditions over earlier events: later in the alphabet than the last one taken, or fewer than three taken so far. */
const above = (letter: Letter, chain: Chain): boolean =>
  chain.length === 0 || order(letter) >= order((chain.at(-1) as Chain[number]).letter);
const few = (_: Letter, chain: Chain): boolean => chain.length < 3;

const set = fc.constantFrom('a', 'b', 'c', 'ab', 'bc', 'ac', '.');
const condition: fc.Arbitrary<LetterCondition> = fc.oneof(
  { weight: 6, arbitrary: set },
  { weight: 1, arbitrary: fc.constantFrom(above, few) },
);
const contiguity = fc.constantFrom('next', 'followedBy', 'followedByAny');
const times = fc.constantFrom(
  ...[
    [1, 1],
    [1, 1],
    [1, 1],
    [1, 2],
    [2, 2],
    [0, 1],
    [1, Infinity],
    [2, Infinity],
    [0, Infinity],
    [2, 3],
  ],
);
const taking = fc
  .record({
    where: condition,
    contiguity,
    inner: contiguity,
    times,
    optional: fc.boolean(),
    greedy: fc.boolean(),
    until: fc.option(set),
  })
  .map(({ times: [min = 1, max = 1], until, ...rest }) => ({
    ...rest,
    min,
    max,
    ...(until === null || max === 1 ? {} : { until }),
  }));
const forbidding = fc.record({ where: set, contiguity: fc.constantFrom('notNext', 'notFollowedBy') });

const steps: fc.Arbitrary<LetterStep[]> = fc
  .tuple(
    taking,
    fc.array(fc.oneof({ weight: 4, arbitrary: taking }, { weight: 1, arbitrary: forbidding }), { maxLength: 3 }),
  )
  .map(([first, rest]) => [first, ...rest].map((step, i) => ({ name: `s${i}`, ...step })) as LetterStep[]);

const letters: fc.Arbitrary<Letter[]> = fc
  .array(fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.nat(2)), { maxLength: 7, size: 'max' })
  .map((all) => {
    let ts = 0;
    return all.map(([name, after], i) => {
      ts += after;
      return { name: `${name}${i}`, ts };
    });
  });

/** Contiguities of the forbidding steps at the end. */
function atEnd(steps: readonly LetterStep[]): (string | undefined)[] {
  const last = steps.findLastIndex(({ contiguity }) => !contiguity?.startsWith('not'));
  return steps.slice(last + 1).map(({ contiguity }) => contiguity);
}

const pattern: fc.Arbitrary<LetterPattern> = fc
  .record({ steps, withinMs: fc.constantFrom(0, 0, 2, 4, 7), settled: fc.boolean() })
  // What is forbidden at the end can only be known to be absent once the time is over.
  .filter(({ steps, withinMs }) => withinMs > 0 || !atEnd(steps).includes('notFollowedBy'));

const text = ({ names, steps, at }: { names: string; steps: string; at: number }) => `${names} / ${steps} / ${at}`;

describe('the matches', () => {
  it('are those of all sequences of events that the pattern allows', () => {
    fc.assert(
      fc.property(pattern, letters, (pattern, letters) => {
        const { matches, droppedCount } = run(pattern, letters);
        assert.equal(droppedCount, 0);
        assert.deepEqual(matches.map(text), allMatches(pattern, letters).map(text));
      }),
      { numRuns: 2000 },
    );
  });

  it('that a skip strategy leaves are those that no earlier match closes', () => {
    const modes = fc.constantFrom<PatternPlan['skip']['mode']>('skipToNext', 'skipPastLast', 'toFirst', 'toLast');
    fc.assert(
      fc.property(pattern, letters, modes, fc.nat(3), (pattern, letters, mode, nth) => {
        const taking = pattern.steps.filter(({ contiguity }) => !contiguity?.startsWith('not'));
        const skip = { mode, step: taking[nth % taking.length]?.name ?? '' };
        // Without a limit of time, what waits for a partial match that never ends is not given out: here time ends.
        const limited = { ...pattern, withinMs: pattern.withinMs === 0 ? 1000 : (pattern.withinMs as number), skip };
        const given = run(limited, letters).matches.map(({ names, steps }) => `${names} / ${steps}`);
        assert.deepEqual(given.sort(), keptMatches(limited, letters, skip).sort());
      }),
      { numRuns: 2000 },
    );
  });

  const plain = fc.record({ where: set, times, optional: fc.boolean() });
  const source = (step: { where: string; times: number[]; optional: boolean }): string => {
    const [min = 1, max = 1] = step.times;
    const one = step.where === '.' ? '.' : `[${step.where}]`;
    const repeated = `${one}{${Math.max(1, min)},${max === Infinity ? '' : max}}`;
    return min === 0 || step.optional ? `(${repeated})?` : `(${repeated})`;
  };
  const uniform = (all: { where: string; times: number[]; optional: boolean }[], how: 'next' | 'followedByAny') => ({
    steps: all.map(({ where, times: [min = 1, max = 1], optional }, i) => ({
      name: `s${i}`,
      where,
      min,
      max,
      optional,
      contiguity: how,
      inner: how,
    })),
  });

  it('of strict steps are the parts of the stream that the regular expression matches', () => {
    fc.assert(
      fc.property(fc.array(plain, { minLength: 1, maxLength: 4 }), letters, (all, letters) => {
        const expression = new RegExp(`^${all.map(source).join('')}$`);
        const expected: string[] = [];
        for (let from = 0; from < letters.length; from++) {
          for (let to = from + 1; to <= letters.length; to++) {
            const part = letters.slice(from, to);
            if (expression.test(part.map(({ name }) => name[0]).join(''))) {
              expected.push(part.map(({ name }) => name).join(' '));
            }
          }
        }
        assert.deepEqual([...new Set(matchesOf(uniform(all, 'next'), letters))].sort(), expected.sort());
      }),
      { numRuns: 600 },
    );
  });

  it('of steps that any event may come between are the subsequences that the regular expression matches', () => {
    fc.assert(
      fc.property(fc.array(plain, { minLength: 1, maxLength: 4 }), letters, (all, letters) => {
        const expression = new RegExp(`^${all.map(source).join('')}$`);
        const expected: string[] = [];
        for (let bits = 1; bits < 1 << letters.length; bits++) {
          const part = letters.filter((_, i) => (bits >> i) & 1);
          if (expression.test(part.map(({ name }) => name[0]).join(''))) {
            expected.push(part.map(({ name }) => name).join(' '));
          }
        }
        assert.deepEqual([...new Set(matchesOf(uniform(all, 'followedByAny'), letters))].sort(), expected.sort());
      }),
      { numRuns: 600 },
    );
  });

  it('do not depend on whether conditions are settled beforehand', () => {
    fc.assert(
      fc.property(pattern, letters, (pattern, letters) => {
        const settled = run({ ...pattern, settled: true }, letters);
        const asked = run({ ...pattern, settled: false }, letters);
        assert.deepEqual(settled.matches, asked.matches);
        assert.deepEqual(settled.timeouts, asked.timeouts);
      }),
      { numRuns: 500 },
    );
  });
});

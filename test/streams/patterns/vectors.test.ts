/** Published examples: streams, patterns and the matches they have. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { PatternPlan } from '../../../src/streams/plan.ts';
import { type LetterPattern, type LetterStep, matchesOf, run, stream } from './letters.ts';

type Skip = PatternPlan['skip'];
const skip = (mode: Skip['mode'], step = ''): Skip => ({ mode, step });
const step = (name: string, where: string, more: Partial<LetterStep> = {}): LetterStep => ({ name, where, ...more });
const many = { min: 1, max: Infinity } as const;

function finds(pattern: LetterPattern, events: string, expected: readonly string[]): void {
  assert.deepEqual(matchesOf(pattern, stream(events)), [...expected].sort());
}

describe('after a match, b+ c in b1 b2 b3 c', () => {
  const steps = [step('b', 'b', { ...many, inner: 'next' }), step('c', 'c', { contiguity: 'next' })];
  const events = 'b1 b2 b3 c';
  const all = ['b1 b2 b3 c', 'b2 b3 c', 'b3 c'];
  it('without skipping has all', () => finds({ steps }, events, all));
  it('skipping to the next has all', () => finds({ steps, skip: skip('skipToNext') }, events, all));
  it('skipping past the last has one', () => finds({ steps, skip: skip('skipPastLast') }, events, ['b1 b2 b3 c']));
  it('skipping to the first b has all', () => finds({ steps, skip: skip('toFirst', 'b') }, events, all));
  it('skipping to the last b has two', () => {
    finds({ steps, skip: skip('toLast', 'b') }, events, ['b1 b2 b3 c', 'b3 c']);
  });
});

describe('after a match, a b+ in a b1 b2 b3', () => {
  const steps = [step('a', 'a'), step('b', 'b', many)];
  const events = 'a b1 b2 b3';
  it('without skipping has all prefixes', () => finds({ steps }, events, ['a b1', 'a b1 b2', 'a b1 b2 b3']));
  it('skipping to the next has one', () => finds({ steps, skip: skip('skipToNext') }, events, ['a b1']));
});

describe('after a match, (a|b|c) (b|c) c+.greedy d in a b c1 c2 c3 d', () => {
  const next = { contiguity: 'next' } as const;
  const steps = [
    step('x', 'abc'),
    step('y', 'bc', next),
    step('c*', 'c', { ...next, ...many, greedy: true }),
    step('d', 'd', next),
  ];
  const events = 'a b c1 c2 c3 d';
  it('without skipping has three', () => finds({ steps }, events, ['a b c1 c2 c3 d', 'b c1 c2 c3 d', 'c1 c2 c3 d']));
  it('skipping to the first c* has two', () => {
    finds({ steps, skip: skip('toFirst', 'c*') }, events, ['a b c1 c2 c3 d', 'c1 c2 c3 d']);
  });
});

describe('contiguity', () => {
  const pair = (contiguity: LetterStep['contiguity']) => ({ steps: [step('a', 'a'), step('b', 'b', { contiguity })] });
  it('next finds nothing across another event', () => finds(pair('next'), 'a c b1 b2', []));
  it('followedBy finds the first', () => finds(pair('followedBy'), 'a c b1 b2', ['a b1']));
  it('followedByAny finds each', () => finds(pair('followedByAny'), 'a c b1 b2', ['a b1', 'a b2']));

  const repeated = (inner: LetterStep['inner']) => ({
    steps: [step('a', 'a'), step('b', 'b', { ...many, contiguity: 'followedByAny', inner }), step('c', 'c')],
  });
  const relaxed = ['a b1 c', 'a b1 b2 c', 'a b1 b2 b3 c', 'a b2 c', 'a b2 b3 c', 'a b3 c'];
  it('strict between repetitions', () => {
    finds(repeated('next'), 'a b1 d1 b2 d2 b3 c', ['a b1 c', 'a b2 c', 'a b3 c']);
  });
  it('relaxed between repetitions', () => finds(repeated('followedBy'), 'a b1 d1 b2 d2 b3 c', relaxed));
  it('any between repetitions', () => {
    finds(repeated('followedByAny'), 'a b1 d1 b2 d2 b3 c', [...relaxed, 'a b1 b3 c']);
  });

  const loop = (inner: LetterStep['inner']) => ({
    steps: [step('c', 'c'), step('a', 'a', { ...many, inner }), step('b', 'b')],
  });
  const prefixes = ['c a1 b', 'c a1 a2 b', 'c a1 a2 a3 b'];
  it('strict repetition in c d a1 a2 a3 d a4 b', () => finds(loop('next'), 'c d a1 a2 a3 d a4 b', prefixes));
  it('relaxed repetition in c d a1 a2 a3 d a4 b', () => {
    finds(loop('followedBy'), 'c d a1 a2 a3 d a4 b', [...prefixes, 'c a1 a2 a3 a4 b']);
  });
  it('combinations of repetitions in c d a1 a2 a3 d a4 b', () => {
    const more = ['c a1 a3 b', 'c a1 a4 b', 'c a1 a2 a4 b', 'c a1 a3 a4 b', 'c a1 a2 a3 a4 b'];
    finds(loop('followedByAny'), 'c d a1 a2 a3 d a4 b', [...prefixes, ...more]);
  });
});

describe('quantifiers', () => {
  it('until ends a repetition', () => {
    finds({ steps: [step('a', 'a', { ...many, until: 'b' })] }, 'a1 c a2 b a3', ['a1', 'a1 a2', 'a2', 'a3']);
  });
  it('times bounds a repetition', () => {
    finds({ steps: [step('a', 'a', { min: 2, max: 3, inner: 'next' })] }, 'a1 a2 a3 a4', [
      'a1 a2',
      'a1 a2 a3',
      'a2 a3',
      'a2 a3 a4',
      'a3 a4',
    ]);
  });
  it('an optional step may be left out', () => {
    finds({ steps: [step('a', 'a'), step('b', 'b', { optional: true }), step('c', 'c')] }, 'a b c', ['a b c', 'a c']);
  });
  it('a greedy optional step is not left out when it could have been taken', () => {
    const steps = [step('a', 'a'), step('b', 'b', { optional: true, greedy: true }), step('c', 'c')];
    finds({ steps }, 'a b c', ['a b c']);
    finds({ steps }, 'a c', ['a c']);
  });
  it('greed takes as many as it can, across other events', () => {
    const steps = [step('a', 'a'), step('b', 'b', { ...many, greedy: true }), step('c', 'c')];
    finds({ steps }, 'a b1 x b2 c', ['a b1 b2 c']);
    finds({ steps: [step('a', 'a'), step('b', 'b', many), step('c', 'c')] }, 'a b1 x b2 c', ['a b1 c', 'a b1 b2 c']);
  });
});

describe('a pattern of sixteen steps', () => {
  const letters = [...'abcdefghijklmnop'];
  const last = { ...many, until: 'z' };
  for (const settled of [true, false]) {
    const steps = letters.map((letter, i) => step(letter, letter, i === 15 ? last : {}));
    it(`has room for its conditions, ${settled ? 'settled' : 'asked for'}`, () => {
      const found = matchesOf({ steps, settled }, stream('a b c d e x f g h i j k l m n o p p2 z p3'));
      assert.deepEqual(found, ['a b c d e f g h i j k l m n o p', 'a b c d e f g h i j k l m n o p p2']);
    });
  }
});

describe('negation', () => {
  const gap = (contiguity: 'notNext' | 'notFollowedBy') => ({
    steps: [step('a', 'a'), step('no', 'b', { contiguity }), step('c', 'c')],
  });
  it('notNext looks at the first event of the gap only', () => {
    finds(gap('notNext'), 'a b c', []);
    finds(gap('notNext'), 'a x b c', ['a c']);
  });
  it('notFollowedBy looks at the whole gap', () => {
    finds(gap('notFollowedBy'), 'a x b c', []);
    finds(gap('notFollowedBy'), 'a x c', ['a c']);
    finds(gap('notFollowedBy'), 'a b a c', ['a c']);
  });
  it('notFollowedBy is over once an optional step after it took an event', () => {
    const steps = [
      step('a', 'a'),
      step('no', 'b', { contiguity: 'notFollowedBy' }),
      step('c', 'c', { optional: true, contiguity: 'followedByAny' }),
      step('d', 'd', { contiguity: 'followedByAny' }),
    ];
    finds({ steps }, 'a c b d', ['a c d']);
    finds({ steps }, 'a b d', []);
  });
  it('notFollowedBy forbids between repetitions before it', () => {
    const steps = [
      step('a', 'a', { min: 2, max: 2 }),
      step('no', 'b', { contiguity: 'notFollowedBy' }),
      step('c', 'c'),
    ];
    finds({ steps }, 'a1 b a2 c', []);
    finds({ steps }, 'a1 x a2 c', ['a1 a2 c']);
  });
  it('notFollowedBy at the end matches when the time is over', () => {
    const pattern = {
      steps: [step('a', 'a'), step('no', 'b', { contiguity: 'notFollowedBy' })],
      withinMs: 3,
    };
    const { matches, timeouts } = run(pattern, stream('a1 a2 b y z a3'));
    assert.deepEqual(matches, [{ names: 'a3', steps: 'a', at: Infinity }]);
    assert.deepEqual(timeouts, []);
    assert.equal(run(pattern, stream('a x y z')).matches[0]?.at, 3);
  });
  it('notNext at the end matches with the next event', () => {
    const steps = [step('a', 'a'), step('no', 'b', { contiguity: 'notNext' })];
    assert.deepEqual(run({ steps }, stream('a1 b a2 x a3')).matches, [{ names: 'a2', steps: 'a', at: 3 }]);
  });
});

describe('within', () => {
  const steps = [step('a', 'a'), step('b', 'b', { contiguity: 'followedByAny' })];
  it('leaves out the event at exactly first + within', () => {
    const { matches, timeouts } = run({ steps, withinMs: 3 }, stream('a b1 b2 b3'));
    assert.deepEqual(
      matches.map(({ names }) => names),
      ['a b1', 'a b2'],
    );
    assert.deepEqual(timeouts, ['a']);
  });
  it('ends one after the other what ran out of time at once: a match skips what began in it', () => {
    const pattern = {
      steps: [step('a', 'a'), step('b', 'a'), step('no', 'b', { contiguity: 'notFollowedBy' })],
      withinMs: 3,
      skip: { mode: 'skipPastLast' as const, step: '' },
    };
    const { matches, timeouts } = run(pattern, stream('a1 a2'));
    assert.deepEqual(
      matches.map(({ names }) => names),
      ['a1 a2'],
    );
    assert.deepEqual(timeouts, []);
  });
  it('tells each partial match that ran out of time once', () => {
    const loop = { steps: [step('a', 'a'), step('b', 'b', many), step('c', 'c')], withinMs: 10 };
    assert.deepEqual(run(loop, stream('a b1 x b2 y')).timeouts, ['a b1', 'a b1 b2']);
  });
});

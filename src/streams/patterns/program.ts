/**
 * A pattern compiled to tables: positions, what each may be followed by, and conditions by number.
 *
 * Role: made once per operator from its plan and its conditions; all the matcher reads. Only steps that take events are
 * positions; the forbidding ones become conditions of the gap they stand in. Position n (after the last) is the end.
 * Condition numbers: step i of the plan has i for `where` and `UNTIL + i` for `until`, so that the outcomes of all
 * conditions for one event fit a word.
 */
import type { PatternPlan, PatternStepPlan } from '../plan.ts';
import type { KeptEvent, Taken } from './taken.ts';

/** A condition that needs more than the event: the chain it would be taken into. `taken` null: it would be the first. */
export type StepCondition = (event: KeptEvent, taken: Taken | null) => boolean;

/** Number of the `until` condition of step 0. */
export const UNTIL = 16;

export const STRICT = 0;
export const RELAXED = 1;
export const ANY = 2;
export type Contiguity = typeof STRICT | typeof RELAXED | typeof ANY;

const CONTIGUITY = { next: STRICT, followedBy: RELAXED, followedByAny: ANY, notNext: STRICT, notFollowedBy: RELAXED };

export interface Position {
  readonly name: string;
  readonly min: number;
  readonly max: number;
  readonly greedy: boolean;
  /** How its first event follows the one before, and its further ones each other. */
  readonly contiguity: Contiguity;
  readonly inner: Contiguity;
  readonly where: number;
  /** −1: none. */
  readonly until: number;
  /** Positions that can follow when it is left, as bits. */
  readonly onward: number;
  /** Conditions that must not hold in the gap before it: for any event, and for the gap's first event. */
  readonly never: readonly number[];
  readonly neverNext: readonly number[];
}

export interface PatternProgram {
  readonly positions: readonly Position[];
  /** Of the gap after the last position. */
  readonly never: readonly number[];
  readonly neverNext: readonly number[];
  /** Positions a match can begin at, as bits. */
  readonly starts: number;
  /** Conditions of those, as bits: an event for which none can hold begins nothing. */
  readonly startConditions: number;
  /** By condition number; null: settled by the event alone, see `KeptEvent.holds`. */
  readonly conditions: readonly (StepCondition | null)[];
  /** Bits of the conditions that are settled by the event alone. */
  readonly settled: number;
  readonly anyGreedy: boolean;
  /** 0: no limit. */
  readonly withinMs: number;
  readonly skip: PatternPlan['skip']['mode'];
  /** Position `toFirst` and `toLast` name. */
  readonly skipTo: number;
  /** An event for which no condition holds changes nothing. */
  readonly ignoresOthers: boolean;
}

export type PatternShape = Pick<PatternPlan, 'steps' | 'withinMs' | 'skip'>;

/** Whether a step only says what must not come. */
export function isForbidding(step: PatternStepPlan): boolean {
  return step.contiguity === 'notNext' || step.contiguity === 'notFollowedBy';
}

/** `conditions` by number, see above. The definition was checked: at most 16 steps, the first of which takes events. */
export function compileProgram(shape: PatternShape, conditions: readonly (StepCondition | null)[]): PatternProgram {
  const { steps, withinMs, skip } = shape;
  const never: number[][] = [[]];
  const neverNext: number[][] = [[]];
  const taking: number[] = [];
  for (const [i, step] of steps.entries()) {
    const gap = never.length - 1;
    if (step.contiguity === 'notFollowedBy') never[gap]?.push(i);
    else if (step.contiguity === 'notNext') neverNext[gap]?.push(i);
    else {
      taking.push(i);
      never.push([]);
      neverNext.push([]);
    }
  }
  const optional = taking.map((i) => steps[i]?.optional === true || steps[i]?.min === 0);
  const positions = taking.map((i, at): Position => {
    const step = steps[i] as PatternPlan['steps'][number];
    return {
      name: step.name,
      min: Math.max(1, step.min),
      max: step.max,
      greedy: step.greedy,
      contiguity: CONTIGUITY[step.contiguity] as Contiguity,
      inner: CONTIGUITY[step.inner] as Contiguity,
      where: i,
      until: step.until === '' ? -1 : UNTIL + i,
      onward: reach(optional, at + 1),
      never: never[at] as number[],
      neverNext: neverNext[at] as number[],
    };
  });
  const starts = reach(optional, 0) & ~(1 << positions.length);
  let settled = 0;
  for (const [i, step] of steps.entries()) {
    if (conditions[i] === null) settled |= 1 << i;
    if (step.until !== '' && conditions[UNTIL + i] === null) settled |= 1 << (UNTIL + i);
  }
  const decided = steps.every(
    (step, i) => conditions[i] === null && (step.until === '' || conditions[UNTIL + i] === null),
  );
  const patient = positions.every(
    ({ contiguity, inner, max }, at) => (at === 0 || contiguity !== STRICT) && (max === 1 || inner !== STRICT),
  );
  return {
    positions,
    never: never[positions.length] as number[],
    neverNext: neverNext[positions.length] as number[],
    starts,
    startConditions: positions.reduce((bits, { where }, at) => (starts & (1 << at) ? bits | (1 << where) : bits), 0),
    conditions,
    settled,
    anyGreedy: positions.some(({ greedy }) => greedy),
    withinMs,
    skip: skip.mode,
    skipTo: positions.findIndex(({ name }) => name === skip.step),
    ignoresOthers: decided && patient && steps.every((step) => !(isForbidding(step) && step.contiguity === 'notNext')),
  };
}

/** Positions from `at` on, up to the first that must not be left out; the end when none must. */
function reach(optional: readonly boolean[], at: number): number {
  let bits = 1 << at;
  for (let p = at; p < optional.length && optional[p]; p++) bits |= 1 << (p + 1);
  return bits;
}

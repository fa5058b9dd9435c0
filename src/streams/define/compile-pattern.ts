/**
 * From a pattern's definition to its plan: defaults, the order of steps, and which steps each condition may look at.
 *
 * Role: one operator of `compile.ts`. A condition sees its own step and those before it; steps that forbid events have
 * none to look at.
 */
import { patternScope } from '../expressions/scopes.ts';
import type { PatternPlan, PatternStepPlan } from '../plan.ts';
import { checkExpression, selected } from './check-expression.ts';
import { keyFields, listed, type StreamContext } from './compile-stream.ts';
import type { PatternDefinition, PatternStep } from './definition.ts';
import { at, type Findings } from './definition-problem.ts';
import type { Groups } from './groups.ts';

function forbids({ contiguity }: PatternStep): boolean {
  return contiguity === 'notNext' || contiguity === 'notFollowedBy';
}

export function patternPlan(
  definition: PatternDefinition,
  index: number,
  stream: StreamContext,
  groups: Groups,
  path: string,
): PatternPlan {
  const { findings, plan: of } = stream;
  const taken = definition.steps.filter((step) => !forbids(step)).map(({ name }) => name);
  const steps = definition.steps.map((step, i) =>
    stepPlan(definition.steps, step, i, stream, at(at(path, 'steps'), i)),
  );
  const scope = patternScope(of.fields, taken);
  const key = definition.key === undefined ? of.key : keyFields(definition.key, of.fields, at(path, 'key'), findings);
  checkOrder(definition, taken, path, findings);
  return {
    kind: 'pattern',
    index,
    name: definition.name,
    stream: of.index,
    group: groups.of([{ stream: of, fields: key }]),
    feeds: [],
    stateShape: '',
    steps,
    withinMs: definition.withinMs ?? 0,
    skip: skipOf(definition),
    select: selected(definition.select, scope, at(path, 'select'), findings),
    timeouts: definition.timeouts ?? false,
    time: definition.time ?? 'event',
  };
}

/** What steps mean together. */
function checkOrder(definition: PatternDefinition, taken: readonly string[], path: string, findings: Findings): void {
  const { skip, steps, timeouts, withinMs } = definition;
  const stepAt = (i: number, member: string): string => at(at(at(path, 'steps'), i), member);
  for (const [i, { name }] of steps.entries()) {
    if (steps.findIndex((step) => step.name === name) < i) findings.add(stepAt(i, 'name'), name, 'a name of its own');
    if (name === 'prev') findings.add(stepAt(i, 'name'), name, 'another name: `prev` is the event before');
  }
  const [first] = steps;
  if (first !== undefined && forbids(first)) {
    findings.add(stepAt(0, 'contiguity'), first.contiguity, 'a first step that takes events');
  } else if (steps.every((step) => forbids(step) || step.optional === true || step.times?.min === 0)) {
    findings.add(at(path, 'steps'), steps, 'a step that takes events and is not optional');
  }
  if (
    withinMs === undefined &&
    steps.slice(lastTaking(steps) + 1).some((step) => step.contiguity === 'notFollowedBy')
  ) {
    findings.add(at(path, 'withinMs'), undefined, 'a bound: only then is it known that nothing follows the last step');
  }
  if (timeouts === true && withinMs === undefined) {
    findings.add(at(path, 'timeouts'), true, 'withinMs beside it: without a bound nothing runs out of time');
  }
  if (skip === undefined || typeof skip === 'string') return;
  const [mode, step] = 'toFirst' in skip ? ['toFirst', skip.toFirst] : ['toLast', skip.toLast];
  if (taken.includes(step as string)) return;
  findings.add(at(at(path, 'skip'), mode as string), step, `a step that takes events: ${listed(taken)}`, taken);
}

function lastTaking(steps: readonly PatternStep[]): number {
  return steps.findLastIndex((step) => !forbids(step));
}

function stepPlan(
  steps: readonly PatternStep[],
  step: PatternStep,
  index: number,
  { findings, plan: { fields } }: StreamContext,
  path: string,
): PatternStepPlan {
  const visible = steps.slice(0, index + 1).filter((each) => !forbids(each));
  const scope = patternScope(
    fields,
    visible.map(({ name }) => name),
  );
  checkExpression(step.where, scope, 'boolean', at(path, 'where'), findings);
  checkExpression(step.until, scope, 'boolean', at(path, 'until'), findings);
  const { min, max } = step.times ?? { min: 1, max: 1 };
  if (max !== null && max < min) findings.add(at(at(path, 'times'), 'max'), max, `at least min (${min}), or null`);
  checkMembers(step, max === null || max > 1, path, findings);
  return {
    name: step.name,
    where: step.where ?? '',
    contiguity: step.contiguity ?? 'followedBy',
    // No event at all is what `optional` says.
    min: Math.max(1, min),
    max: max ?? Number.POSITIVE_INFINITY,
    optional: (step.optional ?? false) || min === 0,
    greedy: step.greedy ?? false,
    inner: step.inner ?? 'followedBy',
    until: step.until ?? '',
  };
}

/** Members that would do nothing. */
function checkMembers(step: PatternStep, repeats: boolean, path: string, findings: Findings): void {
  for (const member of ['times', 'optional', 'greedy', 'inner', 'until'] as const) {
    const value = step[member];
    if (value === undefined || value === false) continue;
    if (forbids(step)) findings.add(at(path, member), value, `nothing: ${step.contiguity} takes no events`);
    else if (!repeats && member !== 'times' && member !== 'optional') {
      findings.add(at(path, member), value, 'times with more than one event beside it');
    }
  }
}

function skipOf({ skip = 'noSkip' }: PatternDefinition): PatternPlan['skip'] {
  if (typeof skip === 'string') return { mode: skip, step: '' };
  return 'toFirst' in skip ? { mode: 'toFirst', step: skip.toFirst } : { mode: 'toLast', step: skip.toLast };
}

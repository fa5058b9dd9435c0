/**
 * From a window's definition to its plan: defaults, and what its members mean together.
 *
 * Role: one operator of `compile.ts`. Members that a type of window does not have are refused, so that nobody believes
 * in a setting that does nothing.
 */
import { rowScope } from '../expressions/row.ts';
import type { WindowPlan } from '../plan.ts';
import { checkExpression } from './check-expression.ts';
import { aggregatePlan, type CompiledAggregate } from './compile-aggregate.ts';
import { keyFields, listed, type StreamContext } from './compile-stream.ts';
import type { WindowDefinition } from './definition.ts';
import { at, type Findings } from './definition-problem.ts';
import type { Groups } from './groups.ts';
import { SLICES_PER_WINDOW_MAX } from './limits.ts';

type Member = 'sizeMs' | 'slideMs' | 'offsetMs' | 'gapMs' | 'count' | 'top' | 'allowedLatenessMs' | 'late';

const CUT_MEMBERS: readonly Member[] = [
  'sizeMs',
  'slideMs',
  'offsetMs',
  'gapMs',
  'count',
  'top',
  'allowedLatenessMs',
  'late',
];
const REQUIRED: Readonly<Record<WindowDefinition['type'], readonly Member[]>> = {
  tumbling: ['sizeMs'],
  hopping: ['sizeMs', 'slideMs'],
  cumulating: ['sizeMs', 'slideMs'],
  session: ['gapMs'],
  count: ['count'],
  global: [],
};
const ALLOWED: Readonly<Record<WindowDefinition['type'], readonly Member[]>> = {
  tumbling: ['offsetMs', 'top', 'allowedLatenessMs', 'late'],
  hopping: ['offsetMs', 'top', 'allowedLatenessMs', 'late'],
  cumulating: ['offsetMs', 'top', 'allowedLatenessMs', 'late'],
  session: ['allowedLatenessMs', 'late'],
  count: [],
  global: [],
};

export function windowPlan(
  definition: WindowDefinition,
  index: number,
  stream: StreamContext,
  groups: Groups,
  path: string,
): WindowPlan {
  const { findings, plan: of } = stream;
  const { trigger = {}, type } = definition;
  checkMembers(definition, path, findings);
  checkSizes(definition, path, findings);
  const scope = rowScope(of.fields);
  checkExpression(definition.where, scope, 'boolean', at(path, 'where'), findings);
  const compiled = Object.entries(definition.aggregates).map(([name, each]) =>
    aggregatePlan(name, each, scope, at(at(path, 'aggregates'), name), findings),
  );
  const { sizeMs = 0, slideMs = type === 'tumbling' ? sizeMs : 0 } = definition;
  const key = definition.key === undefined ? of.key : keyFields(definition.key, of.fields, at(path, 'key'), findings);
  return {
    kind: 'window',
    index,
    name: definition.name,
    stream: of.index,
    group: groups.of([{ stream: of, fields: key }]),
    feeds: [],
    stateShape: '',
    type,
    sizeMs,
    slideMs,
    offsetMs: offsetWithin(definition.offsetMs ?? 0, type === 'hopping' ? slideMs : sizeMs),
    gapMs: definition.gapMs ?? 0,
    count: definition.count ?? 0,
    time: definition.time ?? 'event',
    where: definition.where ?? '',
    aggregates: compiled.map((each) => each.plan),
    allowedLatenessMs: definition.allowedLatenessMs ?? 0,
    sideOutput: definition.late === 'side-output',
    earlyMs: trigger.everyMs ?? 0,
    earlyCount: trigger.everyCount ?? 0,
    accumulation: definition.accumulation ?? 'accumulating',
    top: topOf(definition, compiled, path, findings),
    retainRows: definition.retainRows ?? 10_000,
  };
}

function checkMembers(definition: WindowDefinition, path: string, findings: Findings): void {
  const { time, type } = definition;
  for (const member of CUT_MEMBERS) {
    const value = definition[member];
    const required = REQUIRED[type].includes(member);
    if (required && value === undefined) findings.add(at(path, member), undefined, `a value: it is a ${type} window`);
    if (value === undefined || required || ALLOWED[type].includes(member)) continue;
    findings.add(at(path, member), value, `nothing: a ${type} window has no such member`);
  }
  if (time !== 'processing') return;
  for (const member of ['allowedLatenessMs', 'late'] as const) {
    const value = definition[member];
    if (value === undefined || value === 0 || value === 'drop') continue;
    findings.add(at(path, member), value, 'nothing: in processing time no event is late');
  }
}

/** How size and slide go together. */
function checkSizes({ sizeMs, slideMs, type }: WindowDefinition, path: string, findings: Findings): void {
  if (sizeMs === undefined || slideMs === undefined) return;
  if (type === 'cumulating' && sizeMs % slideMs !== 0) {
    findings.add(at(path, 'slideMs'), slideMs, `a divisor of sizeMs (${sizeMs})`);
  }
  // Each slide is cut in two where the slide does not divide the size.
  const slices = sizeMs % slideMs === 0 ? sizeMs / slideMs : 2 * Math.floor(sizeMs / slideMs) + 1;
  if (slices <= SLICES_PER_WINDOW_MAX) return;
  const expected = `a slide of which sizeMs (${sizeMs}) has at most ${SLICES_PER_WINDOW_MAX} slices, not ${slices}`;
  findings.add(at(path, 'slideMs'), slideMs, expected);
}

function topOf(
  definition: WindowDefinition,
  aggregates: readonly CompiledAggregate[],
  path: string,
  findings: Findings,
): WindowPlan['top'] {
  const { top } = definition;
  if (top === undefined) return null;
  const by = at(at(path, 'top'), 'by');
  const names = aggregates.map((each) => each.plan.name);
  const type = aggregates.find((each) => each.plan.name === top.by)?.type;
  if (type === undefined) findings.add(by, top.by, `an aggregate of the window: ${listed(names)}`, names);
  else if (type !== 'number' && type !== 'any')
    findings.add(by, top.by, `an aggregate that gives a number, not a ${type}`);
  checkPanes(definition, path, findings);
  return { by: top.by, limit: top.limit, ties: top.ties ?? false };
}

/** A pane is a ranking of all keys: it needs all of their content, and a moment that all shards share. */
function checkPanes(
  { accumulation, allowedLatenessMs = 0, trigger = {} }: WindowDefinition,
  path: string,
  findings: Findings,
): void {
  const { everyCount = 0, everyMs = 0 } = trigger;
  if (everyCount > 0) {
    const expected = 'nothing: top ranks all keys, and one key having so many events is no moment for the others';
    findings.add(at(at(path, 'trigger'), 'everyCount'), everyCount, expected);
  }
  if (accumulation !== 'discarding' || (allowedLatenessMs === 0 && everyMs === 0)) return;
  const expected = 'accumulating or retracting: top ranks all that a window holds, not what is new in it';
  findings.add(at(path, 'accumulation'), accumulation, expected);
}

/** Windows start at offset + n × period for any n: the smallest offset that says so. */
function offsetWithin(offsetMs: number, periodMs: number): number {
  if (periodMs === 0) return 0;
  const rest = offsetMs % periodMs;
  return rest < 0 ? rest + periodMs : rest + 0;
}

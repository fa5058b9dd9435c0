/**
 * From a join's definition to its plan; and from a view's.
 *
 * Role: operators of `compile.ts` that make new events of events. The two sides of a join are hashed alike, so the types
 * of their keys must agree.
 */
import type { ScopeNames } from '../expressions/checked.ts';
import { typeOfField } from '../expressions/language.ts';
import { rowScope } from '../expressions/row.ts';
import { joinScope } from '../expressions/scopes.ts';
import type { JoinPlan, StreamPlan, ViewPlan } from '../plan.ts';
import { checkExpression, selected } from './check-expression.ts';
import { keyFields, listed, type StreamContext } from './compile-stream.ts';
import type { JoinDefinition, ViewDefinition } from './definition.ts';
import { at, type Findings } from './definition-problem.ts';
import type { Groups } from './groups.ts';

type Member = 'lowerMs' | 'upperMs' | 'sizeMs' | 'ttlMs';

const MEMBERS: readonly Member[] = ['lowerMs', 'upperMs', 'sizeMs', 'ttlMs'];
const REQUIRED: Readonly<Record<JoinDefinition['type'], readonly Member[]>> = {
  interval: ['lowerMs', 'upperMs'],
  window: ['sizeMs'],
  lookup: [],
};

/** Null, with a problem, when the other stream does not exist. */
export function joinPlan(
  definition: JoinDefinition,
  index: number,
  left: StreamContext,
  streams: readonly StreamPlan[],
  groups: Groups,
  path: string,
): JoinPlan | null {
  const { findings } = left;
  const right = streams.find(({ name }) => name === definition.with);
  if (right === undefined) {
    const names = streams.map(({ name }) => name);
    findings.add(at(path, 'with'), definition.with, `a stream: ${listed(names)}`, names);
    return null;
  }
  checkMembers(definition, path, findings);
  const scope = joinScope(left.plan.fields, right.fields);
  checkExpression(definition.where, scope, 'boolean', at(path, 'where'), findings);
  const { lowerMs = 0, sizeMs = 0, ttlMs = 0, upperMs = 0 } = definition;
  return {
    kind: 'join',
    index,
    name: definition.name,
    stream: left.plan.index,
    group: joinGroup(definition, left.plan, right, groups, at(path, 'on'), findings),
    feeds: [],
    stateShape: '',
    right: right.index,
    type: definition.type,
    lowerMs,
    upperMs,
    sizeMs,
    outer: definition.kind === 'left',
    where: definition.where ?? '',
    select: selected(definition.select, scope, at(path, 'select'), findings),
    ttlMs,
  };
}

function checkMembers(definition: JoinDefinition, path: string, findings: Findings): void {
  const { lowerMs, type, upperMs } = definition;
  for (const member of MEMBERS) {
    const value = definition[member];
    const required = REQUIRED[type].includes(member);
    if (required && value === undefined)
      findings.add(at(path, member), undefined, `a value: it is a join of type ${type}`);
    if (value === undefined || required || (member === 'ttlMs' && type === 'lookup')) continue;
    findings.add(at(path, member), value, `nothing: a join of type ${type} has no such member`);
  }
  if (lowerMs === undefined || upperMs === undefined || lowerMs <= upperMs) return;
  findings.add(at(path, 'upperMs'), upperMs, `at least lowerMs (${lowerMs})`);
}

function joinGroup(
  { on }: JoinDefinition,
  left: StreamPlan,
  right: StreamPlan,
  groups: Groups,
  path: string,
  findings: Findings,
): number {
  const leftKey = keyFields(on.left, left.fields, at(path, 'left'), findings);
  const rightKey = keyFields(on.right, right.fields, at(path, 'right'), findings);
  if (on.left.length !== on.right.length) {
    findings.add(at(path, 'right'), on.right, `as many fields as on the left (${on.left.length})`);
  }
  for (const [i, field] of leftKey.entries()) {
    const one = left.fields[field];
    const other = right.fields[rightKey[i] ?? -1];
    if (one === undefined || other === undefined || typeOfField(one.type) === typeOfField(other.type)) continue;
    findings.add(at(at(path, 'right'), i), other.name, `a ${one.type} like ${one.name}, not a ${other.type}`);
  }
  return groups.of([
    { stream: left, fields: leftKey },
    { stream: right, fields: rightKey },
  ]);
}

export function viewPlan(
  definition: ViewDefinition,
  index: number,
  { findings, plan: of }: StreamContext,
  groups: Groups,
  path: string,
): ViewPlan {
  const scope: ScopeNames = rowScope(of.fields);
  checkExpression(definition.where, scope, 'boolean', at(path, 'where'), findings);
  return {
    kind: 'view',
    index,
    name: definition.name,
    stream: of.index,
    group: groups.of([{ stream: of, fields: of.key }]),
    feeds: [],
    stateShape: '',
    where: definition.where ?? '',
    select: selected(definition.select, scope, at(path, 'select'), findings),
  };
}

/**
 * From an anomaly's definition to its plan; and from an alert's.
 *
 * Role: operators of `compile.ts` that look at what other operators of the stream say. They share the key group of what
 * they look at, so a result reaches them in the shard where it was made.
 */

import { print } from '../expressions/print.ts';
import { columnTypes, type PlanParts, scopeOfResults } from '../expressions/result-columns.ts';
import type { AlertPlan, AnomalyPlan, OperatorPlan, StreamPlan, WindowPlan } from '../plan.ts';
import { checkExpression, checkMessage } from './check-expression.ts';
import { fieldNamed, keyFields, listed, type StreamContext } from './compile-stream.ts';
import type { AlertDefinition, AnomalyDefinition } from './definition.ts';
import { at, type Findings } from './definition-problem.ts';
import type { Groups } from './groups.ts';

type Member = 'threshold' | 'alpha' | 'warmup' | 'seasonMs' | 'buckets' | 'maxPerSecond' | 'afterMs';

const MEMBERS: readonly Member[] = ['threshold', 'alpha', 'warmup', 'seasonMs', 'buckets', 'maxPerSecond', 'afterMs'];
const REQUIRED: Readonly<Record<AnomalyDefinition['type'], readonly Member[]>> = {
  zscore: [],
  ewma: [],
  seasonal: ['seasonMs', 'buckets'],
  rate: ['maxPerSecond'],
  missing: ['afterMs'],
};
const ALLOWED: Readonly<Record<AnomalyDefinition['type'], readonly Member[]>> = {
  zscore: ['threshold', 'warmup'],
  ewma: ['threshold', 'warmup', 'alpha'],
  seasonal: ['threshold', 'warmup'],
  rate: [],
  missing: [],
};

/** Null, with a problem, when there is nothing it could look at. */
export function anomalyPlan(
  definition: AnomalyDefinition,
  index: number,
  stream: StreamContext,
  parts: PlanParts,
  groups: Groups,
  path: string,
): AnomalyPlan | null {
  const { findings, plan: of } = stream;
  checkAnomalyMembers(definition, path, findings);
  const window = definition.window === undefined ? null : windowNamed(definition.window, stream, parts, path);
  if (window === undefined) return null;
  if (window !== null) checkUnranked(window, at(path, 'window'), findings);
  if (window === null) checkField(definition, stream, path);
  else checkWindowValue(definition, window, parts, path, findings);
  const key = definition.key === undefined ? of.key : keyFields(definition.key, of.fields, at(path, 'key'), findings);
  return {
    kind: 'anomaly',
    index,
    name: definition.name,
    stream: of.index,
    group: window?.group ?? groups.of([{ stream: of, fields: key }]),
    feeds: [],
    stateShape: '',
    source: window?.index ?? -1,
    value: window === null ? fieldText(definition, of) : definition.value,
    type: definition.type,
    threshold: definition.threshold ?? 3,
    alpha: definition.alpha ?? 0.1,
    warmup: definition.warmup ?? 20,
    seasonMs: definition.seasonMs ?? 0,
    buckets: definition.buckets ?? 0,
    maxPerSecond: definition.maxPerSecond ?? 0,
    afterMs: definition.afterMs ?? 0,
  };
}

/** The field as an expression; none where only the presence of events counts and the field has no number. */
function fieldText({ type, value }: AnomalyDefinition, { fields }: StreamPlan): string {
  const isNumber = fields.find(({ name }) => name === value)?.type !== 'string';
  return type === 'missing' && !isNumber ? '' : print({ kind: 'name', at: 0, name: value });
}

function checkAnomalyMembers(definition: AnomalyDefinition, path: string, findings: Findings): void {
  const { buckets, seasonMs, type } = definition;
  for (const member of MEMBERS) {
    const value = definition[member];
    const required = REQUIRED[type].includes(member);
    if (required && value === undefined) findings.add(at(path, member), undefined, `a value: its type is ${type}`);
    if (value === undefined || required || ALLOWED[type].includes(member)) continue;
    findings.add(at(path, member), value, `nothing: an anomaly of type ${type} has no such member`);
  }
  if (buckets === undefined || seasonMs === undefined || buckets <= seasonMs) return;
  findings.add(at(path, 'buckets'), buckets, `at most one per millisecond of seasonMs (${seasonMs})`);
}

/** Undefined, with a problem, when there is none. */
function windowNamed(name: string, stream: StreamContext, parts: PlanParts, path: string): WindowPlan | undefined {
  const windows = operatorsOf(parts, stream).filter((each): each is WindowPlan => each.kind === 'window');
  const found = windows.find((window) => window.name === name);
  if (found !== undefined) return found;
  const names = windows.map((window) => window.name);
  stream.findings.add(at(path, 'window'), name, `a window of the stream: ${listed(names)}`, names);
  return undefined;
}

function checkField({ type, value }: AnomalyDefinition, { findings, plan: of }: StreamContext, path: string): void {
  const field = of.fields[fieldNamed(value, of.fields, at(path, 'value'), findings)];
  if (field === undefined || type === 'missing' || field.type === 'number' || field.type === 'integer') return;
  findings.add(at(path, 'value'), value, `a field that is a number, not a ${field.type}`);
}

function checkWindowValue(
  { key, type, value }: AnomalyDefinition,
  window: WindowPlan,
  parts: PlanParts,
  path: string,
  findings: Findings,
): void {
  const columns = columnTypes(parts, window) ?? new Map();
  const names = [...columns.keys()];
  const found = columns.get(value);
  if (found === undefined)
    findings.add(at(path, 'value'), value, `an aggregate of ${window.name}: ${listed(names)}`, names);
  else if (type !== 'missing' && found !== 'number' && found !== 'any') {
    findings.add(at(path, 'value'), value, `an aggregate that gives a number, not a ${found}`);
  }
  const own = parts.groups[window.group]?.keyNames ?? [];
  if (key === undefined || (key.length === own.length && key.every((name, i) => name === own[i]))) return;
  findings.add(at(path, 'key'), key, `none, or that of ${window.name}: ${listed(own)}`);
}

/** Null, with a problem, when there is nothing it could look at. */
export function alertPlan(
  definition: AlertDefinition,
  index: number,
  stream: StreamContext,
  parts: PlanParts,
  streamNames: readonly string[] | null,
  path: string,
): AlertPlan | null {
  const { findings } = stream;
  const sources = operatorsOf(parts, stream).filter(({ kind }) => kind !== 'alert');
  const source = sources.find(({ name }) => name === definition.on);
  if (source === undefined) {
    const names = sources.map(({ name }) => name);
    findings.add(at(path, 'on'), definition.on, `a window, pattern or anomaly of the stream: ${listed(names)}`, names);
    return null;
  }
  checkUnranked(source, at(path, 'on'), findings);
  const scope = scopeOfResults(parts, source);
  checkExpression(definition.when, scope, 'boolean', at(path, 'when'), findings);
  checkExpression(definition.clear, scope, 'boolean', at(path, 'clear'), findings);
  checkMessage(definition.message, scope, at(path, 'message'), findings);
  checkGroupBy(definition, parts.groups[source.group]?.keyNames ?? [], path, findings);
  checkActions(definition, stream, streamNames, path);
  return {
    kind: 'alert',
    index,
    name: definition.name,
    stream: stream.plan.index,
    group: source.group,
    feeds: [],
    stateShape: '',
    source: source.index,
    when: definition.when ?? '',
    clear: definition.clear ?? '',
    consecutive: definition.for ?? 1,
    severity: definition.severity ?? 'warning',
    message: definition.message ?? '',
    groupBy: definition.groupBy ?? [],
    silenceMs: definition.silenceMs ?? 0,
    actions: (definition.actions ?? []).map((action) =>
      'webhook' in action ? { webhook: action.webhook, headers: action.headers ?? {} } : { stream: action.stream },
    ),
  };
}

/** What looks at results does so in the shard of their key, where only that shard's ranking is known. */
function checkUnranked(source: OperatorPlan, path: string, findings: Findings): void {
  if (source.kind !== 'window' || source.top === null) return;
  const expected =
    'a window without top: its results are looked at key by key, before they are ranked (a sink of type stream makes events of the ranking)';
  findings.add(path, source.name, expected);
}

function operatorsOf({ operators }: PlanParts, { plan }: StreamContext): readonly OperatorPlan[] {
  return operators.filter(({ stream }) => stream === plan.index);
}

function checkGroupBy(
  { groupBy = [] }: AlertDefinition,
  key: readonly string[],
  path: string,
  findings: Findings,
): void {
  for (const [i, name] of groupBy.entries()) {
    const here = at(at(path, 'groupBy'), i);
    if (!key.includes(name)) findings.add(here, name, `a member of the key: ${listed(key)}`, key);
    else if (groupBy.indexOf(name) !== i) findings.add(here, name, 'each member once');
  }
}

/** `streamNames` null: other streams are not known here. */
function checkActions(
  { actions = [] }: AlertDefinition,
  { findings, plan }: StreamContext,
  streamNames: readonly string[] | null,
  path: string,
): void {
  for (const [i, action] of actions.entries()) {
    if (!('stream' in action)) continue;
    const here = at(at(at(path, 'actions'), i), 'stream');
    if (action.stream === plan.name) findings.add(here, action.stream, 'another stream than the one that is watched');
    else if (streamNames !== null && !streamNames.includes(action.stream)) {
      findings.add(here, action.stream, `a stream: ${listed(streamNames)}`, streamNames);
    }
  }
}

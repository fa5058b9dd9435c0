/**
 * Whether streams can be cut into partitions by their key: what is kept of an event must be kept where its key is.
 *
 * Role: last look of `compile.ts` at definitions whose shape and names are known. A partition sees the events of some
 * keys and nothing else, so that operators across keys (unkeyed windows, the best of all keys) have no place in it, what
 * meets in a join must have been cut alike, and what a partition reads or writes outside must be its own.
 */
import { columnNames, type PlanParts } from '../expressions/result-columns.ts';
import type { OperatorPlan } from '../plan.ts';
import type { StreamContext } from './compile-stream.ts';
import { listed } from './compile-stream.ts';
import type { JoinDefinition, StreamDefinition } from './definition.ts';
import { at, type Findings } from './definition-problem.ts';

/** In an option of a source: the number of the partition, from 0. */
export const PARTITION_PLACEHOLDER = '{partition}';

/** Sinks that writers of several partitions can share. */
const SHARED_SINKS = ['redis', 'stream', 'webhook'];

const MEMBERS = {
  window: 'windows',
  pattern: 'patterns',
  join: 'joins',
  view: 'views',
  anomaly: 'anomalies',
  alert: 'alerts',
} as const;

/** Streams that the definition joins or feeds. */
export function streamsNamedBy({ alerts = [], joins = [], sinks = [] }: StreamDefinition): string[] {
  const targets = sinks.flatMap(({ stream, type }) =>
    type === 'stream' && typeof stream === 'string' ? [stream] : [],
  );
  const raised = alerts.flatMap(({ actions = [] }) =>
    actions.flatMap((each) => ('stream' in each ? [each.stream] : [])),
  );
  return [...joins.map((join) => join.with), ...targets, ...raised];
}

export function checkPartitions(streams: readonly StreamContext[], parts: PlanParts, findings: Findings): void {
  const byName = new Map(streams.map((stream) => [stream.definition.name, stream]));
  for (const stream of streams) {
    const { definition, path, plan } = stream;
    const fed = new Set(streamsNamedBy(definition).flatMap((name) => byName.get(name) ?? []));
    for (const other of fed) {
      checkSameNumber(stream, other, findings);
      checkSameNodes(stream, other, findings);
    }
    if (plan.partitions === 1) continue;
    if (plan.durability !== 'replicated') {
      findings.add(at(path, 'partitions'), plan.partitions, '1, or durability "replicated"');
    }
    const { key = [] } = definition.schema;
    if (key.length === 0) {
      findings.add(
        at(at(path, 'schema'), 'key'),
        definition.schema.key,
        'fields to cut the stream by: it has partitions',
      );
      continue;
    }
    checkKeys(stream, key, findings);
    checkConnections(stream, findings);
    checkHandedOn(stream, key, parts, findings);
    for (const [i, join] of (definition.joins ?? []).entries()) {
      const right = byName.get(join.with)?.definition.schema.key;
      if (right !== undefined) checkJoin(join, key, right, at(at(at(path, 'joins'), i), 'on'), findings);
    }
    for (const { definition: target, path: targetPath } of fed) {
      const joined = definition.joins?.some((join) => join.with === target.name) ?? false;
      if (!joined) checkFed(target, targetPath, key, definition.name, findings);
    }
  }
}

function checkSameNumber(one: StreamContext, other: StreamContext, findings: Findings): void {
  if (one.plan.partitions === other.plan.partitions) return;
  const expected = `${other.plan.partitions}, as stream ${other.plan.name}, which it joins or feeds`;
  findings.add(at(one.path, 'partitions'), one.plan.partitions, expected);
}

/** A replicated stream goes from node to node, and takes with it what it depends on. */
function checkSameNodes(one: StreamContext, other: StreamContext, findings: Findings): void {
  const [replicated, local] = one.plan.durability === 'replicated' ? [one, other] : [other, one];
  if (replicated.plan.durability !== 'replicated' || local.plan.durability === 'replicated') return;
  const expected = `replicated, as that of stream ${replicated.plan.name}, which it is joined or fed with: both run on one node`;
  findings.add(at(local.path, 'durability'), local.definition.durability, expected);
}

/** Every key must hold the fields the stream is cut by. */
function checkKeys({ definition, path }: StreamContext, key: readonly string[], findings: Findings): void {
  const wanted = `fields among which are ${key.join(', ')}: the stream is cut by them`;
  const check = (given: readonly string[] | undefined, where: string): void => {
    if (given !== undefined && !key.every((field) => given.includes(field))) findings.add(where, given, wanted);
  };
  for (const [i, window] of (definition.windows ?? []).entries()) {
    const here = at(at(path, 'windows'), i);
    check(window.key, at(here, 'key'));
    if (window.top !== undefined) findings.add(at(here, 'top'), window.top, 'nothing: no partition sees all keys');
  }
  for (const member of ['patterns', 'anomalies'] as const) {
    for (const [i, operator] of (definition[member] ?? []).entries()) {
      check(operator.key, at(at(at(path, member), i), 'key'));
    }
  }
  for (const [i, alert] of (definition.alerts ?? []).entries()) {
    check(alert.groupBy, at(at(at(path, 'alerts'), i), 'groupBy'));
  }
}

/** Each field the left is cut by must meet the one at the same place of those the right is cut by. */
function checkJoin(
  { on }: JoinDefinition,
  left: readonly string[],
  right: readonly string[],
  path: string,
  findings: Findings,
): void {
  const meet = left.length === right.length && left.every((field, i) => on.right[on.left.indexOf(field)] === right[i]);
  if (meet) return;
  findings.add(path, on, `the keys that both streams are cut by to meet: ${left.join(', ')} and ${right.join(', ')}`);
}

/** Results go on in the partition they came from. */
function checkFed(
  target: StreamDefinition,
  path: string,
  key: readonly string[],
  source: string,
  findings: Findings,
): void {
  const its = target.schema.key ?? [];
  if (its.length === key.length && its.every((field, i) => field === key[i])) return;
  findings.add(at(at(path, 'schema'), 'key'), its, `${key.join(', ')}: stream ${source}, cut by it, feeds this one`);
}

/**
 * Results become events of their key and their values, of which one that is named as the key stands in its place: it
 * must be the same.
 */
function checkHandedOn(
  { definition, path, plan }: StreamContext,
  key: readonly string[],
  parts: PlanParts,
  findings: Findings,
): void {
  const { alerts = [], sinks = [] } = definition;
  const derived = sinks.filter(({ type }) => type === 'stream');
  const telling = new Set(
    alerts.flatMap(({ actions = [], name }) => (actions.some((action) => 'stream' in action) ? [name] : [])),
  );
  const isHandedOn = (name: string): boolean =>
    telling.has(name) || derived.some(({ of = [] }) => of.length === 0 || of.includes(name));
  for (const operator of parts.operators) {
    if (operator.stream !== plan.index || !isHandedOn(operator.name)) continue;
    const names = columnNames(parts, operator);
    const member = MEMBERS[operator.kind];
    const index = (definition[member] ?? []).findIndex(({ name }) => name === operator.name);
    for (const field of key) {
      if (!names.includes(field) || isTheKey(operator, field, parts)) continue;
      const expected = `values of other names than the key's: as ${field} they would go on under another key`;
      findings.add(at(at(path, member), index), field, expected);
    }
  }
}

/** Whether the value of the key's name is what the key has there. */
function isTheKey(operator: OperatorPlan, field: string, { groups, streams }: PlanParts): boolean {
  if (operator.kind === 'view' && operator.select.length === 0) return true;
  if (operator.kind !== 'view' && operator.kind !== 'join') return false;
  const text = operator.select.find(({ name }) => name === field)?.expression.trim();
  if (operator.kind === 'view') return text === field;
  const [left, right] = groups[operator.group]?.inputs ?? [];
  const nth = left?.fields.findIndex((index) => streams[left.stream]?.fields[index]?.name === field) ?? -1;
  const other = streams[right?.stream ?? -1]?.fields[right?.fields[nth] ?? -1]?.name;
  return text === `left.${field}` || (!operator.outer && text === `right.${other}`);
}

function checkConnections({ definition, path }: StreamContext, findings: Findings): void {
  for (const [i, { type, stream }] of (definition.sources ?? []).entries()) {
    const here = at(at(path, 'sources'), i);
    if (type !== 'redis')
      findings.add(at(here, 'type'), type, 'redis: a source of a stream with partitions has as many');
    else if (typeof stream !== 'string' || !stream.includes(PARTITION_PLACEHOLDER)) {
      findings.add(
        at(here, 'stream'),
        stream,
        `a key with ${PARTITION_PLACEHOLDER} in it: each partition reads its own`,
      );
    }
  }
  for (const [i, { type }] of (definition.sinks ?? []).entries()) {
    if (SHARED_SINKS.includes(type)) continue;
    const expected = `one that partitions can share: ${listed(SHARED_SINKS)}`;
    findings.add(at(at(at(path, 'sinks'), i), 'type'), type, expected, SHARED_SINKS);
  }
}

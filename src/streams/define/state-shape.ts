/**
 * What determines how an operator's state is laid out and what it means, as canonical JSON.
 *
 * Role: two operators of the same name and shape understand each other's memory (`compatibility.ts`), be it of an earlier
 * plan or of an earlier version, which a checkpoint tells. Names of sinks,
 * thresholds, texts, retention and lateness are not in it: they are looked at when results are made. Conditions and
 * expressions are, in one spelling, with the types of the fields they read: state gathered under another condition
 * means something else. Fields are named, not numbered: state may not depend on where a field stands in its stream.
 */
import { childrenOf, type Node } from '../expressions/ast.ts';
import { parse } from '../expressions/parse.ts';
import type { AggregatePlan, FieldPlan, OperatorPlan, StreamPlan, WindowPlan } from '../plan.ts';
import { canonical } from './check-expression.ts';

/**
 * Versions of the memory layout of state: of key tables (`state/`), which all operators have, and of each operator's
 * own. To be raised with every change after which earlier memory would be misread.
 */
const KEYS_LAYOUT = 1;
const LAYOUTS = { window: 2, session: 3, count: 3, pattern: 1, join: 2, anomaly: 2, alert: 1, view: 1 } as const;

/** `source`: the operator it takes results of; undefined for events. Expressions have been checked. */
export function shapeOf(operator: OperatorPlan, streams: readonly StreamPlan[], source?: OperatorPlan): string {
  const { kind } = operator;
  const layout = `keys ${KEYS_LAYOUT}, own ${LAYOUTS[kind === 'window' ? layoutOf(operator) : kind]}`;
  return JSON.stringify({ kind, layout, ...partsOf(operator, streams, source) });
}

/** Windows of three kinds of memory. */
function layoutOf({ type }: WindowPlan): 'window' | 'session' | 'count' {
  if (type === 'session') return 'session';
  return type === 'count' || type === 'global' ? 'count' : 'window';
}

function partsOf(operator: OperatorPlan, streams: readonly StreamPlan[], from: OperatorPlan | undefined): object {
  const source = from?.name ?? '';
  const fields = streams[operator.stream]?.fields ?? [];
  switch (operator.kind) {
    case 'window': {
      const { accumulation, count, gapMs, offsetMs, sizeMs, slideMs, time, type } = operator;
      const aggregates = operator.aggregates.map(canonicalAggregate);
      const early = { timed: operator.earlyMs > 0, counted: operator.earlyCount > 0 };
      const where = canonical(operator.where);
      const texts = [where, ...aggregates.flatMap((each) => [each.of, each.where])];
      const reads = typesRead(texts, fields);
      const bounds = { type, sizeMs, slideMs, offsetMs, gapMs, count, time };
      return { ...bounds, accumulation, early, where, aggregates, reads };
    }
    case 'pattern': {
      const { skip, time, withinMs } = operator;
      const steps = operator.steps.map((step) => ({
        ...step,
        max: Number.isFinite(step.max) ? step.max : null,
        where: canonical(step.where),
        until: canonical(step.until),
      }));
      const select = canonicalSelect(operator.select);
      const texts = [...steps.flatMap((step) => [step.where, step.until]), ...select.map((each) => each.expression)];
      return { time, withinMs, skip, steps, select, reads: typesRead(texts, fields) };
    }
    case 'join': {
      const { lowerMs, outer, right, sizeMs, type, upperMs } = operator;
      const select = canonicalSelect(operator.select);
      const where = canonical(operator.where);
      const texts = [where, ...select.map(({ expression }) => expression)];
      const reads = [typesRead(texts, fields), typesRead(texts, streams[right]?.fields ?? [])];
      return { type, lowerMs, upperMs, sizeMs, outer, where, select, reads };
    }
    case 'anomaly': {
      const { alpha, buckets, seasonMs, type, value } = operator;
      const of = from?.kind === 'window' ? { of: windowValue(from, value) } : {};
      return { type, source, value, ...of, alpha, seasonMs, buckets };
    }
    case 'alert':
      return { source };
    case 'view':
      return {};
  }
}

/** What a value of a window is: all that has been learned of it is about that. */
function windowValue(window: WindowPlan, value: string): object {
  const { aggregates, count, gapMs, sizeMs, slideMs, time, type } = window;
  const aggregate = aggregates.filter(({ name }) => name === value).map(canonicalAggregate)[0];
  return { ...aggregate, per: { type, sizeMs, slideMs, gapMs, count, time, where: canonical(window.where) } };
}

const canonicalAggregate = ({ of, where, ...rest }: AggregatePlan): AggregatePlan => ({
  ...rest,
  of: canonical(of),
  where: canonical(where),
});

interface Selected {
  readonly name: string;
  readonly expression: string;
}

const typesOf = (fields: readonly FieldPlan[]): string[] => fields.map(({ name, type }) => `${name}:${type}`);

/** Types of the fields that texts read, in order of names: other fields may come, go and move. */
function typesRead(texts: readonly string[], fields: readonly FieldPlan[]): string[] {
  const names = new Set<string>();
  for (const text of texts) if (text !== '') collectNames(parse(text), names);
  return typesOf(fields.filter(({ name }) => names.has(name))).sort();
}

function collectNames(node: Node, names: Set<string>): void {
  if (node.kind === 'name' || node.kind === 'member') names.add(node.name);
  for (const child of childrenOf(node)) collectNames(child, names);
}

function canonicalSelect(select: readonly Selected[]): Selected[] {
  return select.map(({ name, expression }) => ({ name, expression: canonical(expression) }));
}

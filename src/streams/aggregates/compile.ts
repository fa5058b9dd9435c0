/**
 * From the aggregates of a window to the program that keeps them.
 *
 * Role: the only entry to aggregates. Chooses the columns, shares those that are the same (`mean` reads the columns of
 * `sum` and `count`, quantiles of the same values share a sketch) and writes the result of each as an expression.
 * Conventions: absent values are skipped; of no values, `count`, `rate` and `distinct` are 0, `top` and `collect` are empty,
 * the others null. `variance` and `stddev` are those of a sample (n − 1), as SQL's, and null for fewer than two values.
 * `rate` is null without a length of the window.
 * Programs are kept with the plan they were compiled from: taking up a shard again compiles nothing, and the engine's
 * optimised code stays.
 */
import { compileRow } from '../expressions/row.ts';
import type { AggregatePlan, FieldPlan } from '../plan.ts';
import {
  collectColumn,
  customColumn,
  distinctColumn,
  edgeValueColumn,
  quantileColumn,
  topColumn,
} from './arena-columns.ts';
import { aggregateProblem, calculates } from './check.ts';
import {
  countColumn,
  edgeColumn,
  ewmaColumn,
  extremeColumn,
  momentsColumn,
  type Over,
  sumColumn,
  totalOf,
} from './flat-columns.ts';
import type { RowAggregates } from './port.ts';
import { literal, own, Program } from './program.ts';
import type { Reducer } from './reducer.ts';
import { type CompileRow, sourceOf } from './source.ts';

type Reducers = ReadonlyMap<string, Reducer>;

interface Kept {
  readonly fields: readonly FieldPlan[];
  readonly reducers: Reducers;
  readonly compile: CompileRow;
  readonly compiled: RowAggregates;
}

/** What one compilation is about. */
interface Parts {
  readonly program: Program;
  readonly aggregates: readonly AggregatePlan[];
  readonly fields: readonly FieldPlan[];
  readonly reducers: Reducers;
  readonly compile: CompileRow;
}

const NO_REDUCERS: Reducers = new Map();
const kept = new WeakMap<readonly AggregatePlan[], Kept>();

/** `reducers`: those of `custom` aggregates, by `reducerKey`, loaded before. Throws for plans that were not checked. */
export function compileAggregates(
  aggregates: readonly AggregatePlan[],
  fields: readonly FieldPlan[],
  reducers: Reducers = NO_REDUCERS,
  compile: CompileRow = compileRow,
): RowAggregates {
  const known = kept.get(aggregates);
  if (known?.fields === fields && known.reducers === reducers && known.compile === compile) return known.compiled;
  const program = new Program();
  const parts: Parts = { program, aggregates, fields, reducers, compile };
  for (const aggregate of aggregates) addAggregate(parts, aggregate);
  const compiled: RowAggregates = {
    doubles: program.doubles,
    columns: aggregates.map(({ name }) => name),
    flat: program.flat,
    mayFail: aggregates.some(({ fn }) => fn === 'custom'),
    ...program.compile(),
  };
  kept.set(aggregates, { fields, reducers, compile, compiled });
  return compiled;
}

function addAggregate(parts: Parts, plan: AggregatePlan): void {
  const problem = aggregateProblem(plan, parts.fields, parts.compile);
  if (problem !== null) throw new TypeError(`aggregate ${plan.name}: ${problem}`);
  COLUMNS[plan.fn](parts, overOf(parts, plan), plan);
}

const COLUMNS: Readonly<Record<AggregatePlan['fn'], (parts: Parts, over: Over, plan: AggregatePlan) => void>> = {
  count: ({ program }, over) => program.result(own(countColumn(program, over))),
  rate: ({ program }, over, { perMs }) => addRate(program, over, perMs),
  sum: ({ program }, over) => addSum(program, over, false),
  mean: ({ program }, over) => addSum(program, over, true),
  min: ({ program }, over) => addExtreme(program, over, false),
  max: ({ program }, over) => addExtreme(program, over, true),
  variance: ({ program }, over) => addMoments(program, over, false),
  stddev: ({ program }, over) => addMoments(program, over, true),
  ewma: ({ program }, over, { alpha }) => addEwma(program, over, alpha),
  first: ({ program }, over) => addEdge(program, over, false),
  last: ({ program }, over) => addEdge(program, over, true),
  distinct: ({ program }, over) => distinctColumn(program, over),
  quantile: ({ program, aggregates }, over, plan) => quantileColumn(program, over, plan, aggregates),
  top: ({ program }, over, { limit }) => topColumn(program, over, limit),
  collect: ({ program }, over, { limit }) => collectColumn(program, over, limit),
  custom: ({ program, fields, reducers }, over, plan) => customColumn(program, over, plan, fields, reducers),
};

function overOf({ program, fields, compile }: Parts, { fn, of, where }: AggregatePlan): Over {
  // One object per text, so that what reads the same is seen to be the same.
  const read: CompileRow = (text) => program.once(`text ${text}`, () => compile(text, fields));
  return { where: where === '' ? null : read(where, fields), source: sourceOf(of, calculates(fn), fields, read) };
}

function addRate(program: Program, over: Over, perMs: number): void {
  const count = own(countColumn(program, over));
  program.result(`spanMs > 0 && spanMs < Infinity ? ${count} * ${literal(perMs)} / spanMs : null`);
}

function addSum(program: Program, over: Over, mean: boolean): void {
  const count = own(countColumn(program, over));
  const sum = sumColumn(program, over);
  const total = `${program.bind(totalOf)}(${own(sum)}, ${own(sum + 1)})`;
  program.result(`${count} === 0 ? null : ${total}${mean ? ` / ${count}` : ''}`);
}

function addExtreme(program: Program, over: Over, max: boolean): void {
  const extreme = own(extremeColumn(program, over, max));
  program.result(`${extreme} === ${max ? '-Infinity' : 'Infinity'} ? null : ${extreme}`);
}

function addMoments(program: Program, over: Over, root: boolean): void {
  const count = own(countColumn(program, over));
  const squares = own(momentsColumn(program, over) + 1);
  const variance = `Math.max(0, ${squares}) / (${count} - 1)`;
  program.result(`${count} < 2 ? null : ${root ? `Math.sqrt(${variance})` : variance}`);
}

function addEwma(program: Program, over: Over, alpha: number): void {
  const count = own(countColumn(program, over));
  const average = own(ewmaColumn(program, over, alpha) + 2);
  program.result(`${count} === 0 ? null : ${average}`);
}

function addEdge(program: Program, over: Over, last: boolean): void {
  const { source } = over;
  if (source?.form !== 'number') {
    edgeValueColumn(program, over, last);
    return;
  }
  const time = edgeColumn(program, over, last);
  const value = source.shown === 'boolean' ? `${own(time + 1)} === 1` : own(time + 1);
  program.result(`${own(time)} === ${last ? '-Infinity' : 'Infinity'} ? null : ${value}`);
}

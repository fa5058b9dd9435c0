/**
 * Aggregates whose content is in the arena, as columns of a program: a part and the call that adds to it.
 *
 * Role: the same for parts as `flat-columns.ts` is for doubles. Aggregates of the same kind, options, condition and
 * source share one part.
 */
import type { AggregatePlan, FieldPlan } from '../plan.ts';
import type { ArenaPart } from './arena-part.ts';
import { Collect } from './collect.ts';
import { Custom } from './custom.ts';
import { Distinct } from './distinct.ts';
import { EdgeValue } from './edge-value.ts';
import { keyFor, type Over } from './flat-columns.ts';
import { literal, type Program } from './program.ts';
import { Quantile } from './quantile.ts';
import { type Reducer, reducerKey } from './reducer.ts';
import { Top } from './top.ts';

/** Name of the part in the code, and the index of its first double as code. */
interface Placed {
  readonly name: string;
  readonly at: string;
}

/** `rest`: further arguments of the calls that add. */
function placed(program: Program, over: Over, key: string, rest: '' | ', ts', make: () => ArenaPart): Placed {
  return program.once(keyFor(program, key, over), () => {
    const { name, at } = program.part(make());
    const value = over.source?.form === 'text' ? 'bytes, t, n' : 'v';
    const call = over.source?.form === 'text' ? 'addText' : over.source?.form === 'any' ? 'addValue' : 'addNumber';
    program.onAdd(over.where, over.source, `${name}.${call}(arena, r, ${at}, ${value}${rest});`);
    return { name, at };
  });
}

function resultOf(program: Program, { name, at }: Placed): void {
  program.result(`${name}.result(arena, r, ${at})`);
}

export function distinctColumn(program: Program, over: Over): void {
  resultOf(
    program,
    placed(program, over, 'distinct', '', () => new Distinct()),
  );
}

export function topColumn(program: Program, over: Over, limit: number): void {
  const shown = over.source?.shown ?? 'number';
  resultOf(
    program,
    placed(program, over, `top ${limit}`, '', () => new Top(limit, shown)),
  );
}

export function collectColumn(program: Program, over: Over, limit: number): void {
  const shown = over.source?.shown ?? 'number';
  resultOf(
    program,
    placed(program, over, `collect ${limit}`, ', ts', () => new Collect(limit, shown)),
  );
}

export function edgeValueColumn(program: Program, over: Over, last: boolean): void {
  resultOf(
    program,
    placed(program, over, last ? 'last' : 'first', ', ts', () => new EdgeValue(last)),
  );
}

/** One sketch for all quantiles of the same values: the smallest relative error any of them asks for. */
export function quantileColumn(
  program: Program,
  over: Over,
  plan: AggregatePlan,
  aggregates: readonly AggregatePlan[],
): void {
  const same = aggregates.filter(({ fn, of, where }) => fn === plan.fn && of === plan.of && where === plan.where);
  const relativeError = Math.min(...same.map((each) => each.relativeError));
  const { name, at } = placed(program, over, `quantile ${relativeError}`, '', () => new Quantile(relativeError));
  program.result(`${name}.value(${literal(plan.q)})`, `${name}.load(arena, r, ${at});`);
}

export function customColumn(
  program: Program,
  over: Over,
  plan: AggregatePlan,
  fields: readonly FieldPlan[],
  reducers: ReadonlyMap<string, Reducer>,
): void {
  const { source } = over;
  const key = reducerKey(plan.module, plan.exportName);
  const reducer = reducers.get(key);
  if (reducer === undefined) throw new Error(`aggregate ${plan.name}: reducer ${key} is not loaded`);
  const { name, at } = program.once(keyFor(program, `custom ${key}`, over), () => {
    const part = program.part(new Custom(reducer, fields));
    const value =
      source?.form === 'text' ? `b.text(${source.field}, row)` : source?.shown === 'boolean' ? 'v === 1' : 'v';
    const call = source === null ? 'addEvent' : 'addValue';
    const values = source === null ? 'b, row' : `${value}, ts`;
    program.onAdd(over.where, source, `${part.name}.${call}(arena, r, ${part.at}, ${values});`);
    return part;
  });
  program.result(`${name}.result(arena, r, ${at}, spanMs)`);
}

/**
 * Expressions over two events of a join, as programs that read the rows where they stand.
 *
 * Role: `where` and `select` of a join. A name is a place in a row, known when the program is made, so that
 * `left.at - left.at % 1000` touches doubles only. Programs keep nothing of a shard: those of one join are made once per
 * thread, and every shard that is attached, again and again, uses them.
 */
import { checkIn, type Wanted } from '../expressions/check.ts';
import type { CheckedExpression } from '../expressions/checked.ts';
import { type Backend, generate } from '../expressions/generate.ts';
import type { JsonValue, ValueType } from '../expressions/language.ts';
import { joinScope } from '../expressions/scopes.ts';
import type { FieldPlan, JoinPlan, Plan } from '../plan.ts';
import { RowLayout } from './row-layout.ts';

/** The two rows at hand. Of the right one, which may be missing, all is absent then. */
export interface PairRows {
  leftTs(): number;
  rightTs(): number;
  /** By position in the side's layout. NaN when absent; booleans as 1 and 0. */
  leftNumber(position: number): number;
  rightNumber(position: number): number;
  leftText(position: number): string | null;
  rightText(position: number): string | null;
}

/** One field of one side; `position` −1 for the event time. */
export interface PairMember {
  readonly isLeft: boolean;
  readonly position: number;
  readonly type: FieldPlan['type'];
}

export interface PairExpression {
  readonly type: ValueType;
  /** The field that the whole expression is; null when it is more. */
  readonly member: PairMember | null;
  /** NaN when absent; conditions are 1 and 0. */
  number(pair: PairRows): number;
  /** Whether it holds; absent does not. */
  test(pair: PairRows): boolean;
  value(pair: PairRows): JsonValue;
}

export interface JoinExpressions {
  readonly layouts: readonly [RowLayout, RowLayout];
  readonly where: PairExpression | null;
  readonly select: readonly PairExpression[];
}

const compiled = new WeakMap<JoinPlan, JoinExpressions>();

/** Made once per plan of a join. */
export function compileJoin(join: JoinPlan, plan: Plan): JoinExpressions {
  let expressions = compiled.get(join);
  if (expressions === undefined) {
    expressions = build(join, plan);
    compiled.set(join, expressions);
  }
  return expressions;
}

function build(join: JoinPlan, plan: Plan): JoinExpressions {
  const left = plan.streams[join.stream]?.fields ?? [];
  const right = plan.streams[join.right]?.fields ?? [];
  const scope = joinScope(left, right);
  const check = (text: string, wanted: Wanted): CheckedExpression => checkIn(text, scope, wanted);
  const select = join.select.map(({ expression }) => check(expression, 'any'));
  const where = join.where === '' ? null : check(join.where, 'boolean');
  const named = [...select, ...(where === null ? [] : [where])].flatMap(({ members }) => members);
  const namesOf = (side: string): string[] =>
    named.filter(([name]) => name === side).map(([, field]) => field as string);
  const layouts = [new RowLayout(left, namesOf('left')), new RowLayout(right, namesOf('right'))] as const;
  return {
    layouts,
    where: where === null ? null : programOf(where, layouts),
    select: select.map((each) => programOf(each, layouts)),
  };
}

function programOf(checked: CheckedExpression, layouts: readonly [RowLayout, RowLayout]): PairExpression {
  const members = checked.members.map(([side, field]): PairMember => {
    const isLeft = side === 'left';
    const layout = layouts[isLeft ? 0 : 1];
    const position = layout.position(field as string);
    return { isLeft, position, type: layout.types[position] ?? 'number' };
  });
  const { root, type } = checked;
  const member = root.kind === 'member' ? (members[root.slot] as PairMember) : null;
  const program = generate<Pick<PairExpression, 'number' | 'test' | 'value'>>(checked, new PairBackend(members));
  return { type, member, number: program.number, test: program.test, value: program.value };
}

/** Texts of programs are made of method names and positions only. */
class PairBackend implements Backend {
  readonly parameters = 'pair';
  readonly library = {};
  readonly #members: readonly PairMember[];

  constructor(members: readonly PairMember[]) {
    this.#members = members;
  }

  number(slot: number): string {
    const { isLeft, position } = this.#members[slot] as PairMember;
    const side = isLeft ? 'left' : 'right';
    return position < 0 ? `pair.${side}Ts()` : `pair.${side}Number(${position})`;
  }

  condition(slot: number): string {
    return `(${this.number(slot)} === 1)`;
  }

  value(slot: number): string {
    const { isLeft, position, type } = this.#members[slot] as PairMember;
    if (type === 'string') return `pair.${isLeft ? 'left' : 'right'}Text(${position})`;
    const number = this.number(slot);
    return type === 'boolean' ? `(present(${number}) ? ${number} === 1 : null)` : `orNull(${number})`;
  }

  /** Joins have no steps, and their checks know of none. */
  aggregate(): string {
    return 'null';
  }

  special(): null {
    return null;
  }
}

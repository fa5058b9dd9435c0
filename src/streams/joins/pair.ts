// HOT PATH
/**
 * Two events that may make a result of a join, and the result they make.
 *
 * Role: evaluates `where` and `select` over rows where they stand; only values that are asked for are read, and texts
 * become strings only then. One pair at a time; the result and its evidence are used again for the next.
 */
import { compileScoped, type Environment, type ScopedExpression } from '../expressions/scoped.ts';
import { joinScope } from '../expressions/scopes.ts';
import { type Emitter, newResultRow, type ResultRow } from '../operator.ts';
import type { FieldPlan, JoinPlan, Plan } from '../plan.ts';
import { PairEvidence } from './pair-evidence.ts';
import { RowLayout } from './row-layout.ts';
import { NO_ROW, type SideRows } from './side-rows.ts';

export interface JoinExpressions {
  readonly layouts: readonly [RowLayout, RowLayout];
  readonly where: ScopedExpression | null;
  readonly select: readonly ScopedExpression[];
}

export function compileJoin(join: JoinPlan, plan: Plan): JoinExpressions {
  const left = plan.streams[join.stream]?.fields ?? [];
  const right = plan.streams[join.right]?.fields ?? [];
  const scope = joinScope(left, right);
  const select = join.select.map(({ expression }) => compileScoped(expression, scope));
  const where = join.where === '' ? null : compileScoped(join.where, scope, 'boolean');
  const named = [...select, ...(where === null ? [] : [where])].flatMap(({ members }) => members);
  const namesOf = (side: string): string[] =>
    named.filter(([name]) => name === side).map(([, field]) => field as string);
  return {
    layouts: [new RowLayout(left, namesOf('left')), new RowLayout(right, namesOf('right'))],
    where,
    select,
  };
}

/** The names of one expression, as places in rows. */
class Names implements Environment {
  readonly #pair: Pair;
  readonly #isLeft: readonly boolean[];
  /** −1: the event time. */
  readonly #positions: readonly number[];
  readonly #types: readonly FieldPlan['type'][];

  constructor(pair: Pair, { members }: ScopedExpression, layouts: readonly [RowLayout, RowLayout]) {
    this.#pair = pair;
    this.#isLeft = members.map(([side]) => side === 'left');
    const layoutOf = (slot: number): RowLayout => layouts[this.#isLeft[slot] === true ? 0 : 1];
    this.#positions = members.map(([, field], slot) => layoutOf(slot).position(field as string));
    this.#types = this.#positions.map((position, slot) => layoutOf(slot).types[position] ?? 'number');
  }

  member(_path: readonly string[], slot: number): unknown {
    const pair = this.#pair;
    const isLeft = this.#isLeft[slot] === true;
    const row = isLeft ? pair.left : pair.right;
    if (row === NO_ROW) return null;
    const rows = isLeft ? pair.leftRows : pair.rightRows;
    const position = this.#positions[slot] as number;
    if (position < 0) return rows.ts(row);
    const type = this.#types[slot] as FieldPlan['type'];
    if (type === 'string') return rows.text(row, position);
    const value = rows.number(row, position);
    if (type !== 'boolean') return value;
    return Number.isNaN(value) ? null : value === 1;
  }
}

export class Pair {
  left = NO_ROW;
  right = NO_ROW;
  readonly leftRows: SideRows;
  readonly rightRows: SideRows;
  readonly #where: ScopedExpression | null;
  readonly #ofWhere: Names | null;
  readonly #select: readonly ScopedExpression[];
  readonly #ofSelect: readonly Names[];
  readonly #values: unknown[];
  readonly #evidence: PairEvidence;
  readonly #row: ResultRow;

  constructor({ layouts, select, where }: JoinExpressions, sides: readonly [SideRows, SideRows]) {
    this.leftRows = sides[0];
    this.rightRows = sides[1];
    this.#where = where;
    this.#ofWhere = where === null ? null : new Names(this, where, layouts);
    this.#select = select;
    this.#ofSelect = select.map((each) => new Names(this, each, layouts));
    this.#values = select.map(() => null);
    this.#evidence = new PairEvidence(this.leftRows, this.rightRows);
    this.#row = newResultRow(this.#values, this.#evidence);
  }

  /** Tells the pair when its condition holds, and remembers that both have found a partner. */
  meet(keyId: number, left: number, right: number, out: Emitter): void {
    this.left = left;
    this.right = right;
    if (this.#where !== null && !this.#where.test(this.#ofWhere as Names)) return;
    this.leftRows.match(left);
    this.rightRows.match(right);
    const leftTs = this.leftRows.ts(left);
    const rightTs = this.rightRows.ts(right);
    this.#tell(keyId, Math.min(leftTs, rightTs), Math.max(leftTs, rightTs), out);
  }

  /** Tells a left event without a partner. */
  alone(keyId: number, left: number, out: Emitter): void {
    this.left = left;
    this.right = NO_ROW;
    const ts = this.leftRows.ts(left);
    this.#tell(keyId, ts, ts, out);
  }

  #tell(keyId: number, start: number, end: number, out: Emitter): void {
    const row = this.#row;
    const values = this.#values;
    row.keyId = keyId;
    row.start = start;
    row.end = end;
    this.#evidence.use(this.left, this.right);
    for (let i = 0; i < values.length; i++) {
      values[i] = (this.#select[i] as ScopedExpression).value(this.#ofSelect[i] as Names);
    }
    out.emit(row);
  }
}

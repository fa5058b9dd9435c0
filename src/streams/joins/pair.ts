// HOT PATH
/**
 * Two events that may make a result of a join, and the result they make.
 *
 * Role: evaluates `where` and `select` over rows where they stand. Fields that results are written with go from the rows'
 * bytes to the line's; values are made where somebody needs the result as a row. One pair at a time; the result and its
 * evidence are used again for the next.
 */
import type { LineBuffer } from '../lines/line-buffer.ts';
import { type Emitter, newResultRow, type ResultRow, type ValueWriter } from '../operator.ts';
import { PairEvidence } from './pair-evidence.ts';
import type { JoinExpressions, PairExpression, PairMember, PairRows } from './pair-expression.ts';
import { NO_ROW, type SideRows } from './side-rows.ts';

const TEXT = 0;
const NUMBER = 1;
const OTHER = 2;

export class Pair implements PairRows, ValueWriter {
  left = NO_ROW;
  right = NO_ROW;
  readonly leftRows: SideRows;
  readonly rightRows: SideRows;
  readonly #where: PairExpression | null;
  readonly #select: readonly PairExpression[];
  /** How each is written. */
  readonly #kinds: readonly number[];
  readonly #values: unknown[];
  readonly #evidence: PairEvidence;
  readonly #row: ResultRow;

  constructor({ select, where }: JoinExpressions, sides: readonly [SideRows, SideRows]) {
    this.leftRows = sides[0];
    this.rightRows = sides[1];
    this.#where = where;
    this.#select = select;
    this.#kinds = select.map(kindOf);
    this.#values = select.map(() => null);
    this.#evidence = new PairEvidence(this.leftRows, this.rightRows);
    this.#row = newResultRow(this.#values, this.#evidence);
  }

  leftTs(): number {
    return this.leftRows.ts(this.left);
  }

  rightTs(): number {
    return this.right === NO_ROW ? Number.NaN : this.rightRows.ts(this.right);
  }

  leftNumber(position: number): number {
    return this.leftRows.number(this.left, position);
  }

  rightNumber(position: number): number {
    return this.right === NO_ROW ? Number.NaN : this.rightRows.number(this.right, position);
  }

  leftText(position: number): string | null {
    return this.leftRows.text(this.left, position);
  }

  rightText(position: number): string | null {
    return this.right === NO_ROW ? null : this.rightRows.text(this.right, position);
  }

  /** Tells the pair when its condition holds, and remembers that both have found a partner. */
  meet(keyId: number, left: number, right: number, out: Emitter): void {
    this.left = left;
    this.right = right;
    if (this.#where !== null && !this.#where.test(this)) return;
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
    if (out.emitWritten?.(row, this) === true) return;
    for (let i = 0; i < values.length; i++) values[i] = (this.#select[i] as PairExpression).value(this);
    out.emit(row);
  }

  /** Of the pair that is being told, the value at a position of `select`. */
  writeValue(index: number, out: LineBuffer): void {
    const expression = this.#select[index] as PairExpression;
    switch (this.#kinds[index]) {
      case TEXT:
        this.#writeText(expression.member as PairMember, out);
        break;
      case NUMBER:
        out.number(expression.number(this));
        break;
      default:
        out.value(expression.value(this));
    }
  }

  #writeText({ isLeft, position }: PairMember, out: LineBuffer): void {
    if (isLeft) this.leftRows.writeText(this.left, position, out);
    else if (this.right === NO_ROW) out.value(null);
    else this.rightRows.writeText(this.right, position, out);
  }
}

function kindOf({ member, type }: PairExpression): number {
  if (member?.type === 'string') return TEXT;
  return type === 'number' ? NUMBER : OTHER;
}

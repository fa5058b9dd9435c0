/**
 * The code of a shape's program: WebAssembly that reads one object after the other into columns of a block of rows.
 *
 * Role: called by `shape-program.ts`; how values are read is in `value-code.ts`, where everything stands in memory in
 * `shape-window.ts`. The program commits row after row until an object is not of the shape, has a value that needs care
 * (escape, exponent, more than 20 digits), or rows are used up; there it stops, in front of that object.
 * What goes into the code is numbers only: bytes of literals, places of columns, units.
 */
import { ABSENT } from './event-batch.ts';
import { BOOLEAN, INTEGER, STRING } from './field-types.ts';
import { HASH_ABSENT } from './key-hash.ts';
import { UNKNOWN } from './name-table.ts';
import { type Columns, HIGH_AT, ROWS_AT, STOPPED_AT } from './shape-window.ts';
import type { StreamSchema } from './stream-schema.ts';
import { ISO, MS, TIME_MS_MAX } from './timestamps.ts';
import {
  ARRIVAL,
  AT,
  advance,
  booleanCode,
  byteAt,
  DELTA,
  HASH,
  HIGH,
  hashCode,
  INTS,
  ISO_MS,
  LATEST,
  LOCALS,
  literalCode,
  NUMBER,
  NUMBER_MS,
  numberCode,
  OBJECT,
  OBJECT_END,
  PARAMS,
  ROW,
  ROW_END,
  SERVICES,
  START,
  skipCode,
  textCode,
} from './value-code.ts';
import { type Code, call, double, f64, get, i32, int, type Label, moduleBytes, WasmFunction } from './wasm-code.ts';

/** How objects follow one another: each on its line, or with commas between them. */
export type Sequence = 'lines' | 'array';

export interface Shape {
  /** Before, between and after the values. */
  readonly literals: readonly Uint8Array[];
  /** Field of each value; UNKNOWN for those that are passed. */
  readonly fields: readonly number[];
  /** The value's quotes belong to the literals. */
  readonly quoted: readonly boolean[];
}

const intColumn = (f: WasmFunction, column: number, value: Code): void => f.storeInt(get(INTS), value, column);
const doubles = i32.shiftLeft(get(INTS), int(1));

class ShapeCode {
  readonly #f = new WasmFunction(PARAMS, LOCALS);
  readonly #schema: StreamSchema;
  readonly #columns: Columns;

  constructor(schema: StreamSchema, columns: Columns) {
    this.#schema = schema;
    this.#columns = columns;
  }

  module(shape: Shape, sequence: Sequence): Uint8Array {
    const f = this.#f;
    f.block((exit) => {
      f.loop((again) => {
        f.jumpIf(i32.notLess(get(ROW), get(ROW_END)), exit);
        f.set(AT, get(OBJECT));
        f.set(INTS, i32.shiftLeft(get(ROW), int(2)));
        shape.fields.forEach((field, i) => {
          literalCode(f, shape.literals[i] as Uint8Array, exit);
          this.#value(field, shape.quoted[i] as boolean, exit);
        });
        literalCode(f, shape.literals[shape.fields.length] as Uint8Array, exit);
        f.set(OBJECT_END, get(AT));
        this.#pass(sequence, exit);
        this.#absent(shape);
        this.#time(shape, exit);
        intColumn(f, this.#columns.eventAt, i32.add(get(OBJECT), get(DELTA)));
        intColumn(f, this.#columns.eventBytes, i32.subtract(get(OBJECT_END), get(OBJECT)));
        f.set(ROW, i32.add(get(ROW), int(1)));
        f.set(OBJECT, get(AT));
        f.jump(again);
      });
    });
    f.storeInt(int(0), get(ROW), ROWS_AT);
    f.storeInt(int(0), get(AT), STOPPED_AT);
    f.storeDouble(int(0), get(HIGH), HIGH_AT);
    f.give(get(OBJECT));
    return moduleBytes(SERVICES, f);
  }

  #value(field: number, quoted: boolean, exit: Label): void {
    const f = this.#f;
    if (field === UNKNOWN) {
      if (quoted) textCode(f, exit);
      else skipCode(f, exit);
      return;
    }
    const column = this.#columns.values[field] as number;
    const type = this.#schema.types[field] as number;
    const isOptional = this.#schema.optional[field] === 1;
    if (type === STRING) {
      if (quoted) this.#textInto(field, exit);
      else {
        const inQuotes = (): void => {
          f.jumpIf(i32.differ(byteAt(), int(34)), exit);
          advance(f, 1);
          this.#textInto(field, exit);
          advance(f, 1);
        };
        this.#orNull(inQuotes, () => this.#absentText(field), exit);
      }
      return;
    }
    const present = (): void => {
      if (type === BOOLEAN) booleanCode(f, exit);
      else numberCode(f, type === INTEGER, exit);
      f.storeDouble(doubles, get(NUMBER), column);
    };
    if (isOptional) this.#orNull(present, () => f.storeDouble(doubles, double(Number.NaN), column), exit);
    else present();
  }

  #orNull(present: () => void, absent: () => void, exit: Label): void {
    const f = this.#f;
    f.if(
      i32.equal(byteAt(), int(110)),
      () => {
        f.jumpIf(i32.differ(i32.load(get(AT)), int(0x6c6c756e)), exit);
        advance(f, 4);
        absent();
      },
      present,
    );
  }

  #absentText(field: number): void {
    this.#storeText(field, int(0), int(ABSENT));
    if (this.#isKey(field)) intColumn(this.#f, this.#hashes(field), int(HASH_ABSENT));
  }

  #textInto(field: number, exit: Label): void {
    textCode(this.#f, exit);
    this.#storeText(field, i32.add(get(START), get(DELTA)), i32.subtract(get(AT), get(START)));
    if (!this.#isKey(field)) return;
    hashCode(this.#f);
    intColumn(this.#f, this.#hashes(field), get(HASH));
  }

  #storeText(field: number, at: Code, length: Code): void {
    const column = this.#columns.values[field] as number;
    intColumn(this.#f, column, at);
    intColumn(this.#f, column + this.#columns.toLengths, length);
  }

  #isKey(field: number): boolean {
    return this.#schema.textKeys.includes(field);
  }

  #hashes(field: number): number {
    return this.#columns.hashes[this.#schema.textKeys.indexOf(field)] as number;
  }

  /** What is between this object and the next. The last object of an array has no comma behind it. */
  #pass(sequence: Sequence, exit: Label): void {
    const f = this.#f;
    const is = (byte: number, offset = 0): Code => i32.equal(byteAt(offset), int(byte));
    if (sequence === 'lines') {
      f.if(
        is(10),
        () => advance(f, 1),
        () => {
          f.jumpIf(i32.isZero(i32.and(is(13), is(10, 1))), exit);
          advance(f, 2);
        },
      );
      return;
    }
    f.jumpIf(i32.isZero(is(44)), exit);
    advance(f, 1);
    f.block((found) => {
      f.loop((again) => {
        f.jumpIf(i32.isZero(i32.or(i32.or(is(32), is(10)), i32.or(is(13), is(9)))), found);
        advance(f, 1);
        f.jump(again);
      });
    });
    // White space that goes on behind the window.
    f.jumpIf(is(0), exit);
  }

  /** Fields that no object of the shape has. */
  #absent(shape: Shape): void {
    this.#schema.types.forEach((type, field) => {
      if (shape.fields.includes(field)) return;
      if (type === STRING) this.#absentText(field);
      else this.#f.storeDouble(doubles, double(Number.NaN), this.#columns.values[field] as number);
    });
  }

  #time(shape: Shape, exit: Label): void {
    const f = this.#f;
    const { timestampField: field, unit } = this.#schema;
    if (field < 0 || !shape.fields.includes(field)) f.set(NUMBER, get(ARRIVAL));
    else {
      const column = this.#columns.values[field] as number;
      if (unit === ISO) {
        const [at, length] = [i32.load(get(INTS), column), i32.load(get(INTS), column + this.#columns.toLengths)];
        f.if(
          i32.equal(length, int(ABSENT)),
          () => f.set(NUMBER, get(ARRIVAL)),
          () => f.set(NUMBER, call(ISO_MS, i32.subtract(at, get(DELTA)), length)),
        );
      } else {
        f.set(NUMBER, f64.load(doubles, column));
        f.if(
          f64.differ(get(NUMBER), get(NUMBER)),
          () => f.set(NUMBER, get(ARRIVAL)),
          () => f.set(NUMBER, unit === MS ? f64.floor(get(NUMBER)) : call(NUMBER_MS, get(NUMBER), int(unit))),
        );
      }
    }
    const inRange = i32.and(f64.notLess(get(NUMBER), double(-TIME_MS_MAX)), f64.notGreater(get(NUMBER), get(LATEST)));
    f.jumpIf(i32.isZero(inRange), exit);
    f.storeDouble(doubles, get(NUMBER), this.#columns.ts);
    f.if(f64.greater(get(NUMBER), get(HIGH)), () => f.set(HIGH, get(NUMBER)));
  }
}

/** A WebAssembly module: the same bytes for the same shape, types and unit. */
export function shapeModule(shape: Shape, schema: StreamSchema, sequence: Sequence, columns: Columns): Uint8Array {
  return new ShapeCode(schema, columns).module(shape, sequence);
}

/**
 * WebAssembly written by hand: the few instructions that programs of shapes are made of, and the module around them.
 *
 * Role: below `shape-code.ts`. Expressions are bytes; statements are appended to a function, which knows how deep it is
 * in blocks, so that a jump names the block that it leaves or begins anew. Encodings are those of the WebAssembly core
 * specification, binary format, version 1.
 */

/** An instruction and what it takes from the stack: bytes. */
export type Code = readonly number[];
/** A block, by its depth. */
export type Label = number;

export const I32 = 0x7f;
export const I64 = 0x7e;
export const F64 = 0x7c;
export type ValueType = typeof I32 | typeof I64 | typeof F64;

const MAGIC = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
const SECTION = { types: 1, imports: 2, functions: 3, exports: 7, code: 10 } as const;
const NO_VALUE = 0x40;
const END = 0x0b;

/** Unsigned LEB128. */
function unsigned(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 128) {
    bytes.push((rest & 127) | 128);
    rest >>>= 7;
  }
  bytes.push(rest);
  return bytes;
}

/** Signed LEB128 of an int. */
function signedInt(value: number): number[] {
  const bytes: number[] = [];
  let rest = value | 0;
  for (;;) {
    const low = rest & 127;
    rest >>= 7;
    if ((rest === 0 && low < 64) || (rest === -1 && low >= 64)) {
      bytes.push(low);
      return bytes;
    }
    bytes.push(low | 128);
  }
}

/** Signed LEB128 of a long. */
function signedLong(value: bigint): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (;;) {
    const low = Number(rest & 127n);
    rest >>= 7n;
    if ((rest === 0n && low < 64) || (rest === -1n && low >= 64)) return [...bytes, low];
    bytes.push(low | 128);
  }
}

function doubleBytes(value: number): number[] {
  return [...new Uint8Array(Float64Array.of(value).buffer)];
}

const binary =
  (opcode: number) =>
  (a: Code, b: Code): Code => [...a, ...b, opcode];
const unary =
  (opcode: number) =>
  (a: Code): Code => [...a, opcode];
/** Loads and stores need not be aligned. */
const load =
  (opcode: number) =>
  (at: Code, offset = 0): Code => [...at, opcode, 0, ...unsigned(offset)];

export const int = (value: number): Code => [0x41, ...signedInt(value)];
/** Its lowest 64 bits. */
export const long = (value: bigint): Code => [0x42, ...signedLong(BigInt.asIntN(64, value))];
export const double = (value: number): Code => [0x44, ...doubleBytes(value)];
export const get = (local: number): Code => [0x20, ...unsigned(local)];
export const call = (index: number, ...values: Code[]): Code => [...values.flat(), 0x10, ...unsigned(index)];

export const i32 = {
  load: load(0x28),
  byte: load(0x2d),
  isZero: unary(0x45),
  equal: binary(0x46),
  differ: binary(0x47),
  less: binary(0x48),
  greater: binary(0x4a),
  notLess: binary(0x4e),
  add: binary(0x6a),
  subtract: binary(0x6b),
  multiply: binary(0x6c),
  and: binary(0x71),
  or: binary(0x72),
  xor: binary(0x73),
  shiftLeft: binary(0x74),
  /** Zeros come in. */
  shiftRight: binary(0x76),
  rotateLeft: binary(0x77),
  /** Of a long. */
  low: unary(0xa7),
};

export const i64 = {
  load: load(0x29),
  isZero: unary(0x50),
  differ: binary(0x52),
  /** Both taken as unsigned. */
  above: binary(0x56),
  zerosBelow: unary(0x7a),
  add: binary(0x7c),
  subtract: binary(0x7d),
  multiply: binary(0x7e),
  and: binary(0x83),
  or: binary(0x84),
  xor: binary(0x85),
  shiftLeft: binary(0x86),
  shiftRight: binary(0x88),
  /** Of an int, as unsigned. */
  of: unary(0xad),
};

export const f64 = {
  load: load(0x2b),
  differ: binary(0x62),
  greater: binary(0x64),
  notGreater: binary(0x65),
  notLess: binary(0x66),
  negative: unary(0x9a),
  floor: unary(0x9c),
  divide: binary(0xa3),
  /** Of a long. */
  of: unary(0xb9),
};

export class WasmFunction {
  readonly params: readonly ValueType[];
  readonly locals: readonly ValueType[];
  readonly #code: number[] = [];
  #depth = 0;

  constructor(params: readonly ValueType[], locals: readonly ValueType[]) {
    this.params = params;
    this.locals = locals;
  }

  #push(code: Code): void {
    for (const byte of code) this.#code.push(byte);
  }

  /** A value that stays on the stack: the function's result. */
  give(value: Code): void {
    this.#push(value);
  }

  set(local: number, value: Code): void {
    this.#push([...value, 0x21, ...unsigned(local)]);
  }

  #store(opcode: number, at: Code, value: Code, offset: number): void {
    this.#push([...at, ...value, opcode, 0, ...unsigned(offset)]);
  }

  storeInt(at: Code, value: Code, offset: number): void {
    this.#store(0x36, at, value, offset);
  }

  storeDouble(at: Code, value: Code, offset: number): void {
    this.#store(0x39, at, value, offset);
  }

  #inside(opcode: number, body: (label: Label) => void): void {
    this.#push([opcode, NO_VALUE]);
    this.#depth += 1;
    body(this.#depth);
    this.#depth -= 1;
    this.#push([END]);
  }

  /** Jumps to its label leave it. */
  block(body: (exit: Label) => void): void {
    this.#inside(0x02, body);
  }

  /** Jumps to its label begin it anew; it is left at its end. */
  loop(body: (again: Label) => void): void {
    this.#inside(0x03, body);
  }

  if(condition: Code, then: () => void, otherwise: (() => void) | null = null): void {
    this.#push(condition);
    this.#inside(0x04, () => {
      then();
      if (otherwise === null) return;
      this.#push([0x05]);
      otherwise();
    });
  }

  jump(label: Label): void {
    this.#push([0x0c, ...unsigned(this.#depth - label)]);
  }

  jumpIf(condition: Code, label: Label): void {
    this.#push([...condition, 0x0d, ...unsigned(this.#depth - label)]);
  }

  /** As the code section has it. */
  bytes(): number[] {
    const locals = this.locals.flatMap((type) => [1, type]);
    const body = [...unsigned(this.locals.length), ...locals, ...this.#code, END];
    return [...unsigned(body.length), ...body];
  }
}

/** A function from elsewhere, with one result. */
export interface Import {
  readonly name: string;
  readonly params: readonly ValueType[];
  readonly result: ValueType;
}

function list(items: readonly (readonly number[])[]): number[] {
  const bytes = unsigned(items.length);
  for (const item of items) for (const byte of item) bytes.push(byte);
  return bytes;
}

const text = (value: string): number[] => list([...Buffer.from(value)].map((byte) => [byte]));
const section = (id: number, content: readonly number[]): number[] => [id, ...unsigned(content.length), ...content];
const signature = (params: readonly ValueType[], result: ValueType): number[] => [
  0x60,
  ...list(params.map((type) => [type])),
  1,
  result,
];

/**
 * A module that takes a memory `memory.memory` and functions `services.NAME`, numbered as listed, and exports one
 * function, `run`, which gives an int.
 */
export function moduleBytes(imports: readonly Import[], run: WasmFunction): Uint8Array {
  const memory = [...text('memory'), ...text('memory'), 0x02, 0x00, 1];
  const functions = imports.map(({ name }, i) => [...text('services'), ...text(name), 0x00, ...unsigned(i)]);
  const types = [...imports.map(({ params, result }) => signature(params, result)), signature(run.params, I32)];
  const parts = [
    MAGIC,
    section(SECTION.types, list(types)),
    section(SECTION.imports, list([...functions, memory])),
    section(SECTION.functions, list([unsigned(imports.length)])),
    section(SECTION.exports, list([[...text('run'), 0x00, ...unsigned(imports.length)]])),
    section(SECTION.code, list([run.bytes()])),
  ];
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

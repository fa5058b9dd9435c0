/**
 * WebAssembly that reads one value at hand: what is alike, texts, numbers, booleans, and the hash of a text.
 *
 * Role: the parts that `shape-code.ts` puts together. Each takes a function that is being written, and a block to leave when
 * the bytes are something else; each reads from AT on and leaves AT behind what it read. Eight bytes are looked at in one
 * step. Rare values are left to services, which are JavaScript: letters beyond ASCII, decimals of more than 18 digits.
 */
import { SEED_TEXT } from './key-hash.ts';
import { INT_TENS_AT, TENS_AT } from './shape-window.ts';
import {
  type Code,
  call,
  double,
  F64,
  f64,
  get,
  I32,
  I64,
  type Import,
  i32,
  i64,
  int,
  type Label,
  long,
  type WasmFunction,
} from './wasm-code.ts';

/** What programs call, by number. */
const STRING_END = 0;
const LONG_DECIMAL = 1;
const SHORT_HASH = 2;
const SKIP = 3;
export const ISO_MS = 4;
export const NUMBER_MS = 5;
export const SERVICES: readonly Import[] = [
  { name: 'plainStringEnd', params: [I32], result: I32 },
  { name: 'longDecimal', params: [I32, I32], result: F64 },
  { name: 'hashBytes', params: [I32, I32], result: I32 },
  { name: 'skip', params: [I32], result: I32 },
  { name: 'isoToMs', params: [I32, I32], result: F64 },
  { name: 'numberToMs', params: [F64, I32], result: F64 },
];

/**
 * Parameters (`Run`): the object at hand, the row it becomes, where rows end, what is added to places in the window, and
 * what times are held against.
 */
export const PARAMS = [I32, I32, I32, I32, F64, F64, F64] as const;
export const OBJECT = 0;
export const ROW = 1;
export const ROW_END = 2;
export const DELTA = 3;
export const ARRIVAL = 4;
export const LATEST = 5;
export const HIGH = 6;
/** Locals behind them. */
export const LOCALS = [I32, I32, I32, I32, I32, I32, I32, I32, I32, I64, I64, I64, F64] as const;
export const AT = 7;
export const OBJECT_END = 8;
/** Four times the row. */
export const INTS = 9;
/** Where the last text began. */
export const START = 10;
export const HASH = 11;
const MINUS = 12;
const DECIMALS = 13;
const COUNT = 14;
const MIXED = 15;
const WORD = 16;
const MARKS = 17;
const DIGITS = 18;
/** The last number. */
export const NUMBER = 19;

const SAFE_MAX = 9_007_199_254_740_991n;
const SAFE_DIGITS = 16;
/** Digits that a long holds. */
const LONG_DIGITS = 18;
/** Shorter texts are hashed elsewhere. */
const HASHED_BYTES_MIN = 4;

/** In each of eight bytes. */
const EIGHT = Object.fromEntries(
  [0x01, 0x02, 0x06, 0x21, 0x30, 0x5c, 0x80, 0xf0].map((byte) => [byte, long(BigInt(byte) * 0x0101010101010101n)]),
) as Readonly<Record<0x01 | 0x02 | 0x06 | 0x21 | 0x30 | 0x5c | 0x80 | 0xf0, Code>>;
export const byteAt = (offset = 0): Code => i32.byte(get(AT), offset);
export const advance = (f: WasmFunction, bytes: number): void => f.set(AT, i32.add(get(AT), int(bytes)));

/** Goes on where a service says, unless that is −1. */
function serviceCode(f: WasmFunction, result: Code, exit: Label): void {
  f.set(COUNT, result);
  f.jumpIf(i32.less(get(COUNT), int(0)), exit);
  f.set(AT, get(COUNT));
}

/** Compares the bytes at hand and passes them. The padding lets a comparison run over the end. */
export function literalCode(f: WasmFunction, literal: Uint8Array, exit: Label): void {
  const { length } = literal;
  const padded = new DataView(Uint8Array.of(...literal, 0, 0, 0, 0, 0, 0, 0, 0).buffer);
  const word = (at: number): bigint => padded.getBigUint64(at, true);
  for (let at = 0; at + 8 <= length; at += 8) f.jumpIf(i64.differ(i64.load(get(AT), at), long(word(at))), exit);
  const rest = length % 8;
  if (rest > 0 && length > 8) {
    f.jumpIf(i64.differ(i64.load(get(AT), length - 8), long(word(length - 8))), exit);
  } else if (rest > 0) {
    const kept = i64.and(i64.load(get(AT)), long((1n << BigInt(8 * rest)) - 1n));
    f.jumpIf(i64.differ(kept, long(word(0))), exit);
  }
  if (length > 0) advance(f, length);
}

/**
 * From the first byte after the quote, kept in START, to the closing one, which is not passed. Marks a quote, a
 * backslash, a control character or a byte above 127, as `plainEnd` does; the lowest mark is right.
 */
export function textCode(f: WasmFunction, exit: Label): void {
  f.set(START, get(AT));
  f.block((found) => {
    f.loop((again) => {
      f.set(WORD, i64.load(get(AT)));
      const low = i64.subtract(i64.xor(get(WORD), EIGHT[0x02]), EIGHT[0x21]);
      const backslash = i64.subtract(i64.xor(get(WORD), EIGHT[0x5c]), EIGHT[0x01]);
      f.set(MARKS, i64.and(i64.or(i64.or(low, backslash), get(WORD)), EIGHT[0x80]));
      f.jumpIf(i32.isZero(i64.isZero(get(MARKS))), found);
      f.set(AT, i32.add(get(AT), int(8)));
      f.jump(again);
    });
  });
  f.set(AT, i32.add(get(AT), i32.low(i64.shiftRight(i64.zerosBelow(get(MARKS)), long(3n)))));
  f.if(i32.differ(byteAt(), int(34)), () => serviceCode(f, call(STRING_END, get(AT)), exit));
}

/** Eight digits, the first one lowest, as a number: pairs, fours, then all (simdjson, `parse_eight_digits_unrolled`). */
function eightDigits(f: WasmFunction): void {
  f.set(WORD, i64.add(i64.multiply(get(WORD), long(10n)), i64.shiftRight(get(WORD), long(8n))));
  const pairs = (from: bigint): Code => {
    const moved = from === 0n ? get(WORD) : i64.shiftRight(get(WORD), long(from));
    return i64.and(moved, long(0x000000ff000000ffn));
  };
  const upper = i64.multiply(pairs(0n), long(0x000f424000000064n));
  const lower = i64.multiply(pairs(16n), long(0x0000271000000001n));
  f.set(WORD, i64.shiftRight(i64.add(upper, lower), long(32n)));
}

/** Digits at hand onto DIGITS; of the last word, they are moved up so that zeros stand before them. */
function digits(f: WasmFunction): void {
  f.block((found) => {
    f.loop((again) => {
      f.set(WORD, i64.xor(i64.load(get(AT)), EIGHT[0x30]));
      const above = i64.or(i64.add(get(WORD), EIGHT[0x06]), get(WORD));
      f.set(MARKS, i64.and(above, EIGHT[0xf0]));
      f.jumpIf(i32.isZero(i64.isZero(get(MARKS))), found);
      eightDigits(f);
      f.set(DIGITS, i64.add(i64.multiply(get(DIGITS), long(100_000_000n)), get(WORD)));
      f.set(AT, i32.add(get(AT), int(8)));
      f.jump(again);
    });
  });
  f.set(COUNT, i32.low(i64.shiftRight(i64.zerosBelow(get(MARKS)), long(3n))));
  f.if(get(COUNT), () => {
    const bits = i64.of(i32.shiftLeft(i32.subtract(int(8), get(COUNT)), int(3)));
    f.set(WORD, i64.shiftLeft(get(WORD), bits));
    eightDigits(f);
    const tens = i64.load(i32.shiftLeft(get(COUNT), int(3)), INT_TENS_AT);
    f.set(DIGITS, i64.add(i64.multiply(get(DIGITS), tens), get(WORD)));
    f.set(AT, i32.add(get(AT), get(COUNT)));
  });
}

/** Into NUMBER: digits that make a safe integer, divided by a power of ten that is a double: one division, which rounds rightly. */
export function numberCode(f: WasmFunction, isInteger: boolean, exit: Label): void {
  const length = i32.subtract(get(AT), get(START));
  f.set(MINUS, i32.equal(byteAt(), int(45)));
  f.set(AT, i32.add(get(AT), get(MINUS)));
  f.set(START, get(AT));
  f.set(DIGITS, long(0n));
  digits(f);
  f.jumpIf(i32.equal(get(AT), get(START)), exit);
  f.jumpIf(i32.and(i32.equal(i32.byte(get(START)), int(48)), i32.greater(length, int(1))), exit);
  const isUnsafe = i64.above(get(DIGITS), long(SAFE_MAX));
  if (isInteger) {
    f.jumpIf(i32.or(i32.greater(length, int(SAFE_DIGITS)), isUnsafe), exit);
    f.set(NUMBER, f64.of(get(DIGITS)));
  } else {
    fraction(f, exit);
    f.if(
      i32.or(i32.greater(length, int(LONG_DIGITS)), isUnsafe),
      () => {
        f.set(NUMBER, call(LONG_DECIMAL, get(START), get(AT)));
        f.jumpIf(f64.differ(get(NUMBER), get(NUMBER)), exit);
      },
      () => {
        f.set(NUMBER, f64.of(get(DIGITS)));
        const power = f64.load(i32.shiftLeft(get(DECIMALS), int(3)), TENS_AT);
        f.if(get(DECIMALS), () => f.set(NUMBER, f64.divide(get(NUMBER), power)));
      },
    );
  }
  f.if(get(MINUS), () => f.set(NUMBER, f64.negative(get(NUMBER))));
}

function fraction(f: WasmFunction, exit: Label): void {
  f.set(DECIMALS, int(0));
  f.if(i32.equal(byteAt(), int(46)), () => {
    advance(f, 1);
    f.set(DECIMALS, get(AT));
    digits(f);
    f.set(DECIMALS, i32.subtract(get(AT), get(DECIMALS)));
    f.jumpIf(i32.isZero(get(DECIMALS)), exit);
  });
}

/** A value of any kind that is passed. */
export const skipCode = (f: WasmFunction, exit: Label): void => serviceCode(f, call(SKIP, get(AT)), exit);

/** Into NUMBER: 1 or 0. */
export function booleanCode(f: WasmFunction, exit: Label): void {
  const is = (word: number): Code => i32.equal(i32.load(get(AT)), int(word));
  f.if(
    is(0x65757274),
    () => {
      f.set(NUMBER, double(1));
      advance(f, 4);
    },
    () => {
      f.jumpIf(i32.isZero(i32.and(is(0x736c6166), i32.equal(byteAt(4), int(101)))), exit);
      f.set(NUMBER, double(0));
      advance(f, 5);
    },
  );
}

/** One round of `round` in `key-hash.ts`: the word at a place onto HASH. */
function hashRound(f: WasmFunction, at: Code): void {
  f.set(MIXED, i32.multiply(i32.load(at), int(0xcc9e2d51)));
  f.set(MIXED, i32.multiply(i32.rotateLeft(get(MIXED), int(15)), int(0x1b873593)));
  const turned = i32.rotateLeft(i32.xor(get(HASH), get(MIXED)), int(13));
  f.set(HASH, i32.add(i32.multiply(turned, int(5)), int(0xe6546b64)));
}

function finalizeCode(f: WasmFunction): void {
  const fold = (bits: number): Code => i32.xor(get(HASH), i32.shiftRight(get(HASH), int(bits)));
  f.set(HASH, i32.multiply(fold(16), int(0x85ebca6b)));
  f.set(HASH, i32.multiply(fold(13), int(0xc2b2ae35)));
  f.set(HASH, fold(16));
}

/** Into HASH: that of the text [START, AT), as `hashBytes` gives it. */
export function hashCode(f: WasmFunction): void {
  const length = i32.subtract(get(AT), get(START));
  f.if(
    i32.less(length, int(HASHED_BYTES_MIN)),
    () => f.set(HASH, call(SHORT_HASH, get(START), length)),
    () => {
      f.set(HASH, i32.xor(int(SEED_TEXT), length));
      f.set(COUNT, get(START));
      const last = i32.subtract(get(AT), int(4));
      f.block((done) => {
        f.loop((again) => {
          f.jumpIf(i32.notLess(get(COUNT), last), done);
          hashRound(f, get(COUNT));
          f.set(COUNT, i32.add(get(COUNT), int(4)));
          f.jump(again);
        });
      });
      hashRound(f, last);
      finalizeCode(f);
    },
  );
}

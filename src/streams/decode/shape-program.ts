/**
 * Programs for objects that are all written alike: same members, same order, same white space, only values differ.
 *
 * Role: the fast way of the scanner. A shape is what stands between the values (`literals`) and what the values are;
 * the program compares the first four bytes at a time and reads the second in place, with nothing left to look up.
 * It commits row after row until an object is not of the shape, has a value that needs care (escape, exponent, more
 * than 20 digits), or the rows are used up; there it stops, in front of that object, and the object scanner goes on.
 * What goes into the generated text is numbers only: bytes of literals, indexes of fields and units.
 * Invariant: what a program takes, the object scanner takes, with the same row.
 */
import type { BatchWriter } from './batch-writer.ts';
import { ABSENT } from './event-batch.ts';
import { BOOLEAN, INTEGER, STRING } from './field-types.ts';
import { DEPTH_MAX, type JsonCursor, POWERS_OF_TEN, plainStringEnd } from './json-cursor.ts';
import { longDecimal } from './long-decimal.ts';
import { UNKNOWN } from './name-table.ts';
import type { ObjectScanner } from './object-scanner.ts';
import type { StreamSchema } from './stream-schema.ts';
import { ISO, isoToMs, MS, numberToMs, TIME_MS_MAX } from './timestamps.ts';

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

/** Takes objects from the cursor on and leaves it in front of the first one that it did not take. */
export type ScanObjects = (writer: BatchWriter, cursor: JsonCursor) => void;

/** What programs call by name. */
const SERVICES = { tens: POWERS_OF_TEN, plainStringEnd, longDecimal, isoToMs, numberToMs };

/** Longest literal: names are short, and a program is no place for long texts. */
const LITERAL_BYTES_MAX = 256;

/** The shape of the object that was scanned last, which began at `at`; null when it cannot have a program. */
export function shapeOf(
  scanner: ObjectScanner,
  schema: StreamSchema,
  bytes: Uint8Array,
  at: number,
  end: number,
): Shape | null {
  if (!scanner.hasPlainShape()) return null;
  const literals: Uint8Array[] = [];
  const fields: number[] = [];
  const quoted: boolean[] = [];
  let from = at;
  for (let member = 0; member < scanner.members; member++) {
    const field = scanner.fields[member] as number;
    const valueAt = scanner.valueAt[member] as number;
    const valueEnd = scanner.valueEnd[member] as number;
    // An optional text may be null instead, without quotes.
    const inQuotes = bytes[valueAt] === 34 && (field === UNKNOWN || schema.optional[field] === 0);
    literals.push(bytes.slice(from, inQuotes ? valueAt + 1 : valueAt));
    fields.push(field);
    quoted.push(inQuotes);
    from = inQuotes ? valueEnd - 1 : valueEnd;
  }
  literals.push(bytes.slice(from, end));
  return literals.some(({ length }) => length > LITERAL_BYTES_MAX) ? null : { literals, fields, quoted };
}

export const shapeKey = (shape: Shape): string =>
  shape.literals.map((literal, i) => `${literal.join()}:${shape.fields[i]}:${shape.quoted[i]}`).join(';');

/** Compares the bytes at `p` and passes them. The padding lets a comparison run over the end of the body. */
function literalCode(literal: Uint8Array): string {
  const { length } = literal;
  const view = new DataView(literal.buffer, literal.byteOffset, length);
  const tests: string[] = [];
  if (length >= 4) {
    for (let i = 0; i + 4 <= length; i += 4) tests.push(`v.getInt32(p + ${i}, true) !== ${view.getInt32(i, true)}`);
    if (length % 4 !== 0) {
      const i = length - 4;
      tests.push(`v.getInt32(p + ${i}, true) !== ${view.getInt32(i, true)}`);
    }
  } else for (let i = 0; i < length; i++) tests.push(`b[p + ${i}] !== ${literal[i]}`);
  return `if (${tests.join(' || ')}) break scan;\np += ${length};\n`;
}

/**
 * Digits at `p` onto `m`, four at a time: a word of four digits is two products and three sums; of the last word, the
 * digits are moved up so that zeros stand before them.
 */
const DIGITS = `
i = v.getInt32(p, true) ^ 0x30303030;
q = ((i + 0x06060606) | i) & 0xf0f0f0f0;
while (q === 0) {
  i = Math.imul(i, 10) + (i >>> 8);
  m = m * 10000 + ((i & 255) * 100 + ((i >>> 16) & 255));
  p += 4;
  i = v.getInt32(p, true) ^ 0x30303030;
  q = ((i + 0x06060606) | i) & 0xf0f0f0f0;
}
k = (31 - Math.clz32(q & -q)) >> 3;
i = (i << (24 - 8 * k)) << 8;
i = Math.imul(i, 10) + (i >>> 8);
m = m * tens[k] + ((i & 255) * 100 + ((i >>> 16) & 255));
p += k;
`;

/** Digits that make a safe integer, divided by a power of ten that is a double: one division, which rounds rightly. */
function numberCode(field: number, integer: boolean): string {
  const fraction = `z = 0;\nif (b[p] === 46) {\nz = ++p;\n${DIGITS}z = p - z;\nif (z === 0) break scan;\n}\n`;
  const value = `if (p - s > 22 || m > 9007199254740991) {
m = longDecimal(b, s, p);
if (m !== m) break scan;
} else m = m / tens[z];
`;
  return `n = b[p];
if (n === 45) p++;
s = p;
m = 0;
${DIGITS}if (p === s || (b[s] === 48 && p - s > 1)) break scan;
${integer ? 'if (p - s > 16 || m > 9007199254740991) break scan;\n' : fraction + value}f${field}[row] = n === 45 ? -m : m;
`;
}

const orNull = (otherwise: string, absent: string): string =>
  `if (b[p] === 110) {\nif (v.getInt32(p, true) !== 0x6c6c756e) break scan;\np += 4;\n${absent}} else {\n${otherwise}}\n`;

/** From the first byte after the quote to the closing one, which is not passed; by the marks of `plainEnd`. */
const TEXT = `s = p;
for (;;) {
  i = v.getInt32(p, true);
  q = (((i ^ 0x02020202) - 0x21212121) | ((i ^ 0x5c5c5c5c) - 0x01010101) | i) & 0x80808080;
  if (q !== 0) break;
  p += 4;
}
p += (31 - Math.clz32(q & -q)) >> 3;
if (b[p] !== 34) {
  p = plainStringEnd(b, v, p);
  if (p < 0) break scan;
}
`;

const BOOLEAN_WORD = (field: number): string => `if (v.getInt32(p, true) === 0x65757274) {
p += 4;
f${field}[row] = 1;
} else if (v.getInt32(p, true) === 0x736c6166 && b[p + 4] === 101) {
p += 5;
f${field}[row] = 0;
} else break scan;
`;

function valueCode(field: number, quoted: boolean, schema: StreamSchema): string {
  if (field === UNKNOWN) {
    return quoted ? TEXT : `c.at = p;\nif (!c.skip(${DEPTH_MAX - 1})) break scan;\np = c.at;\n`;
  }
  const type = schema.types[field] as number;
  const optional = schema.optional[field] === 1;
  if (type === STRING) {
    const store = `a${field}[row] = s;\nl${field}[row] = p - s;\n`;
    if (quoted) return TEXT + store;
    return orNull(`if (b[p] !== 34) break scan;\np++;\n${TEXT}${store}p++;\n`, `l${field}[row] = ${ABSENT};\n`);
  }
  const code = type === BOOLEAN ? BOOLEAN_WORD(field) : numberCode(field, type === INTEGER);
  return optional ? orNull(code, `f${field}[row] = NaN;\n`) : code;
}

/** Event time into `t`. */
function timeCode(schema: StreamSchema, fields: readonly number[]): string {
  const field = schema.timestampField;
  if (field < 0 || !fields.includes(field)) return 't = arrival;\n';
  if (schema.unit === ISO) {
    return `t = l${field}[row] === ${ABSENT} ? arrival : isoToMs(b, a${field}[row], l${field}[row]);\n`;
  }
  const convert = schema.unit === MS ? 'Math.floor(t)' : `numberToMs(t, ${schema.unit})`;
  return `t = f${field}[row];\nt = t !== t ? arrival : ${convert};\n`;
}

/** Fields that no object of the shape has: their rows are zero, and must say absent. */
function absentCode(schema: StreamSchema, fields: readonly number[]): string {
  let code = '';
  schema.types.forEach((type, field) => {
    if (fields.includes(field)) return;
    code += type === STRING ? `l${field}[row] = ${ABSENT};\n` : `f${field}[row] = NaN;\n`;
  });
  return code;
}

const AFTER: Readonly<Record<Sequence, string>> = {
  lines: 'if (b[p] === 10) p++;\nelse if (b[p] === 13 && b[p + 1] === 10) p += 2;\nelse break;\n',
  // The last object of an array has no comma behind it and is left to the scanner.
  array: 'if (b[p] !== 44) break;\nfor (k = b[++p]; k === 32 || k === 10 || k === 13 || k === 9; k = b[++p]);\n',
};

function programText(shape: Shape, schema: StreamSchema, sequence: Sequence): string {
  const columns = Array.from(schema.types, (type, field) =>
    type === STRING
      ? `const a${field} = w.textAt[${field}], l${field} = w.textBytes[${field}];\n`
      : `const f${field} = w.values[${field}];\n`,
  ).join('');
  const values = shape.fields.map(
    (field, i) => literalCode(shape.literals[i] as Uint8Array) + valueCode(field, shape.quoted[i] as boolean, schema),
  );
  const last = literalCode(shape.literals[shape.fields.length] as Uint8Array);
  return `return function scan(w, c) {
const b = w.bytes, v = c.view, ts = w.ts, ea = w.eventAt, eb = w.eventBytes;
const cap = w.capacity, arrival = w.arrivalMs, latest = w.timeMsMax;
${columns}let o = c.at, p = o, e = o, row = w.row, high = w.tsMax;
let i = 0, q = 0, k = 0, s = 0, n = 0, z = 0, m = 0, t = 0;
scan: while (row < cap) {
p = o;
${values.join('')}${last}e = p;
${AFTER[sequence]}${absentCode(schema, shape.fields)}${timeCode(schema, shape.fields)}\
if (!(t >= ${-TIME_MS_MAX} && t <= latest)) break;
ts[row] = t;
if (t > high) high = t;
ea[row] = o;
eb[row] = e - o;
row++;
o = p;
}
c.at = o;
w.row = row;
w.tsMax = high;
};`;
}

/** By their text: what V8 made of a program is worth more than the program, and outlives the plan that it was made for. */
const kept = new Map<string, ScanObjects>();
export const PROGRAMS_KEPT_MAX = 64;

/** Makes the program, or gives the one of the same text; takes a fraction of a millisecond. */
export function compileShape(shape: Shape, schema: StreamSchema, sequence: Sequence): ScanObjects {
  const text = programText(shape, schema, sequence);
  let scan = kept.get(text);
  if (scan === undefined) {
    scan = new Function(...Object.keys(SERVICES), text)(...Object.values(SERVICES)) as ScanObjects;
  } else kept.delete(text);
  // The oldest first: a program that is asked for again has become the newest.
  kept.set(text, scan);
  if (kept.size > PROGRAMS_KEPT_MAX) kept.delete(kept.keys().next().value as string);
  return scan;
}

/**
 * Programs for objects that are all written alike: same members, same order, same white space, only values differ.
 *
 * Role: the fast way of the scanner. A shape is what stands between the values (`literals`) and what the values are;
 * its program (`shape-code.ts`) compares the first and reads the second in place, with nothing left to look up
 * (`shape-window.ts`). It stops in front of an object that it does not take, for another program or the object scanner.
 * Invariant: what a program takes, the object scanner takes, with the same row.
 */
import { Buffer } from 'node:buffer';
import { DEPTH_MAX, plainStringEnd } from './json-cursor.ts';
import { hashBytes } from './key-hash.ts';
import { longDecimal } from './long-decimal.ts';
import { UNKNOWN } from './name-table.ts';
import type { ObjectScanner } from './object-scanner.ts';
import { type Sequence, type Shape, shapeModule } from './shape-code.ts';
import { columnsOf, FIELDS_MAX, type Program, type Run, ShapeWindow } from './shape-window.ts';
import type { StreamSchema } from './stream-schema.ts';
import { isoToMs, numberToMs } from './timestamps.ts';

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
  if (!scanner.hasPlainShape() || schema.types.length > FIELDS_MAX) return null;
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

/** Of this thread, from its first program on. */
let ofThread: ShapeWindow | null = null;
let isRefused = false;

/** Null if the process has no WebAssembly, or no address space for it: events are then read without programs. */
function windowOfThread(): ShapeWindow | null {
  if (ofThread !== null || isRefused) return ofThread;
  try {
    ofThread = new ShapeWindow();
  } catch (error) {
    // Not defined (`--jitless`), or out of memory.
    if (!(error instanceof ReferenceError || error instanceof RangeError)) throw error;
    isRefused = true;
  }
  return ofThread;
}

function instantiate(shapeWindow: ShapeWindow, code: Uint8Array, sequence: Sequence): Run {
  const { bytes, inArrays, inLines } = shapeWindow;
  const cursor = sequence === 'lines' ? inLines : inArrays;
  const services = {
    plainStringEnd: (at: number) => plainStringEnd(bytes, cursor.view, at),
    longDecimal: (from: number, to: number) => longDecimal(bytes, from, to),
    hashBytes: (at: number, length: number) => hashBytes(cursor.view, at, length),
    isoToMs: (at: number, length: number) => isoToMs(bytes, at, length),
    numberToMs,
    skip: (at: number): number => {
      cursor.at = at;
      return cursor.skip(DEPTH_MAX - 1) ? cursor.at : -1;
    },
  };
  return shapeWindow.instantiate(code, services) as Run;
}

/** By their code: what V8 made of a program is worth more than the program, and outlives the plan that it was made for. */
const kept = new Map<string, Program>();
export const PROGRAMS_KEPT_MAX = 64;

/** Makes the program, or gives the one of the same code; takes about a millisecond. Null: there are no programs here. */
export function compileShape(shape: Shape, schema: StreamSchema, sequence: Sequence): Program | null {
  const shapeWindow = windowOfThread();
  if (shapeWindow === null) return null;
  const columns = columnsOf(schema.types.length, schema.textKeys.length);
  const code = shapeModule(shape, schema, sequence, columns);
  const key = Buffer.from(code).toString('latin1');
  const program = kept.get(key) ?? { run: instantiate(shapeWindow, code, sequence), columns, shapeWindow };
  kept.delete(key);
  // The oldest first: a program that is asked for again has become the newest.
  kept.set(key, program);
  if (kept.size > PROGRAMS_KEPT_MAX) kept.delete(kept.keys().next().value as string);
  return program;
}

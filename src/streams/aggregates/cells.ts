// HOT PATH
/**
 * One value of any type in a block of the arena: texts, and what expressions of no fixed type give.
 *
 * Role: what `first`, `last`, `top` and `collect` keep of values that are no numbers. Offset 0 is no value.
 * Layout of a block: tag (32 bits), length (32 bits), then for numbers and booleans a double, for texts UTF-8, for
 * lists and objects their JSON.
 * Invariant: a block names no other block, so it can be copied between arenas as it is.
 */
import type { Arena } from '../state/arena.ts';
import { hashBytes, hashNumber, SEED_BOOLEAN, SEED_JSON, SEED_NUMBER, SEED_TEXT } from './hash.ts';

const NUMBER = 1;
const BOOLEAN = 2;
const TEXT = 3;
const JSON_TEXT = 4;
const HEAD_BYTES = 8;

const encoder = new TextEncoder();
/** A first U+FEFF is a character like any other. */
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** Puts a text's bytes into the arena; `old` is the block that is replaced, or 0. */
export function writeText(arena: Arena, old: number, bytes: Uint8Array, at: number, length: number): number {
  const cell = place(arena, old, TEXT, length);
  copyBytes(arena.bytes, cell + HEAD_BYTES, bytes, at, length);
  return cell;
}

/** The same for what `Scratch` holds. */
export function writeScratch(arena: Arena, old: number): number {
  const cell = place(arena, old, scratch.tag, scratch.length);
  copyBytes(arena.bytes, cell + HEAD_BYTES, scratch.bytes, 0, scratch.length);
  return cell;
}

export function copyCell(arena: Arena, old: number, from: Arena, cell: number): number {
  const length = from.words[(cell >>> 2) + 1] as number;
  const copy = place(arena, old, from.words[cell >>> 2] as number, length);
  // Read after `place`: both arenas may be the same one, which may have grown.
  copyBytes(arena.bytes, copy + HEAD_BYTES, from.bytes, cell + HEAD_BYTES, length);
  return copy;
}

export function readCell(arena: Arena, cell: number): unknown {
  if (cell === 0) return null;
  const tag = arena.words[cell >>> 2] as number;
  if (tag === NUMBER) return arena.doubles[(cell + HEAD_BYTES) >>> 3];
  if (tag === BOOLEAN) return arena.doubles[(cell + HEAD_BYTES) >>> 3] === 1;
  const start = cell + HEAD_BYTES;
  const text = decoder.decode(arena.bytes.slice(start, start + (arena.words[(cell >>> 2) + 1] as number)));
  return tag === TEXT ? text : JSON.parse(text);
}

/** A value of an expression, as it would stand in a cell: `encodeValue` fills it, `hashScratch` and `writeScratch` use it. */
const scratch = { tag: NUMBER, length: 0, bytes: new Uint8Array(64), double: new Float64Array(0) };
growScratch(64);

function growScratch(byteLength: number): void {
  const buffer = new ArrayBuffer(Math.ceil(byteLength / 8) * 8);
  scratch.bytes = new Uint8Array(buffer);
  scratch.double = new Float64Array(buffer);
}

/** `value` is any JSON value but null. */
export function encodeValue(value: unknown): void {
  if (typeof value === 'number' || typeof value === 'boolean') {
    scratch.tag = typeof value === 'number' ? NUMBER : BOOLEAN;
    scratch.length = 8;
    scratch.double[0] = Number(value) + 0;
    return;
  }
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  scratch.tag = typeof value === 'string' ? TEXT : JSON_TEXT;
  if (text.length * 3 > scratch.bytes.length) growScratch(text.length * 3);
  scratch.length = encoder.encodeInto(text, scratch.bytes).written;
}

export function hashScratch(): void {
  if (scratch.tag === NUMBER) hashNumber(scratch.double[0] as number, SEED_NUMBER);
  else if (scratch.tag === BOOLEAN) hashNumber(scratch.double[0] as number, SEED_BOOLEAN);
  else hashBytes(scratch.bytes, 0, scratch.length, scratch.tag === TEXT ? SEED_TEXT : SEED_JSON);
}

/** A block for so many bytes: the old one when it has the room and is not much too large. */
function place(arena: Arena, old: number, tag: number, length: number): number {
  let cell = old;
  const byteLength = HEAD_BYTES + length;
  if (old !== 0) {
    const capacity = arena.capacity(old);
    if (capacity < byteLength || capacity > 8 * byteLength + 64) {
      arena.free(old);
      cell = 0;
    }
  }
  if (cell === 0) cell = arena.alloc(byteLength);
  arena.words[cell >>> 2] = tag;
  arena.words[(cell >>> 2) + 1] = length;
  return cell;
}

/** Texts are mostly short: a loop is faster than `set` over a new view up to some dozens of bytes. */
function copyBytes(to: Uint8Array, toAt: number, from: Uint8Array, fromAt: number, length: number): void {
  if (length > 48) {
    to.set(from.subarray(fromAt, fromAt + length), toAt);
    return;
  }
  for (let i = 0; i < length; i++) to[toAt + i] = from[fromAt + i] as number;
}

/**
 * Pieces of a body as bodies of their own, one for each partition, that are read as the whole was.
 *
 * Role: beside `split.ts`. Lines stay lines, elements of a list stay elements of one. What was refused because it was
 * no element any more (a list that is not closed, or has something behind it) stands in its part as it stood before: it
 * is refused again, once, and nothing else is.
 */
import type { WireFormat } from '../engine/task.ts';
import { MsgpackCursor } from './msgpack-cursor.ts';
import type { Pieces } from './split.ts';

const LINE_FEED = 10;
const COMMA = 44;
const OPEN = 91;
const CLOSE = 93;
const SPACE = 32;
/** Head of an array in MessagePack: a byte and 32 bits. */
const ARRAY_32 = 0xdd;
const HEAD_BYTES = 5;

/** How the last piece stands in its part when it is no element. */
type Rest = 'none' | 'inside' | 'behind';

class Part {
  readonly bytes: Uint8Array;
  used = 0;
  pieces = 0;

  constructor(size: number) {
    this.bytes = new Uint8Array(size);
  }

  byte(byte: number): void {
    this.bytes[this.used] = byte;
    this.used += 1;
  }

  piece(body: Uint8Array, at: number, bytes: number): void {
    this.bytes.set(body.subarray(at, at + bytes), this.used);
    this.used += bytes;
    this.pieces += 1;
  }
}

/** By partition; null: nothing for it. */
export function partsOf(
  pieces: Pieces,
  body: Uint8Array,
  format: WireFormat,
  partitions: number,
): (Uint8Array | null)[] {
  const parts = roomFor(pieces, partitions);
  if (format === 'ndjson') writeLines(pieces, body, parts);
  else if (format === 'msgpack') writeMaps(pieces, body, new MsgpackCursor(body, body.length).arrayHead(), parts);
  else if (format === 'msgpack-maps') writeMaps(pieces, body, -1, parts);
  else writeList(pieces, body, parts);
  return parts.map((part) => (part === null ? null : part.bytes.subarray(0, part.used)));
}

/** For the pieces, something between any two, and what is around them. */
function roomFor({ bytes, partition }: Pieces, partitions: number): (Part | null)[] {
  const sizes = new Array<number>(partitions).fill(0);
  for (let i = 0; i < partition.length; i++) {
    const its = partition[i] as number;
    sizes[its] = (sizes[its] as number) + (bytes[i] as number) + 1;
  }
  return sizes.map((size) => (size === 0 ? null : new Part(size + HEAD_BYTES)));
}

function writeLines({ at, bytes, partition }: Pieces, body: Uint8Array, parts: readonly (Part | null)[]): void {
  for (let i = 0; i < at.length; i++) {
    const part = parts[partition[i] as number] as Part;
    if (part.pieces > 0) part.byte(LINE_FEED);
    part.piece(body, at[i] as number, bytes[i] as number);
  }
}

/** An array each, so that whatever an element is, it is one. `elements`: of the body's array; −1: it has none. */
function writeMaps(
  { at, bytes, partition }: Pieces,
  body: Uint8Array,
  elements: number,
  parts: readonly (Part | null)[],
): void {
  for (const part of parts) if (part !== null) part.used = HEAD_BYTES;
  for (let i = 0; i < at.length; i++) {
    (parts[partition[i] as number] as Part).piece(body, at[i] as number, bytes[i] as number);
  }
  const isBehind = elements >= 0 && at.length > elements;
  const last = parts[partition.at(-1) as number];
  for (const part of parts) {
    if (part === null) continue;
    part.bytes[0] = ARRAY_32;
    new DataView(part.bytes.buffer).setUint32(1, part.pieces - (isBehind && part === last ? 1 : 0));
  }
}

function writeList(pieces: Pieces, body: Uint8Array, parts: readonly (Part | null)[]): void {
  const { at, bytes, partition } = pieces;
  const rest = restOf(pieces, body);
  const elements = rest === 'none' ? at.length : at.length - 1;
  for (const part of parts) part?.byte(OPEN);
  for (let i = 0; i < elements; i++) {
    const part = parts[partition[i] as number] as Part;
    if (part.pieces > 0) part.byte(COMMA);
    part.piece(body, at[i] as number, bytes[i] as number);
  }
  const last = rest === 'none' ? null : (parts[partition[elements] as number] as Part);
  for (const part of parts) if (part !== last) part?.byte(CLOSE);
  if (last === null) return;
  const from = at[elements] as number;
  const length = bytes[elements] as number;
  if (rest === 'behind') last.byte(CLOSE);
  // Where it is the list's end that must not be there, what must not go before it is the comma.
  else if (length > 0 && (last.pieces > 0 || body[from] === CLOSE)) last.byte(COMMA);
  last.piece(body, from, length);
}

/** Of a list that is only not closed, nothing is there, which is inside as well. */
function restOf({ at, bytes, restIsRefused }: Pieces, body: Uint8Array): Rest {
  if (!restIsRefused) return 'none';
  if (bytes.at(-1) === 0) return 'inside';
  let before = (at.at(-1) as number) - 1;
  while (before >= 0 && (body[before] as number) <= SPACE) before -= 1;
  return body[before] === COMMA || body[before] === OPEN ? 'inside' : 'behind';
}

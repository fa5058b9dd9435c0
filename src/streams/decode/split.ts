/**
 * Cuts a batch by key: bytes in, the bytes of each partition out, in the format they came in.
 *
 * Role: what a node does with events of a stream whose partitions are run by several nodes; each decodes its part again.
 * Every event goes where its key is, in the order in which they came. What is refused goes to the partition of its key as
 * far as that can be read, else to the first, and is refused there: with its reason, its place in the dead letters, and
 * the schema of that node. A function of its arguments, so that a batch sent twice is cut alike.
 */
import { Buffer } from 'node:buffer';
import { performance } from 'node:perf_hooks';
import type { Rejected, SplitResult, SplitTask, WireFormat } from '../engine/task.ts';
import type { FieldPlan, Plan, StreamPlan } from '../plan.ts';
import { encodeColumns } from './column-format.ts';
import { readBody } from './decode.ts';
import type { EventBatch } from './event-batch.ts';
import { hashRows, type KeyValue, partitionOf, partitionOfHash } from './key-hash.ts';
import { msgpackJson } from './msgpack-value.ts';
import { schemaOf } from './stream-schema.ts';

/** How events stand side by side. MessagePack is maps one after another. */
interface Framing {
  readonly open: string;
  readonly between: string;
  readonly close: string;
}

const LINES: Framing = { open: '', between: '\n', close: '' };
const LIST: Framing = { open: '[', between: ',', close: ']' };
const NOTHING: Framing = { open: '', between: '', close: '' };
const COMMA = 44;
const BRACKET = 91;
const SPACE = 32;

/** Some bytes of the body that belong together. */
interface Piece {
  readonly at: number;
  readonly bytes: number;
  readonly partition: number;
  readonly refused: boolean;
}

export function splitBatch(plan: Plan, task: SplitTask): SplitResult {
  const startedMs = performance.now();
  const { arrivalMs, format, stream } = task;
  const schema = schemaOf(plan, stream);
  const body = new Uint8Array(task.body, 0, task.bodyBytes);
  const provenance = { seq: 0, source: '', partition: '', arrivalMs, traceparent: '', correlationId: '' };
  const reading = { format, provenance, dedup: null, spare: null };
  const writer = readBody(schema, reading, body, {
    listedMax: Number.POSITIVE_INFINITY,
    wholeEvents: true,
    roomBytes: 0,
  });
  const batch = writer.finish();
  const partitions = partitionsOfRows(batch, schema.stream);
  const refused = writer.rejected.map((each) => refusedPiece(each, body, format, schema.stream));
  const done = (only: number, parts: readonly (Uint8Array | null)[] = []): SplitResult => {
    return { only, format, parts, us: Math.round((performance.now() - startedMs) * 1000) };
  };
  const only = onlyPartition(partitions, refused);
  if (only >= 0) return done(only);
  const count = schema.stream.partitions;
  if (format === 'columns') return done(-1, columnsOf(batch, schema.stream, partitions));
  const pieces = inOrder(batch, partitions, refused);
  const framing = format === 'ndjson' ? LINES : format === 'msgpack' ? NOTHING : LIST;
  const parts = Array.from({ length: count }, (_, partition) => {
    const its = pieces.filter((piece) => piece.partition === partition);
    return its.length === 0 ? null : joined(its, body, framing);
  });
  return done(-1, parts);
}

function partitionsOfRows(batch: EventBatch, { key, partitions }: StreamPlan): Uint8Array {
  const hashes = new Uint32Array(batch.count);
  hashRows(batch, key, hashes);
  return Uint8Array.from(hashes, (hash) => partitionOfHash(hash, partitions));
}

/** −1: there are several. An empty batch is the first one's. */
function onlyPartition(partitions: Uint8Array, refused: readonly Piece[]): number {
  const first = partitions[0] ?? refused[0]?.partition ?? 0;
  const same = partitions.every((each) => each === first) && refused.every(({ partition }) => partition === first);
  return same ? first : -1;
}

function inOrder(batch: EventBatch, partitions: Uint8Array, refused: readonly Piece[]): Piece[] {
  const pieces: Piece[] = Array.from(partitions, (partition, row) => ({
    at: batch.eventAt[row] as number,
    bytes: batch.eventBytes[row] as number,
    partition,
    refused: false,
  }));
  return refused.length === 0 ? pieces : [...pieces, ...refused].sort((a, b) => a.at + a.bytes - (b.at + b.bytes));
}

function joined(pieces: readonly Piece[], body: Uint8Array, { between, close, open }: Framing): Uint8Array {
  const last = pieces.at(-1) as Piece;
  // What was refused to the end of the body stands, as it did there, in a list that is not closed or behind it; of a list
  // that is only not closed, nothing is there.
  const isRest = close !== '' && last.refused && last.at + last.bytes >= body.length;
  const inside = last.bytes === 0 || standsInside(body, last.at);
  const texts: (string | Uint8Array)[] = [open];
  for (const [i, piece] of pieces.entries()) {
    if (piece.bytes === 0) continue;
    if (piece === last && isRest && !inside) texts.push(close);
    else if (i > 0) texts.push(between);
    texts.push(body.subarray(piece.at, piece.at + piece.bytes));
  }
  if (!isRest) texts.push(close);
  return Buffer.concat(texts.map((text) => (typeof text === 'string' ? Buffer.from(text) : text)));
}

function standsInside(body: Uint8Array, from: number): boolean {
  let at = from - 1;
  while (at >= 0 && (body[at] as number) <= SPACE) at -= 1;
  return body[at] === COMMA || body[at] === BRACKET;
}

/** Of fields the schema names; of others columns keep nothing. */
function columnsOf(batch: EventBatch, stream: StreamPlan, partitions: Uint8Array): (Uint8Array | null)[] {
  return Array.from({ length: stream.partitions }, (_, partition) => {
    const rows: number[] = [];
    for (const [row, its] of partitions.entries()) if (its === partition) rows.push(row);
    if (rows.length === 0) return null;
    const columns = stream.fields.map(({ name }, field) => [name, rows.map((row) => cellOf(batch, field, row))]);
    return encodeColumns(Object.fromEntries(columns));
  });
}

function cellOf(batch: EventBatch, field: number, row: number): KeyValue {
  const type = batch.plan.streams[batch.stream]?.fields[field]?.type;
  if (type === 'string') return batch.text(field, row);
  const value = (batch.values[field] as Float64Array)[row] as number;
  if (Number.isNaN(value)) return null;
  return type === 'boolean' ? value !== 0 : value;
}

function refusedPiece({ at, bytes }: Rejected, body: Uint8Array, format: WireFormat, stream: StreamPlan): Piece {
  // Of a list that is not closed: what is missing would stand at the end.
  if (bytes === 0) return { at: body.length, bytes, partition: 0, refused: true };
  const key = keyOf(body.subarray(at, at + bytes), format, stream);
  return { at, bytes, partition: key === null ? 0 : partitionOf(key, stream.partitions), refused: true };
}

/** Null: it cannot be read, or is of other types than the key's. */
function keyOf(bytes: Uint8Array, format: WireFormat, { fields, key }: StreamPlan): KeyValue[] | null {
  let value: unknown;
  try {
    const text = format === 'msgpack' ? msgpackJson(bytes, 0, bytes.length) : Buffer.from(bytes).toString();
    value = JSON.parse(text);
  } catch {
    // Told by the partition that refuses it.
    return null;
  }
  const event = format.startsWith('cloudevent') ? memberOf(value, 'data') : value;
  const values = key.map((index) => keyValue(memberOf(event, fields[index]?.name ?? ''), fields[index]));
  return values.includes(undefined) ? null : (values as KeyValue[]);
}

const memberOf = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;

function keyValue(value: unknown, field: FieldPlan | undefined): KeyValue | undefined {
  if (value === undefined || value === null) return field?.optional === true ? null : undefined;
  const type: string | undefined = field?.type === 'integer' ? 'number' : field?.type;
  const its: string = typeof value;
  return its === type ? (value as KeyValue) : undefined;
}

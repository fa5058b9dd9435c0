/**
 * Cuts a batch by key: bytes in, the bytes of each partition out, in the format they came in.
 *
 * Role: what a node does with events of a stream whose partitions are run by several nodes; each decodes its part again.
 * Every event goes where its key is, in the order in which they came. What is refused goes to the partition of its key as
 * far as that can be read, else to the first, and is refused there: with its reason, its place in the dead letters, and
 * the schema and clock of that node. A function of its arguments, so that a batch sent twice is cut alike.
 */
import type { SplitResult, SplitTask, WireFormat } from '../engine/task.ts';
import type { Plan, StreamPlan } from '../plan.ts';
import type { Places } from './batch-writer.ts';
import { type ColumnsLayout, readLayout } from './column-format.ts';
import { pickRows, valueAt } from './column-rows.ts';
import { readBody } from './decode.ts';
import type { EventBatch } from './event-batch.ts';
import { hashRows, partitionOf, partitionOfHash } from './key-hash.ts';
import { partsOf } from './part-writer.ts';
import { keyIn, RefusedKeys } from './refused-key.ts';
import { schemaOf } from './stream-schema.ts';
import { TIME_MS_MAX } from './timestamps.ts';

/** What can be read of a body, in its order: where it stands, and where it belongs. */
export interface Pieces {
  readonly at: Uint32Array;
  readonly bytes: Uint32Array;
  readonly partition: Uint8Array;
  /** The last one is refused to the end of the body. */
  readonly restIsRefused: boolean;
}

export function splitBatch(plan: Plan, task: SplitTask): SplitResult {
  const { format, stream } = task;
  const schema = schemaOf(plan, stream);
  const body = new Uint8Array(task.body, 0, task.bodyBytes);
  // What lies too far ahead is for the node to say that takes it: by another clock it may not.
  const arrivalMs = TIME_MS_MAX;
  const provenance = { seq: 0, arrivalMs, traceparent: '', correlationId: '' };
  const places: Places = { at: [], bytes: [] };
  const writer = readBody(schema, { format, provenance, dedup: null, looksOnly: false, spare: null }, body, places);
  const batch = writer.finish();
  const done = (only: number, parts: readonly (Uint8Array | null)[] = [], as = format): SplitResult => {
    return { only, format: as, parts };
  };
  const rows = partitionsOfRows(batch, schema.stream);
  const layout = format === 'columns' ? readLayout(body) : null;
  if (layout !== null) {
    // A body that is no columns, or has others than the schema, is refused as a whole.
    if (typeof layout === 'string' || places.bytes.some((bytes) => bytes > 0)) return done(0);
    const partitions = partitionsOfColumns(body, layout, rows, places, schema.stream);
    const only = onlyPartition(partitions);
    return only >= 0 ? done(only) : done(-1, columnsOf(body, layout, partitions, schema.stream.partitions));
  }
  const pieces = piecesOf(batch, rows, places, format, schema.stream, body.length);
  const only = onlyPartition(pieces.partition);
  if (only >= 0) return done(only);
  return done(-1, partsOf(pieces, body, format, schema.stream.partitions), listFormatOf(format));
}

/** What several parts are: one event and what stands behind it are apart, too. */
const listFormatOf = (format: WireFormat): WireFormat => LIST_FORMATS[format] ?? format;

const LIST_FORMATS: Readonly<Partial<Record<WireFormat, WireFormat>>> = {
  'json-object': 'json',
  'msgpack-maps': 'msgpack',
  cloudevent: 'cloudevents-batch',
};

function partitionsOfRows(batch: EventBatch, { key, partitions }: StreamPlan): Uint8Array {
  const hashes = new Uint32Array(batch.count);
  hashRows(batch, key, hashes);
  const found = new Uint8Array(batch.count);
  for (let row = 0; row < found.length; row++) found[row] = partitionOfHash(hashes[row] as number, partitions);
  return found;
}

/** −1: there are several. An empty batch is the first one's. */
function onlyPartition(partitions: Uint8Array): number {
  const first = partitions[0] ?? 0;
  return partitions.every((each) => each === first) ? first : -1;
}

/** Rows and what was refused, in the order of the body. */
function piecesOf(
  batch: EventBatch,
  rows: Uint8Array,
  refused: Places,
  format: WireFormat,
  stream: StreamPlan,
  bodyBytes: number,
): Pieces {
  const count = rows.length + refused.at.length;
  const at = new Uint32Array(count);
  const bytes = new Uint32Array(count);
  const partition = new Uint8Array(count);
  const keys = new RefusedKeys(batch.bytes, format, stream);
  let row = 0;
  let nth = 0;
  for (let i = 0; i < count; i++) {
    const refusedAt = placeOf(refused, nth, bodyBytes);
    if (row < rows.length && (batch.eventAt[row] as number) < refusedAt) {
      at[i] = batch.eventAt[row] as number;
      bytes[i] = batch.eventBytes[row] as number;
      partition[i] = rows[row] as number;
      row += 1;
    } else {
      at[i] = refusedAt;
      bytes[i] = refused.bytes[nth] as number;
      const key = keys.of(refusedAt, bytes[i] as number);
      partition[i] = key === null ? 0 : partitionOf(key, stream.partitions);
      nth += 1;
    }
  }
  const last = refused.at.length - 1;
  const end = last < 0 ? -1 : placeOf(refused, last, bodyBytes) + (refused.bytes[last] as number);
  return { at, bytes, partition, restIsRefused: end >= bodyBytes };
}

/** Of nothing (the end of a list): behind everything. */
function placeOf({ at, bytes }: Places, nth: number, bodyBytes: number): number {
  if (nth >= at.length) return Number.POSITIVE_INFINITY;
  return bytes[nth] === 0 ? bodyBytes : (at[nth] as number);
}

/** By row of the body. */
function partitionsOfColumns(
  body: Uint8Array,
  layout: ColumnsLayout,
  rows: Uint8Array,
  refused: Places,
  stream: StreamPlan,
): Uint8Array {
  const found = new Uint8Array(layout.rows);
  const columns = stream.key.map((index) => layout.columns.findLast(({ name }) => name === stream.fields[index]?.name));
  let taken = 0;
  let nth = 0;
  for (let row = 0; row < found.length; row++) {
    if (refused.at[nth] === row) {
      const values = columns.map((column) => column && valueAt(body, column, row, layout.rows));
      const key = keyIn((i) => values[i], stream);
      found[row] = key === null ? 0 : partitionOf(key, stream.partitions);
      nth += 1;
    } else {
      found[row] = rows[taken] as number;
      taken += 1;
    }
  }
  return found;
}

function columnsOf(
  body: Uint8Array,
  layout: ColumnsLayout,
  partitions: Uint8Array,
  count: number,
): (Uint8Array | null)[] {
  const rows: number[][] = Array.from({ length: count }, () => []);
  for (let row = 0; row < partitions.length; row++) rows[partitions[row] as number]?.push(row);
  return rows.map((its) => (its.length === 0 ? null : pickRows(body, layout, its)));
}

/**
 * Bytes of a batch to columns: the task that every accepted batch goes through, on any thread.
 *
 * Role: chooses the reader of the format, fills the columns of keys, and reports what was refused. A function of its
 * arguments: same plan, same task, same result, but for the ids of CloudEvents, which it looks up in the shared set and
 * puts into it.
 */
import { performance } from 'node:perf_hooks';
import type { DecodeResult, DecodeTask } from '../engine/task.ts';
import type { Plan } from '../plan.ts';
import { BatchWriter, FEW_TEXTS, MANY_TEXTS, type Places } from './batch-writer.ts';
import { CloudEventElements } from './cloudevents.ts';
import { readLayout } from './column-format.ts';
import { readColumns } from './columns.ts';
import { DedupSet } from './dedup-set.ts';
import type { EventBatch } from './event-batch.ts';
import { EventElements, readElements } from './json-array.ts';
import { fillKeys } from './key-columns.ts';
import { setContexts } from './line-contexts.ts';
import { estimateMaps, readMaps } from './msgpack.ts';
import { estimateRows, readLines } from './ndjson.ts';
import { type StreamSchema, schemaOf } from './stream-schema.ts';

const LINE_FEED = 10;
const BRACE = 123;
const NO_BODY = new Uint8Array(0);

const IDLE: ReadTask = {
  dedup: null,
  format: 'ndjson',
  looksOnly: false,
  provenance: { seq: 0, arrivalMs: 0, traceparent: '', correlationId: '' },
  spare: null,
};

/** What follows from the batch beside its columns. */
export type AfterDecoding = (batch: EventBatch) => DecodeResult['partials'];

export function decodeBatch(plan: Plan, task: DecodeTask, after: AfterDecoding = () => []): DecodeResult {
  const startedMs = performance.now();
  const body = new Uint8Array(task.body, task.bodyAt, task.bodyBytes);
  const schema = schemaOf(plan, task.stream);
  schema.idle ??= readBody(schema, IDLE, NO_BODY);
  const writer = readBody(schema, task, body);
  const { contextBytes } = task;
  if (contextBytes > 0) setContexts(writer, new Uint8Array(task.body, task.bodyAt + task.bodyBytes, contextBytes));
  const batch = writer.finish();
  fillKeys(batch, schema.keyTexts, writer.hashedFrom, writer.hashedTo);
  return {
    batch: batch.buffer,
    batchBytes: batch.byteLength,
    usesSpare: batch.buffer === task.spare,
    partials: after(batch),
    accepted: writer.row,
    duplicates: writer.duplicates,
    repeatsBack: writer.repeatsBack,
    tookAway: writer.tookAway,
    rejected: writer.rejected,
    rejectedMore: writer.rejectedMore,
    tsMax: writer.tsMax,
    us: Math.round((performance.now() - startedMs) * 1000),
  };
}

/** What a body is read by. */
type ReadTask = Pick<DecodeTask, 'dedup' | 'format' | 'looksOnly' | 'provenance' | 'spare'> &
  Partial<Pick<DecodeTask, 'contextBytes'>>;

/**
 * Reads a body to its end. `places`, for who cuts the body: takes where events stand that are refused, instead of a list
 * of them; the original bytes of CloudEvents are with their attributes then.
 */
export function readBody(
  schema: StreamSchema,
  task: ReadTask,
  body: Uint8Array,
  places: Places | null = null,
): BatchWriter {
  const { provenance, spare } = task;
  const begin = (bytes: Uint8Array, rows: number, texts: number): BatchWriter => {
    const writer = new BatchWriter(schema, provenance, bytes, rows, texts, spare);
    writer.places = places;
    return writer;
  };
  switch (task.format) {
    case 'ndjson': {
      const contexts = (task.contextBytes ?? 0) / Math.max(1, body.length);
      const writer = begin(body, estimateRows(body, LINE_FEED), FEW_TEXTS + contexts);
      readLines(writer);
      return writer;
    }
    case 'json':
    case 'json-object': {
      const writer = begin(body, estimateRows(body, BRACE), FEW_TEXTS);
      readElements(writer, new EventElements(writer), task.format === 'json' ? 'either' : 'object');
      return writer;
    }
    case 'msgpack':
    case 'msgpack-maps': {
      const writer = begin(body, estimateMaps(body), FEW_TEXTS);
      readMaps(writer, task.format === 'msgpack');
      return writer;
    }
    case 'cloudevent':
    case 'cloudevents-batch': {
      const writer = begin(body, estimateRows(body, BRACE), MANY_TEXTS);
      const dedup = task.dedup === null ? null : new DedupSet(task.dedup);
      const elements = new CloudEventElements(writer, dedup, provenance.seq);
      elements.wholeEvents = places !== null;
      elements.looksOnly = task.looksOnly;
      readElements(writer, elements, task.format === 'cloudevent' ? 'object' : 'array');
      return writer;
    }
    case 'columns': {
      const layout = readLayout(body);
      const writer = begin(NO_BODY, typeof layout === 'string' ? 0 : layout.rows, FEW_TEXTS);
      if (typeof layout === 'string') writer.reject(0, body.length, layout);
      else readColumns(writer, body, layout);
      return writer;
    }
  }
}

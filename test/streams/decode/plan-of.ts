/**
 * Plans and tasks for tests of the decoder: one stream, named fields, defaults for the rest.
 */
import { decodeBatch } from '../../../src/streams/decode/decode.ts';
import { BODY_AT, EventBatch } from '../../../src/streams/decode/event-batch.ts';
import type { FieldType } from '../../../src/streams/define/definition.ts';
import type { DecodeResult, WireFormat } from '../../../src/streams/engine/task.ts';
import type { Provenance } from '../../../src/streams/operator.ts';
import type { Plan, StreamPlan } from '../../../src/streams/plan.ts';
import { streamPlan } from '../plan-parts.ts';

export const ARRIVAL_MS = 1_700_000_000_000;

/** `string?`: optional. */
export type FieldText = FieldType | `${FieldType}?`;

export interface PlanOptions extends Partial<Omit<StreamPlan, 'fields' | 'timestampField'>> {
  readonly timestamp?: string;
  /** Key fields of each group. */
  readonly keys?: readonly (readonly string[])[];
}

export function planOf(fields: Readonly<Record<string, FieldText>>, options: PlanOptions = {}): Plan {
  const names = Object.keys(fields);
  const { timestamp = '', keys = [], ...rest } = options;
  const stream = streamPlan({
    name: 'events',
    fields: Object.entries(fields).map(([name, text]) => ({
      name,
      type: text.replace('?', '') as FieldType,
      optional: text.endsWith('?'),
    })),
    timestampField: names.indexOf(timestamp),
    dedupIdsMax: 1000,
    batchIdsMax: 0,
    dedupTtlMs: 3_600_000,
    keysMax: 1000,
    stateBytesMax: 1e6,
    pendingBytesMax: 1e6,
    ...rest,
  });
  const groups = keys.map((key, index) => ({
    index,
    inputs: [{ stream: 0, fields: key.map((name) => names.indexOf(name)) }],
    keyNames: key,
  }));
  return { epoch: 1, shards: 4, streams: [stream], groups, operators: [] };
}

export const provenance = (seq = 1, arrivalMs = ARRIVAL_MS): Provenance => ({
  seq,
  arrivalMs,
  traceparent: '',
  correlationId: '',
});

export interface Decoded extends DecodeResult {
  readonly events: EventBatch;
}

export interface DecodeOptions {
  readonly dedup?: SharedArrayBuffer;
  readonly seq?: number;
  readonly arrivalMs?: number;
  /** Memory in which the body stands where a batch has it. */
  readonly memory?: SharedArrayBuffer;
}

export function decode(
  plan: Plan,
  format: WireFormat,
  body: string | Uint8Array | object,
  options: DecodeOptions = {},
): Decoded {
  const isText = typeof body === 'string';
  const bytes = body instanceof Uint8Array ? body : Buffer.from(isText ? body : JSON.stringify(body));
  const { memory = null } = options;
  const shared = memory ?? new SharedArrayBuffer(bytes.length);
  const bodyAt = memory === null ? 0 : BODY_AT;
  new Uint8Array(shared).set(bytes, bodyAt);
  const result = decodeBatch(plan, {
    kind: 'decode',
    spare: memory,
    looksOnly: false,
    epoch: 1,
    stream: 0,
    format,
    body: shared,
    bodyAt,
    bodyBytes: bytes.length,
    contextBytes: 0,
    provenance: provenance(options.seq, options.arrivalMs),
    dedup: options.dedup ?? null,
  });
  return { ...result, events: new EventBatch(plan, result.batch) };
}

/** A row's fields as values, null for absent. */
export function rowOf(events: EventBatch, row: number): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const [field, { name, type }] of (events.plan.streams[0] as StreamPlan).fields.entries()) {
    const value = type === 'string' ? events.text(field, row) : (events.values[field] as Float64Array)[row];
    values[name] = Number.isNaN(value) ? null : type === 'boolean' ? value === 1 : value;
  }
  return values;
}

export const rowsOf = (events: EventBatch): Record<string, unknown>[] =>
  Array.from({ length: events.count }, (_, row) => rowOf(events, row));

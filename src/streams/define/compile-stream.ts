/**
 * From the definition of a stream's events, time and limits to its `StreamPlan`. All defaults of a stream are here.
 *
 * Role: first step of `compile.ts`; operators look fields up in what it gives.
 */
import type { FieldPlan, StreamPlan } from '../plan.ts';
import type { FieldDefinition, FieldType, StreamDefinition } from './definition.ts';
import { at, type Findings } from './definition-problem.ts';

export const STREAM_DEFAULTS = {
  idleAfterMs: 30_000,
  maxFutureMs: 300_000,
  dedupIdsMax: 1_000_000,
  batchIdsMax: 100_000,
  dedupTtlMs: 3_600_000,
  keysMax: 1_000_000,
  stateBytesMax: 512 * 2 ** 20,
  spillBytesMax: 2 ** 34,
  pendingBytesMax: 64 * 2 ** 20,
} as const;

/** A stream under construction: what is said about it, and where. */
export interface StreamContext {
  readonly definition: StreamDefinition;
  readonly plan: StreamPlan;
  readonly path: string;
  readonly findings: Findings;
}

export function streamPlan(definition: StreamDefinition, index: number, path: string, findings: Findings): StreamPlan {
  const { dedup = {}, limits = {}, name, schema, time = {} } = definition;
  const fields = Object.entries(schema.fields).map(([field, given]) => fieldPlan(field, given));
  const schemaPath = at(path, 'schema');
  return {
    index,
    name,
    title: definition.title ?? '',
    description: definition.description ?? '',
    fields,
    ...timestampOf(definition, fields, at(schemaPath, 'timestamp'), findings),
    key: keyFields(schema.key ?? [], fields, at(schemaPath, 'key'), findings),
    keepUnknown: schema.unknown !== 'drop',
    outOfOrderMs: time.outOfOrderMs ?? 0,
    idleAfterMs: time.idleAfterMs ?? STREAM_DEFAULTS.idleAfterMs,
    maxFutureMs: time.maxFutureMs ?? STREAM_DEFAULTS.maxFutureMs,
    durability: definition.durability ?? 'memory',
    partitions: definition.partitions ?? 1,
    dedupIdsMax: dedup.idsMax ?? STREAM_DEFAULTS.dedupIdsMax,
    batchIdsMax: dedup.batchIdsMax ?? STREAM_DEFAULTS.batchIdsMax,
    dedupTtlMs: dedup.ttlMs ?? STREAM_DEFAULTS.dedupTtlMs,
    keysMax: limits.keysMax ?? STREAM_DEFAULTS.keysMax,
    stateBytesMax: limits.stateBytesMax ?? STREAM_DEFAULTS.stateBytesMax,
    onFull: limits.onFull ?? 'refuse',
    spillBytesMax: limits.spillBytesMax ?? STREAM_DEFAULTS.spillBytesMax,
    pendingBytesMax: limits.pendingBytesMax ?? STREAM_DEFAULTS.pendingBytesMax,
  };
}

function fieldPlan(name: string, given: FieldType | FieldDefinition): FieldPlan {
  if (typeof given === 'string') return { name, type: given, optional: false };
  return { name, type: given.type, optional: given.optional ?? false };
}

function timestampOf(
  { schema: { timestamp = 'arrival' } }: StreamDefinition,
  fields: readonly FieldPlan[],
  path: string,
  findings: Findings,
): Pick<StreamPlan, 'timestampField' | 'timestampUnit'> {
  if (timestamp === 'arrival') return { timestampField: -1, timestampUnit: 'ms' };
  const { field, unit = 'ms' } = timestamp;
  const timestampField = fieldNamed(field, fields, at(path, 'field'), findings);
  const type = fields[timestampField]?.type;
  if (type !== undefined && unit === 'iso' && type !== 'string') {
    findings.add(at(path, 'unit'), unit, `s, ms, us or ns for the ${type} field ${field}`);
  } else if (type === 'string' && unit !== 'iso') {
    findings.add(at(path, 'unit'), unit, `iso for the string field ${field}`);
  } else if (type === 'boolean') {
    findings.add(at(path, 'field'), field, 'a field that is a number, an integer or a string');
  } else if (fields[timestampField]?.optional) {
    findings.add(at(path, 'field'), field, 'a field that is not optional');
  }
  return { timestampField, timestampUnit: unit };
}

/** Index of a field; −1, with a problem, when there is none. */
export function fieldNamed(name: string, fields: readonly FieldPlan[], path: string, findings: Findings): number {
  const index = fields.findIndex((field) => field.name === name);
  if (index >= 0) return index;
  const known = fields.map((field) => field.name);
  findings.add(path, name, `a field: ${listed(known)}`, known);
  return -1;
}

/** Field indexes of a key; no field twice. */
export function keyFields(
  names: readonly string[],
  fields: readonly FieldPlan[],
  path: string,
  findings: Findings,
): readonly number[] {
  return names.map((name, i) => {
    if (names.indexOf(name) !== i) findings.add(at(path, i), name, 'each field once');
    return fieldNamed(name, fields, at(path, i), findings);
  });
}

const LISTED_MAX = 20;

export function listed(known: readonly string[]): string {
  if (known.length === 0) return 'there is none';
  const shown = known.slice(0, LISTED_MAX).join(', ');
  return known.length > LISTED_MAX ? `${shown}, …` : shown;
}

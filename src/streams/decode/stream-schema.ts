/**
 * A stream's schema as the decoder needs it: numbers and bytes instead of names.
 *
 * Role: made once per plan and stream and kept beside the plan (`WeakMap`: it goes when the plan goes), with what was
 * learned of how its events are written (`shapes`), which changes how fast they are read and nothing else.
 */
import type { Plan, StreamPlan } from '../plan.ts';
import { groupInputs } from './event-batch.ts';
import { FIELD_TYPES, STRING } from './field-types.ts';
import { NameTable } from './name-table.ts';
import { ShapeCache } from './shape-cache.ts';
import { ISO, UNITS } from './timestamps.ts';

export class StreamSchema {
  readonly plan: Plan;
  readonly stream: StreamPlan;
  /** By field. */
  readonly types: Uint8Array;
  readonly optional: Uint8Array;
  readonly names: NameTable;
  /** −1: arrival. */
  readonly timestampField: number;
  /** Index into `UNITS`. */
  readonly unit: number;
  /** The timestamp is text. */
  readonly isIso: boolean;
  /** This field holds times too fine for safe integers, and any whole double will do. −1: none. */
  readonly wideField: number;
  /** Texts that are the whole key of some group; and by group (`groupInputs`), which of them is its key, −1: none. */
  readonly textKeys: readonly number[];
  readonly keyTexts: readonly number[];
  readonly shapes = new ShapeCache();
  /** What reads its events, idle: as long as there is one, V8 keeps the code that it compiled for such objects. */
  idle: unknown = null;

  constructor(plan: Plan, stream: StreamPlan) {
    this.plan = plan;
    this.stream = stream;
    this.types = Uint8Array.from(stream.fields, ({ type }) => FIELD_TYPES.indexOf(type));
    this.optional = Uint8Array.from(stream.fields, ({ optional }) => (optional ? 1 : 0));
    this.names = new NameTable(stream.fields.map(({ name }) => name));
    this.timestampField = stream.timestampField;
    this.unit = UNITS.indexOf(stream.timestampUnit);
    this.isIso = stream.timestampField >= 0 && this.unit === ISO;
    const keys = groupInputs(plan, stream.index).map(({ fields }) => this.#textOf(fields));
    this.textKeys = [...new Set(keys)].filter((field) => field >= 0);
    this.keyTexts = keys.map((field) => this.textKeys.indexOf(field));
    this.wideField = stream.timestampUnit === 'ns' ? stream.timestampField : -1;
  }

  /** The field of a key that is one text. */
  #textOf(fields: readonly number[]): number {
    const field = fields[0];
    return fields.length === 1 && field !== undefined && this.types[field] === STRING ? field : -1;
  }
}

const schemasOf = new WeakMap<Plan, (StreamSchema | undefined)[]>();

/** Throws when the plan has no such stream. */
export function schemaOf(plan: Plan, stream: number): StreamSchema {
  let schemas = schemasOf.get(plan);
  if (schemas === undefined) {
    schemas = [];
    schemasOf.set(plan, schemas);
  }
  const known = schemas[stream];
  if (known !== undefined) return known;
  const streamPlan = plan.streams[stream];
  if (streamPlan === undefined) throw new RangeError(`no stream ${stream} in a plan of ${plan.streams.length}`);
  const schema = new StreamSchema(plan, streamPlan);
  schemas[stream] = schema;
  return schema;
}

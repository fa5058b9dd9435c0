/**
 * Key of a refused event, as far as it can be read: it says which partition keeps the event.
 *
 * Role: beside `split.ts`. Looks closer than a reader of batches needs to, but must not cost more than the bytes are
 * worth: since a refused event may be anything, nothing is parsed that a cursor has not passed.
 */
import { Buffer } from 'node:buffer';
import type { WireFormat } from '../engine/task.ts';
import type { FieldPlan, StreamPlan } from '../plan.ts';
import { DEPTH_MAX, JsonCursor } from './json-cursor.ts';
import { copyText } from './json-event.ts';
import type { KeyValue } from './key-hash.ts';
import { MsgpackCursor } from './msgpack-cursor.ts';
import { readValue } from './msgpack-value.ts';

const BRACE = 123;

export class RefusedKeys {
  readonly #bytes: Uint8Array;
  readonly #format: WireFormat;
  readonly #stream: StreamPlan;
  readonly #json: JsonCursor;

  /** `bytes`: the body, padded. */
  constructor(bytes: Uint8Array, format: WireFormat, stream: StreamPlan) {
    this.#bytes = bytes;
    this.#format = format;
    this.#stream = stream;
    this.#json = new JsonCursor(bytes, 10);
  }

  /** Null: it cannot be read, or is of other types than the key's. */
  of(at: number, bytes: number): KeyValue[] | null {
    const value = this.#format.startsWith('msgpack') ? this.#map(at, at + bytes) : this.#object(at, at + bytes);
    if (value === undefined) return null;
    const event = this.#format.startsWith('cloudevent') ? dataOf(value) : value;
    const { fields, key } = this.#stream;
    return keyIn((i) => memberOf(event, fields[key[i] as number]?.name ?? ''), this.#stream);
  }

  #object(from: number, to: number): unknown {
    const cursor = this.#json;
    cursor.at = from;
    cursor.space();
    if (cursor.bytes[cursor.at] !== BRACE || !cursor.skip(DEPTH_MAX + 1)) return undefined;
    if (cursor.at > to) return undefined;
    cursor.space();
    return cursor.at >= to ? JSON.parse(copyText(this.#bytes, from, to)) : undefined;
  }

  #map(from: number, to: number): unknown {
    const cursor = new MsgpackCursor(this.#bytes, to);
    cursor.at = from;
    if (!cursor.skip() || cursor.at !== to) return undefined;
    cursor.at = from;
    return readValue(cursor);
  }
}

/** Null: a value is of another type than the key's field, or is absent where it must not be. */
export function keyIn(valueAt: (i: number) => unknown, { fields, key }: StreamPlan): KeyValue[] | null {
  const values = key.map((index, i) => keyValue(valueAt(i), fields[index]));
  return values.includes(undefined) ? null : (values as KeyValue[]);
}

function keyValue(value: unknown, field: FieldPlan | undefined): KeyValue | undefined {
  if (value === undefined || value === null) return field?.optional === true ? null : undefined;
  const type: string | undefined = field?.type === 'integer' ? 'number' : field?.type;
  const known = typeof value === 'bigint' ? Number(value) : value;
  const its: string = typeof known;
  return its === type ? (known as KeyValue) : undefined;
}

function dataOf(value: unknown): unknown {
  const base64 = memberOf(value, 'data_base64');
  if (typeof base64 !== 'string') return memberOf(value, 'data');
  try {
    return JSON.parse(Buffer.from(base64, 'base64').toString());
  } catch {
    // Told by the partition that refuses it.
    return undefined;
  }
}

const memberOf = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined;

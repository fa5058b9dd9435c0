/**
 * CloudEvents in HTTP binary mode: attributes in `ce-*` headers, data in the body.
 *
 * Role: turns one into the structured form, which is what the decoder reads. Only data that is JSON can be an event.
 * Source: CloudEvents 1.0, HTTP protocol binding, binary content mode; values are percent-encoded.
 */
import type { RequestHead } from '../../frontend/port.ts';
import { isMark, MARK_BYTES } from '../decode/utf8.ts';

const ATTRIBUTES = [
  'id',
  'source',
  'type',
  'subject',
  'time',
  'dataschema',
  'partitionkey',
  'traceparent',
  'tracestate',
  'correlationid',
];

export type BinaryEvent = Readonly<Record<string, string>>;

/** Null when the request is not one. Only valid while the head can be read. */
export function binaryEventOf(head: RequestHead): BinaryEvent | null {
  const specversion = head.header('ce-specversion');
  if (specversion === '') return null;
  const event: Record<string, string> = { specversion };
  for (const attribute of ATTRIBUTES) {
    const value = head.header(`ce-${attribute}`);
    if (value !== '') event[attribute] = decoded(value);
  }
  return event;
}

function decoded(value: string): string {
  if (!value.includes('%')) return value;
  try {
    return decodeURIComponent(value);
  } catch {
    // Not percent-encoding after all: as it stands.
    return value;
  }
}

/** Null when the data is not JSON text. */
export function wrapBinaryEvent(event: BinaryEvent, type: string, data: Uint8Array): Uint8Array | null {
  const head = JSON.stringify({ ...event, datacontenttype: type }).slice(0, -1);
  const body = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const text = isMark(body, 0) ? body.subarray(MARK_BYTES) : body;
  if (type !== '' && type !== 'application/json' && !type.endsWith('+json')) return null;
  return Buffer.concat([Buffer.from(`${head},"data":`), text, Buffer.from('}')]);
}

/**
 * CloudEvents in HTTP binary mode: attributes in `ce-*` headers, data in the body.
 *
 * Role: turns one into the structured form, which is what the decoder reads. Only data that is JSON can be an event.
 * The body is inserted as it came, and the attributes follow it: since the last of two members of the same name counts,
 * a body that is more than one value cannot forge them. For the same reason absent attributes are written as null, and
 * the length of the body stands beside it: the decoder refuses data that is only the beginning of the body.
 * Source: CloudEvents 1.0.2, HTTP protocol binding: a media type of CloudEvents means another mode, whatever headers
 * there are (3); values are percent-encoded, and may be quoted strings (3.1.3.2).
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

const OTHER_MODES = 'application/cloudevents';
const QUOTED = /^"(?:[^"\\]|\\.)*"$/;
const QUOTED_PAIR = /\\(.)/g;

export type BinaryEvent = Readonly<Record<string, string | null>>;

/** Null when the request, of that media type, is not one. Only valid while the head can be read. */
export function binaryEventOf(head: RequestHead, type: string): BinaryEvent | null {
  const specversion = head.header('ce-specversion');
  if (specversion === '' || type.startsWith(OTHER_MODES)) return null;
  const event: Record<string, string | null> = { specversion: decoded(specversion) };
  for (const attribute of ATTRIBUTES) {
    const value = head.header(`ce-${attribute}`);
    event[attribute] = value === '' ? null : decoded(value);
  }
  return event;
}

function decoded(value: string): string {
  const text = QUOTED.test(value) ? value.slice(1, -1).replace(QUOTED_PAIR, '$1') : value;
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    // Not percent-encoding after all: as it stands.
    return text;
  }
}

/** Null when the data is not JSON text. */
export function wrapBinaryEvent(event: BinaryEvent, type: string, data: Uint8Array): Uint8Array | null {
  const body = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const text = isMark(body, 0) ? body.subarray(MARK_BYTES) : body;
  if (type !== '' && type !== 'application/json' && !type.endsWith('+json')) return null;
  const members = { ...event, datacontenttype: type, data_base64: null, data_bytes: bytesBetweenSpace(text) };
  const attributes = JSON.stringify(members).slice(1);
  return Buffer.concat([Buffer.from('{"data":'), text, Buffer.from(`,${attributes}`)]);
}

/** White space of JSON at both ends left out. */
function bytesBetweenSpace(text: Uint8Array): number {
  let from = 0;
  let to = text.length;
  while (from < to && isSpace(text[from] as number)) from++;
  while (to > from && isSpace(text[to - 1] as number)) to--;
  return to - from;
}

const isSpace = (byte: number): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;

/**
 * A JavaScript value into the open row, or the reason why it cannot be an event.
 *
 * Role: the slow and thorough way behind all formats: for events that are written oddly, and for those that are refused.
 * Here, and nowhere else, it is decided what an event may be; the fast readers take a part of that and never more.
 * Reasons name the field, the value (at most `EXCERPT_CHARS_MAX` characters of it) and what was expected.
 */
import { Buffer } from 'node:buffer';
import type { BatchWriter } from './batch-writer.ts';
import { BOOLEAN, INTEGER, NUMBER, STRING } from './field-types.ts';
import { ISO, TIME_MS_MAX, UNITS } from './timestamps.ts';

export const EXCERPT_CHARS_MAX = 64;

/** With the flag `u`, a pair is one character and no match. */
const LONE_SURROGATE = /\p{Surrogate}/u;

const EXPECTED = ['a finite number', 'a safe integer', 'a string', 'true or false'] as const;

function excerpt(value: unknown): string {
  if (typeof value === 'bigint') return String(value);
  const json = value instanceof Uint8Array ? `${value.length} bytes` : JSON.stringify(value, bigintAsText);
  const text = typeof value === 'number' && !Number.isFinite(value) ? String(value) : (json ?? String(value));
  return shortened(text);
}

export function shortened(text: string): string {
  if (text.length <= EXCERPT_CHARS_MAX) return text;
  // The cut may go through a surrogate pair.
  return `${text.slice(0, EXCERPT_CHARS_MAX - 1).replace(LONE_SURROGATE, '')}…`;
}

const bigintAsText = (_key: string, value: unknown): unknown => (typeof value === 'bigint' ? Number(value) : value);

/** Fills the open row and its time from an object's own members; `''`, or the reason it was refused. */
export function readObject(writer: BatchWriter, value: unknown): string {
  if (
    typeof value !== 'object' ||
    value === null ||
    Array.isArray(value) ||
    value instanceof Date ||
    value instanceof Uint8Array
  ) {
    return `expected an object, got ${excerpt(value)}`;
  }
  const { fields } = writer.schema.stream;
  for (let field = 0; field < fields.length; field++) {
    const name = (fields[field] as { name: string }).name;
    const member: unknown = Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : null;
    if (member === null || member === undefined) {
      if (!writer.setAbsent(field))
        return `field "${name}": is absent, expected ${EXPECTED[writer.schema.types[field] as number]}`;
    } else if (!readField(writer, field, member)) {
      return `field "${name}": ${excerpt(member)} is not ${expectation(writer, field)}`;
    }
  }
  return writer.stampTime() ? '' : timeReason(writer);
}

function expectation(writer: BatchWriter, field: number): string {
  const type = writer.schema.types[field] as number;
  return type === STRING ? 'a string of Unicode text' : (EXPECTED[type] as string);
}

function readField(writer: BatchWriter, field: number, value: unknown): boolean {
  const { types, wideField, timestampField, unit } = writer.schema;
  const type = types[field];
  if (value instanceof Date) {
    if (field !== timestampField || type === BOOLEAN) return false;
    const ms = value.getTime();
    if (type !== STRING) {
      writer.setTime(ms);
      return !Number.isNaN(ms);
    }
    return unit === ISO && !Number.isNaN(ms) && readField(writer, field, value.toISOString());
  }
  if (type === STRING) {
    if (typeof value !== 'string' || LONE_SURROGATE.test(value)) return false;
    const bytes = Buffer.from(value);
    writer.setText(field, writer.appendBytes(bytes), bytes.length);
    return true;
  }
  if (type === BOOLEAN) {
    writer.setNumber(field, value === true ? 1 : 0);
    return typeof value === 'boolean';
  }
  const number = typeof value === 'bigint' ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isFinite(number)) return false;
  writer.setNumber(field, number);
  if (type === NUMBER) return true;
  return type === INTEGER && (Number.isSafeInteger(number) || (field === wideField && Number.isInteger(number)));
}

/** Why `stampTime` refused the open row. */
function timeReason(writer: BatchWriter): string {
  const { schema, row } = writer;
  const time = writer.ts[row] as number;
  const field = schema.timestampField;
  const name = schema.stream.fields[field]?.name ?? 'time';
  const shown = schema.isIso
    ? excerpt(writer.batch.text(field, row))
    : excerpt(field < 0 ? time : (schemaValue(writer, field) as number));
  if (time > writer.timeMsMax && Math.abs(time) <= TIME_MS_MAX) {
    const aheadMs = time - writer.arrivalMs;
    return `field "${name}": ${shown} lies ${aheadMs} ms in the future, at most ${schema.stream.maxFutureMs} ms are allowed`;
  }
  return `field "${name}": ${shown} is not a time (${schema.isIso ? 'RFC 3339 text' : `in ${UNITS[schema.unit]}`})`;
}

const schemaValue = (writer: BatchWriter, field: number): number | undefined => writer.values[field]?.[writer.row];

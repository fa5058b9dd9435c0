/**
 * Entries of a Redis stream: what a reply holds, and how an entry becomes an event.
 *
 * Role: pure functions beside `redis-source.ts`. An entry that cannot become an event becomes a line that the decoder
 * refuses with all that was in it, so that it is found among the dead letters instead of being lost.
 */
import type { RedisReply } from '../../redis/connection.ts';

export interface Entry {
  readonly id: string;
  /** Name, value, name, value …; null: the entry was deleted after it had been handed over. */
  readonly fields: readonly Buffer[] | null;
}

export interface Mapping {
  /** The field that holds the event as JSON; `''`: every field is a member. */
  readonly field: string;
  /** Members that are numbers, and booleans; the others are texts. */
  readonly numbers: ReadonlySet<string>;
  readonly booleans: ReadonlySet<string>;
}

const JSON_NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;

/** Of XREADGROUP for one stream: null when nothing came. */
export function entriesRead(reply: RedisReply): readonly Entry[] {
  const streams = listOf(reply);
  const [first] = streams;
  // RESP2: one pair per stream.
  return first === undefined ? [] : entriesOf(listOf(first)[1] ?? null);
}

export function entriesOf(reply: RedisReply): readonly Entry[] {
  return listOf(reply).map((entry) => {
    const [id, fields] = listOf(entry);
    return { id: String(id), fields: fields === null || fields === undefined ? null : (listOf(fields) as Buffer[]) };
  });
}

export function listOf(reply: RedisReply): readonly RedisReply[] {
  return Array.isArray(reply) ? (reply as readonly RedisReply[]) : [];
}

/** Of a reply that is names and values in turn. */
export function memberOf(reply: RedisReply, name: string): string {
  const list = listOf(reply);
  return String(list[list.indexOf(name) + 1]);
}

/** `ms-n` against `ms-n`; `''` is before everything. */
export function isAfter(id: string, other: string): boolean {
  if (other === '') return true;
  const [ms = '0', n = '0'] = id.split('-');
  const [otherMs = '0', otherN = '0'] = other.split('-');
  const order = compareDigits(ms, otherMs);
  return order === 0 ? compareDigits(n, otherN) > 0 : order > 0;
}

/** Decimal texts without leading zeros: 64 bits are more than a number holds. */
function compareDigits(a: string, b: string): number {
  if (a.length !== b.length) return a.length - b.length;
  return a === b ? 0 : a < b ? -1 : 1;
}

/** One line of NDJSON, without line feed. Bytes stay as they are: what is no UTF-8 the decoder refuses, and keeps. */
export function eventLine({ fields, id }: Entry, { booleans, field, numbers }: Mapping): Buffer {
  const pairs = fields ?? [];
  if (field === '') return bytesOf(membersOf(pairs, numbers, booleans));
  for (let i = 0; i + 1 < pairs.length; i += 2) {
    const value = pairs[i + 1] as Buffer;
    if ((pairs[i] as Buffer).toString('utf8') === field && value.length > 0) return onOneLine(value);
  }
  const given = membersOf(pairs, new Set(), new Set());
  return bytesOf(JSON.stringify(`entry ${id} has no field ${Buffer.from(field).toString('latin1')}: ${given}`));
}

/** A character for each byte, which JSON needs no more escapes for than for the text that they are. */
function membersOf(pairs: readonly Buffer[], numbers: ReadonlySet<string>, booleans: ReadonlySet<string>): string {
  const members: string[] = [];
  for (let i = 0; i + 1 < pairs.length; i += 2) {
    const name = pairs[i] as Buffer;
    const named = name.toString('utf8');
    const text = (pairs[i + 1] as Buffer).toString('latin1');
    const plain = numbers.has(named) ? JSON_NUMBER.test(text) : booleans.has(named) && /^(true|false)$/.test(text);
    // What is not a number where one is expected stays a text: the decoder says so.
    members.push(`${JSON.stringify(name.toString('latin1'))}:${plain ? text : JSON.stringify(text)}`);
  }
  return `{${members.join(',')}}`;
}

const bytesOf = (characters: string): Buffer => Buffer.from(characters, 'latin1');

/** Line breaks in JSON are white space between tokens: inside of texts they are escaped. */
function onOneLine(json: Buffer): Buffer {
  if (!json.includes(10) && !json.includes(13)) return json;
  const line = Buffer.from(json);
  for (let i = 0; i < line.length; i++) if (line[i] === 10 || line[i] === 13) line[i] = 32;
  return line;
}

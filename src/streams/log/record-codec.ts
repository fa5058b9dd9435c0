/**
 * A log record as bytes: a head of its small members, then the body as it came in.
 *
 * Layout, little-endian, inside a sealed value (`../lmdb/sealed-value.ts`), whose seed is the sequence number:
 *
 *   0       8             16           20          24
 *   │ seal  │ bytesBefore │ head bytes │ body bytes │ head: MessagePack array │ body …
 *
 * `bytesBefore` (a double) is the size of all records ever appended before this one: the difference of two records tells
 * how much lies between them, so the size of a log is known when it is opened, without reading it.
 */
import { Packr } from 'msgpackr';
import type { WireFormat } from '../engine/task.ts';
import { SEAL_BYTES, seal, unsealed } from '../lmdb/sealed-value.ts';
import { LogDamaged, type LogRecord } from './port.ts';

const BYTES_BEFORE = SEAL_BYTES;
const HEAD_BYTES = 16;
const BODY_BYTES = 20;
const HEAD = 24;
const EVENTS = 1;
const TICK = 2;
const PLAN = 3;
const TIME = 4;

/** Its last member is missing from what earlier versions wrote. */
type EventsHead = [number, string, WireFormat, string, string, number, string, string, string, string, string, string?];
type TickHead = [number, number, [string, string][]];
type TimeHead = [number, string, string, number, number];

const packr = new Packr({ useRecords: false });
const NO_BODY = new Uint8Array(0);
const encoder = new TextEncoder();

const seedOfSeq = (seq: number): number => ((seq % 2 ** 32) ^ Math.floor(seq / 2 ** 32)) >>> 0;

export function encodeRecord(seq: number, bytesBefore: number, record: LogRecord): Buffer {
  const head = packr.pack(headOf(record));
  const body = bodyOf(record);
  const value = Buffer.allocUnsafe(HEAD + head.byteLength + body.byteLength);
  value.writeDoubleLE(bytesBefore, BYTES_BEFORE);
  value.writeUInt32LE(head.byteLength, HEAD_BYTES);
  value.writeUInt32LE(body.byteLength, BODY_BYTES);
  value.set(head, HEAD);
  value.set(body, HEAD + head.byteLength);
  seal(value, seedOfSeq(seq));
  return value;
}

/** The record, over the value's bytes. Throws `LogDamaged`. */
export function decodeRecord(seq: number, value: Buffer | undefined): LogRecord {
  const checked = check(seq, value);
  const headEnd = HEAD + checked.readUInt32LE(HEAD_BYTES);
  const bodyEnd = headEnd + checked.readUInt32LE(BODY_BYTES);
  if (bodyEnd !== checked.byteLength) throw damaged(seq, `${checked.byteLength} bytes instead of ${bodyEnd}`);
  const head = packr.unpack(checked.subarray(HEAD, headEnd)) as readonly unknown[];
  const body = checked.subarray(headEnd, bodyEnd);
  switch (head[0]) {
    case EVENTS:
      return eventsOf(head as EventsHead, body);
    case TICK: {
      const [, nowMs, idle] = head as TickHead;
      return { kind: 'tick', nowMs, idle: idle.map(([stream, partition]) => ({ stream, partition })) };
    }
    case TIME: {
      const [, stream, partition, tsMs, arrivalMs] = head as TimeHead;
      return { kind: 'time', stream, partition, tsMs, arrivalMs };
    }
    case PLAN:
      return { kind: 'plan', definitionsJson: body.toString('utf8') };
    default:
      throw damaged(seq, `kind ${String(head[0])}`);
  }
}

/** Bytes of all records before this one. Throws `LogDamaged`. */
export const bytesBefore = (seq: number, value: Buffer | undefined): number =>
  check(seq, value).readDoubleLE(BYTES_BEFORE);

function check(seq: number, value: Buffer | undefined): Buffer {
  const payload = unsealed(value, seedOfSeq(seq));
  if (typeof payload === 'string') throw damaged(seq, payload);
  if (payload.byteLength < HEAD - SEAL_BYTES) throw damaged(seq, `only ${payload.byteLength} bytes`);
  return value as Buffer;
}

const damaged = (seq: number, what: string): LogDamaged => new LogDamaged(seq, `log record ${seq}: ${what}`);

function headOf(record: LogRecord): unknown[] {
  switch (record.kind) {
    case 'events': {
      const { stream, format, source, partition, arrivalMs, traceparent, correlationId } = record;
      const { batchId, position, setAside, unread } = record;
      const head: EventsHead = [
        EVENTS,
        stream,
        format,
        source,
        partition,
        arrivalMs,
        traceparent,
        correlationId,
        batchId,
        position,
        setAside,
        unread,
      ];
      return head;
    }
    case 'tick':
      return [TICK, record.nowMs, record.idle.map(({ stream, partition }) => [stream, partition])];
    case 'time':
      return [TIME, record.stream, record.partition, record.tsMs, record.arrivalMs];
    case 'plan':
      return [PLAN];
  }
}

function bodyOf(record: LogRecord): Uint8Array {
  if (record.kind === 'events') return record.body;
  return record.kind === 'plan' ? encoder.encode(record.definitionsJson) : NO_BODY;
}

function eventsOf(head: EventsHead, body: Uint8Array): LogRecord {
  const [, stream, format, source, partition, arrivalMs, traceparent, correlationId, ...rest] = head;
  const [batchId, position, setAside, unread = ''] = rest;
  return {
    kind: 'events',
    stream,
    format,
    source,
    partition,
    arrivalMs,
    traceparent,
    correlationId,
    batchId,
    position,
    setAside,
    unread,
    body,
  };
}

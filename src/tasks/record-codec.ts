/**
 * Task records and calls as bytes, for stores outside this process.
 *
 * Role: plain lists, so that a member that is added needs a new version and an older node reads what it does not know
 * as absent.
 */
import { pack, unpack } from '../redis/packed.ts';
import type { TaskCall, TaskRecord, TaskStatus } from './port.ts';

const VERSION = 1;

export function packRecord(record: TaskRecord): Buffer {
  return pack(VERSION, [
    record.taskId,
    record.principalId,
    record.status,
    record.statusMessage,
    record.createdAt,
    record.lastUpdatedAt,
    record.ttlMs,
    record.pollIntervalMs,
    [...record.inputRequests],
    record.resultJson,
    record.errorJson,
  ]);
}

type RecordRow = readonly [
  string,
  string | null,
  TaskStatus,
  string,
  number,
  number,
  number | null,
  number,
  readonly (readonly [string, string])[],
  string,
  string,
];

export function unpackRecord(bytes: unknown): TaskRecord | undefined {
  const row = unpack(VERSION, bytes);
  if (!Array.isArray(row) || row.length !== 11) return undefined;
  const [taskId, principalId, status, statusMessage, createdAt, lastUpdatedAt, ttlMs, pollIntervalMs, asked, ...ends] =
    row as unknown as RecordRow;
  return {
    taskId,
    principalId,
    status,
    statusMessage,
    bornAtMs: 0,
    createdAt,
    lastUpdatedAt,
    ttlMs,
    pollIntervalMs,
    inputRequests: new Map(asked),
    resultJson: ends[0],
    errorJson: ends[1],
  };
}

export function packCall(call: TaskCall): Buffer {
  return pack(VERSION, [call.tool, call.revision, call.flags, call.share, call.extras, Buffer.from(call.body)]);
}

type CallRow = readonly [string, string, number, string, TaskCall['extras'], Uint8Array];

/** Null: there is none. */
export function unpackCall(bytes: unknown): TaskCall | null {
  const row = unpack(VERSION, bytes);
  if (!Array.isArray(row) || row.length !== 6) return null;
  const [tool, revision, flags, share, extras, body] = row as unknown as CallRow;
  return { tool, revision, flags, share, extras, body };
}

/**
 * What two nodes say about a call that one runs for the other.
 *
 *     asker ─► call         CallFacts, and the request body as the client sent it
 *     asker ◄─              whole: an ending; or in parts: started ─► (log │ progress │ asked │ task │ released)* ─► ended
 *     asker ─► call/answer  AnswerFacts, and the JSON of the answer
 *     asker ─► call/task    TaskFacts
 *     an ending:            one line of JSON, then the encoded JSON-RPC response
 *
 * Role: both sides are this file. The asker cancels by breaking the connection off. What another node sent is checked
 * for its shape here, since it may be of another version, and trusted beyond that.
 */
import type { Ask, JobExtras, RpcError, TaskWish } from '../../dispatch/job.ts';
import type { Outcome } from '../../observe/port.ts';
import { FAULTS, type Fault, type FaultName, fault } from '../../protocol/faults.ts';

export const CALL_PATH = 'call';
export const ANSWER_PATH = 'call/answer';
export const TASK_PATH = 'call/task';

/** Names of frames. */
export const EVENT = {
  ended: 'ended',
  log: 'log',
  progress: 'progress',
  asked: 'asked',
  task: 'task',
  released: 'released',
} as const;

export interface CallFacts {
  /** Of the asker, never used twice in one start of it. */
  readonly id: string;
  readonly tool: string;
  readonly revision: string;
  readonly flags: number;
  /** Fair-share key of the client. */
  readonly share: string;
  /** Until the client is to be answered. */
  readonly deadlineMs: number;
  /** An ending that comes within so many milliseconds is answered whole. */
  readonly wholeMs: number;
  readonly extras: JobExtras | null;
}

export interface AnswerFacts {
  readonly id: string;
  readonly askId: number;
  readonly error: RpcError | null;
}

export interface TaskFacts {
  readonly id: string;
  readonly taskId: string;
  readonly deadlineMs: number;
}

/** How a call ended on the node that was asked. */
export interface Ending {
  /** Null: completed, and `bytes` is the response. */
  readonly fault: Fault | null;
  readonly status: number;
  readonly outcome: Outcome;
  readonly bytes: Uint8Array;
  /** The call may have begun to run. */
  readonly taken: boolean;
  /** Of the node that answers, now. */
  readonly load: number;
}

type Facts = { readonly [member: string]: unknown };

/** Null when they are not what a node of this version sends. */
export function callFacts(facts: Facts): CallFacts | null {
  const { id, tool, revision, flags, share, deadlineMs, wholeMs, extras } = facts;
  const texts = [id, tool, revision, share].every((member) => typeof member === 'string');
  const numbers = [flags, deadlineMs, wholeMs].every((member) => typeof member === 'number' && member >= 0);
  return texts && numbers && typeof extras === 'object' ? (facts as unknown as CallFacts) : null;
}

export function answerFacts(facts: Facts): AnswerFacts | null {
  const { id, askId, error } = facts;
  const fits = typeof id === 'string' && Number.isInteger(askId) && typeof error === 'object';
  return fits ? (facts as unknown as AnswerFacts) : null;
}

export function taskFacts(facts: Facts): TaskFacts | null {
  const { id, taskId, deadlineMs } = facts;
  const fits = typeof id === 'string' && typeof taskId === 'string' && typeof deadlineMs === 'number';
  return fits ? (facts as unknown as TaskFacts) : null;
}

export function completedHead(status: number, outcome: Outcome, load: number): string {
  return `${JSON.stringify({ status, outcome, load })}\n`;
}

export function refusedHead(f: Fault, taken: boolean, load: number): string {
  return `${JSON.stringify({ fault: f, taken, load })}\n`;
}

/** Null when it is none. `bytes` of the ending is a view. */
export function endingOf(body: Uint8Array): Ending | null {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const end = bytes.indexOf('\n');
  const head = end === -1 ? null : parsed(bytes.toString('utf8', 0, end));
  if (head === null) return null;
  const load = typeof head['load'] === 'number' ? head['load'] : 0;
  const rest = bytes.subarray(end + 1);
  if (head['fault'] !== undefined) {
    const f = faultOf(head['fault']);
    return { fault: f, status: 0, outcome: 'internal', bytes: rest, taken: head['taken'] !== false, load };
  }
  const { status, outcome } = head;
  if (typeof status !== 'number' || typeof outcome !== 'string') return null;
  return { fault: null, status, outcome: outcome as Outcome, bytes: rest, taken: true, load };
}

/** A fault by a name that this version does not know is an internal error to its clients. */
function faultOf(value: unknown): Fault {
  const { name, message, data } = (value ?? {}) as { name?: unknown; message?: unknown; data?: unknown };
  if (typeof name !== 'string' || !Object.hasOwn(FAULTS, name)) return fault('internal', 'internal error');
  const text = typeof message === 'string' ? message : name;
  return { name: name as FaultName, message: text, data: typeof data === 'object' && data !== null ? data : undefined };
}

export function askOf(data: string): Ask | null {
  const { askId, method, paramsJson, key } = parsed(data) ?? {};
  const fits = Number.isInteger(askId) && [method, paramsJson, key].every((member) => typeof member === 'string');
  return fits ? ({ askId, method, paramsJson, key } as Ask) : null;
}

export function wishOf(data: string): TaskWish | null {
  const { ttlMs, pollIntervalMs } = parsed(data) ?? {};
  const fits = (ttlMs === null || typeof ttlMs === 'number') && typeof pollIntervalMs === 'number';
  return fits ? { ttlMs: ttlMs as number | null, pollIntervalMs } : null;
}

/** `12.5 {…}`: how far it is, and the notification. Null when it is none. */
export function progressOf(data: string): { readonly progress: number; readonly json: string } | null {
  const space = data.indexOf(' ');
  const progress = space < 1 ? Number.NaN : Number(data.slice(0, space));
  return Number.isNaN(progress) ? null : { progress, json: data.slice(space + 1) };
}

function parsed(text: string): Facts | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Facts) : null;
  } catch {
    // Of another version, or cut: the caller says what that means.
    return null;
  }
}

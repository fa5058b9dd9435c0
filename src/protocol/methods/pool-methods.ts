// HOT PATH
/**
 * The methods that run something of the catalogue: `tools/call`, `prompts/get`, `resources/read` and
 * `completion/complete`.
 *
 * Role: finds the entry, makes the job, hands it with its raw body to the dispatcher. Arguments are the worker's to
 * look at, wherever that is.
 */
import type { ToolDefinition } from '../../catalogue/define.ts';
import type { Entry } from '../../catalogue/entry.ts';
import { JOB_FLAG, Job, type JobExtras, type TaskWish } from '../../dispatch/job.ts';
import type { Caller, Channel, OpenRequest, RequestEnvelope } from '../channel.ts';
import { fault } from '../faults.ts';
import { answerFault, idJsonIn } from './answers.ts';
import { callGuarded, concerns } from './guarded-calls.ts';
import type { MethodDeps, MethodHandler } from './method-deps.ts';
import { methodMissing } from './method-missing.ts';
import { paramsOf } from './params.ts';
import { RequestCall } from './request-call.ts';
import { resourceMissing } from './resource-missing.ts';
import { declaresTasks, TASKS_REQUIRED } from './task-capability.ts';

/** Characters of an unknown name that the answer repeats. */
const SHOWN_MAX = 128;

const RETRY_AFTER_MS = 1000;

const BAD_URI = fault('invalidParams', 'params.uri must be a string');

export const callTool: MethodHandler = (deps, caller, envelope, channel) => {
  const catalogue = deps.catalogue.current;
  if (!catalogue.has.tools) return methodMissing(deps, caller, envelope, channel);
  const entry = catalogue.tool(envelope.name);
  if (entry === undefined) return nameUnknown(deps, caller, envelope, channel, 'tool');
  if (concerns(deps.guards, entry, envelope)) return callGuarded(deps, entry, caller, envelope, channel, deps.runTool);
  return runTool(deps, entry, caller, envelope, channel, 0);
};

/** The call itself, whatever stood before it. */
export function runTool(
  deps: MethodDeps,
  entry: Entry,
  caller: Caller,
  envelope: RequestEnvelope,
  channel: Channel,
  waitedMs: number,
): OpenRequest | null {
  if (entry.task !== 'never') return callTaskTool(deps, entry, caller, envelope, channel, waitedMs);
  return runEntry(deps, entry, caller, envelope, channel, waitedMs);
}

export const getPrompt: MethodHandler = (deps, caller, envelope, channel) => {
  const catalogue = deps.catalogue.current;
  if (!catalogue.has.prompts) return methodMissing(deps, caller, envelope, channel);
  const entry = catalogue.prompt(envelope.name);
  if (entry === undefined) return nameUnknown(deps, caller, envelope, channel, 'prompt');
  return runEntry(deps, entry, caller, envelope, channel, 0);
};

export const readResource: MethodHandler = (deps, caller, envelope, channel) => {
  const catalogue = deps.catalogue.current;
  if (!catalogue.has.resources) return methodMissing(deps, caller, envelope, channel);
  if (envelope.name === '') return answerFault(deps, caller.revision, envelope, channel, BAD_URI);
  const entry = catalogue.resource(envelope.name);
  if (entry === undefined) {
    return answerFault(deps, caller.revision, envelope, channel, resourceMissing(caller.revision, envelope.name));
  }
  return runEntry(deps, entry, caller, envelope, channel, 0);
};

/** Sends the request to wherever its entry runs. */
export function runEntry(
  deps: MethodDeps,
  entry: Entry,
  caller: Caller,
  envelope: RequestEnvelope,
  channel: Channel,
  waitedMs: number,
): OpenRequest | null {
  const call = new RequestCall(deps, envelope.method, envelope.idJson, caller, channel);
  const timeoutMs = entry.timeoutMs === 0 ? deps.settings.requestTimeoutMs : entry.timeoutMs;
  const extras = extrasOf(entry, caller, envelope);
  const leftMs = waitedMs === 0 ? timeoutMs : Math.max(1, Math.ceil(timeoutMs - waitedMs));
  const job = new Job(entry, caller.revision, flagsOf(envelope, channel), caller, extras, call, leftMs);
  return call.submit(job, envelope.body);
}

/** A tool whose definition makes its calls tasks. Sessions have no tasks: there an optional one just runs. */
function callTaskTool(
  deps: MethodDeps,
  entry: Entry,
  caller: Caller,
  envelope: RequestEnvelope,
  channel: Channel,
  waitedMs: number,
): OpenRequest | null {
  const found = paramsOf(envelope);
  if (found.wrong !== null) return answerFault(deps, caller.revision, envelope, channel, found.wrong);
  if (caller.revision.era !== 'stateless' || !declaresTasks(found.params)) {
    if (entry.task === 'optional') return runEntry(deps, entry, caller, envelope, channel, waitedMs);
    return answerFault(deps, caller.revision, envelope, channel, TASKS_REQUIRED);
  }
  const call = new RequestCall(deps, envelope.method, idJsonIn(envelope), caller, channel);
  const timeoutMs = entry.timeoutMs === 0 ? deps.settings.tasks.deadlineMs : entry.timeoutMs;
  const extras = extrasOf(entry, caller, envelope) ?? {};
  const job = new Job(entry, caller.revision, flagsOf(envelope, channel), caller, extras, call, timeoutMs);
  return call.submitAsTask(job, extras, envelope.body, taskWishOf(entry));
}

/** 0 leaves a value to the server's settings. */
function taskWishOf(entry: Entry): TaskWish {
  const options = (entry.definition as ToolDefinition).taskOptions;
  const ttlMs = options?.ttlMs;
  return { ttlMs: ttlMs === undefined ? 0 : ttlMs, pollIntervalMs: options?.pollIntervalMs ?? 0 };
}

function nameUnknown(
  deps: MethodDeps,
  caller: Caller,
  envelope: RequestEnvelope,
  channel: Channel,
  kind: 'tool' | 'prompt',
): null {
  const { name } = envelope;
  const shown = name.length > SHOWN_MAX ? `${name.slice(0, SHOWN_MAX)}…` : name;
  const message = name === '' ? 'params.name must be a string' : `unknown ${kind}: ${shown}`;
  if (kind === 'tool' && name !== '' && !deps.knowsAllTools()) {
    const why = `tool ${shown} is not known here, and what the other nodes run cannot be found out right now`;
    const refusal = fault('unavailable', why, { retryAfterMs: RETRY_AFTER_MS });
    return answerFault(deps, caller.revision, envelope, channel, refusal);
  }
  return answerFault(deps, caller.revision, envelope, channel, fault('invalidParams', message));
}

function flagsOf(envelope: RequestEnvelope, channel: Channel): number {
  return (envelope.checkHeaders ? JOB_FLAG.CHECK_HEADERS : 0) | (channel.canStream ? JOB_FLAG.CAN_STREAM : 0);
}

/** Null when there is nothing to tell beside the body: the common case, and the cheap one. */
function extrasOf(entry: Entry, caller: Caller, envelope: RequestEnvelope): JobExtras | null {
  const { session, principal } = caller;
  const named = entry.kind === 'template';
  const capable = session !== null && !isEmpty(session.clientCapabilities);
  const levelled = session !== null && session.logLevel !== '';
  const traced = envelope.trace !== null || envelope.correlationId !== '';
  if (!named && !capable && !levelled && !traced && principal === null && envelope.paramHeaders === null) return null;
  const extras: JobExtras = {};
  if (named) extras.name = envelope.name;
  if (envelope.paramHeaders !== null) extras.paramHeaders = envelope.paramHeaders;
  if (envelope.trace !== null) extras.trace = envelope.trace;
  if (envelope.correlationId !== '') extras.correlationId = envelope.correlationId;
  if (principal !== null) extras.principal = principal;
  if (levelled) extras.logLevel = session.logLevel;
  if (capable) extras.clientCapabilities = session.clientCapabilities;
  return extras;
}

function isEmpty(object: object): boolean {
  for (const _member in object) return false;
  return true;
}

// HOT PATH
/**
 * What may stand between `tools/call` and its tool: rate budgets, the idempotency ledger, kept results; in this order.
 *
 * Role: `concerns` is what every other call pays: a few numbers and empty strings are compared. Only for calls that one
 * of the three has to do with are the params read on this thread.
 * The key of a call is the header `Idempotency-Key`, or `_meta["io.millrace/idempotencyKey"]` where there is no header.
 * In a body that this thread has no other reason to read, `_meta` is looked for only if the tool must not be repeated:
 * for the others nothing depends on it.
 */
import type { Entry } from '../../catalogue/entry.ts';
import type { Caller, CallRun, Channel, JsonObject, OpenRequest, RequestEnvelope } from '../channel.ts';
import { type Fault, fault } from '../faults.ts';
import { isJsonObject } from '../message-shape.ts';
import { answerFault, idJsonIn } from './answers.ts';
import type { MethodDeps } from './method-deps.ts';
import { paramsOf } from './params.ts';

export const IDEMPOTENCY_META_KEY = 'io.millrace/idempotencyKey';
/** Visible ASCII. */
const KEY_SHAPE = /^[\x21-\x7e]{1,255}$/;
const META_KEY_BYTES = Buffer.from(IDEMPOTENCY_META_KEY);
const indexOf = Buffer.prototype.indexOf;

/** Calls of one kind, made through what stands before them. See `KeyedCalls` and `CachedCalls`. */
export interface KeyedCallsPort {
  call(
    entry: Entry,
    caller: Caller,
    envelope: RequestEnvelope,
    params: JsonObject,
    key: string,
    channel: Channel,
    run: CallRun,
  ): OpenRequest | null;
}
export interface CachedCallsPort {
  call(
    entry: Entry,
    caller: Caller,
    envelope: RequestEnvelope,
    params: JsonObject,
    channel: Channel,
    run: CallRun,
  ): OpenRequest | null;
}

export interface CallGuards {
  /** Null: no limit is configured. */
  readonly rates: { take(tool: string, share: string): number; limits(tool: string): boolean } | null;
  readonly keyed: KeyedCallsPort;
  readonly cached: CachedCallsPort;
}

const BAD_KEY = fault('invalidParams', 'an idempotency key is 1 to 255 characters of visible ASCII');
const TWO_KEYS = fault('invalidParams', 'the header and params._meta carry different idempotency keys');

/** Whether anything stands between this call and its tool. */
export function concerns(guards: CallGuards, entry: Entry, envelope: RequestEnvelope): boolean {
  if (envelope.idempotencyKey !== '' || entry.cacheTtlMs > 0) return true;
  if (guards.rates?.limits(entry.name) === true) return true;
  if (entry.repeatable) return false;
  return envelope.params === null
    ? indexOf.call(envelope.body, META_KEY_BYTES) >= 0
    : keyOfMeta(envelope.params) !== undefined;
}

export function callGuarded(
  deps: MethodDeps,
  entry: Entry,
  caller: Caller,
  envelope: RequestEnvelope,
  channel: Channel,
  run: CallRun,
): OpenRequest | null {
  const { cached, keyed, rates } = deps.guards;
  const waitMs = rates?.limits(entry.name) === true ? rates.take(entry.name, caller.share()) : 0;
  if (waitMs > 0) {
    deps.meters.shed('rate');
    return answerFault(deps, caller.revision, envelope, channel, rateFault(entry, waitMs));
  }
  const found = paramsOf(envelope);
  if (found.wrong !== null) return answerFault(deps, caller.revision, envelope, channel, found.wrong);
  const { params } = found;
  // Whose headers name another tool than its body is refused where bodies are checked against headers.
  if (params['name'] !== envelope.name) return run(entry, caller, envelope, channel, 0);
  const key = keyOf(envelope.idempotencyKey, params);
  if (typeof key !== 'string') return answerFault(deps, caller.revision, envelope, channel, key);
  const isCached = entry.cacheTtlMs > 0;
  if (key === '' && !isCached) return run(entry, caller, envelope, channel, 0);
  const kept = keep(envelope, params);
  if (key === '') return cached.call(entry, caller, kept, params, channel, run);
  if (!isCached) return keyed.call(entry, caller, kept, params, key, channel, run);
  const runCached: CallRun = (own, who, request, out, waitedMs) =>
    cached.call(own, who, request, params, out, (its, of, made, to, waitedHereMs) =>
      run(its, of, made, to, waitedMs + waitedHereMs),
    );
  return keyed.call(entry, caller, kept, params, key, channel, runCached);
}

function rateFault(entry: Entry, retryAfterMs: number): Fault {
  return fault('rateLimited', `tool ${entry.name} is called more often than its budget allows`, { retryAfterMs });
}

function keyOf(header: string, params: JsonObject): string | Fault {
  const meta = keyOfMeta(params);
  if (header === '' && meta === undefined) return '';
  // A structured field has quotes around it.
  const named = header.length > 1 && header.startsWith('"') && header.endsWith('"') ? header.slice(1, -1) : header;
  if (header !== '' && meta !== undefined && meta !== named) return TWO_KEYS;
  const key = header === '' ? meta : named;
  return typeof key === 'string' && KEY_SHAPE.test(key) ? key : BAD_KEY;
}

function keyOfMeta(params: JsonObject): unknown {
  const meta = params['_meta'];
  return isJsonObject(meta) ? meta[IDEMPOTENCY_META_KEY] : undefined;
}

/** The body is lent, and the call may be made later. */
function keep(envelope: RequestEnvelope, params: JsonObject): RequestEnvelope {
  return {
    idJson: idJsonIn(envelope),
    method: envelope.method,
    name: envelope.name,
    params,
    body: Uint8Array.from(envelope.body),
    checkHeaders: envelope.checkHeaders,
    trace: envelope.trace,
    correlationId: envelope.correlationId,
    paramHeaders: envelope.paramHeaders,
    idempotencyKey: envelope.idempotencyKey,
  };
}

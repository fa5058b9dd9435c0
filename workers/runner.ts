// HOT PATH
/**
 * Runs one slot of the job board: parse, check, validate, call, encode.
 *
 * Role: everything of a request that may cost time happens here, on whichever thread holds the runner: a worker, or
 * the front-end thread for inline tools and caller-runs. The order is the order of the file.
 * Invariants: a slot this thread has claimed is always brought to DONE, now or when its promise settles, whatever the
 * tool returned or threw; the answer is complete in shared memory (or in an overflow buffer) before DONE is stored.
 * The thread's header names the slot while a tool's code runs for it in one piece, the encoding included.
 */
import { Buffer } from 'node:buffer';
import { foldedNow, foldedSince } from '../src/dispatch/folded-time.ts';
import type { RpcError } from '../src/dispatch/job.ts';
import { JOB_FLAG, type JobExtras } from '../src/dispatch/job.ts';
import { CANCEL, type JobBoard, OUTCOMES, RESULT_BYTES } from '../src/dispatch/job-board.ts';
import { checkStatelessEnvelope } from '../src/protocol/envelope-check.ts';
import { encodeFault, FAULTS, type Fault, fault } from '../src/protocol/faults.ts';
import { checkParamHeaders } from '../src/protocol/header-values.ts';
import { parseJson } from '../src/protocol/json.ts';
import type { RequestStateCodec } from '../src/protocol/request-state.ts';
import { REVISIONS, type Revision } from '../src/protocol/revisions.ts';
import { CallContext } from './call-context.ts';
import type { ResultEncoder } from './encode-result.ts';
import { failureAnswer } from './failure-answer.ts';
import type { LoadedEntry } from './load-entry.ts';
import type { EntryHost, RunnerPort } from './port.ts';
import { inputRequiredAnswer, restoreRounds } from './rounds.ts';
import { callTarget, encodeAnswer, type TargetAnswer } from './targets.ts';
import { describeError, intrinsicsChanged } from './thread-guard.ts';

type Json = Record<string, unknown>;

const NO_PARAMS: Json = Object.freeze({});
const INTERNAL = fault('internal', 'internal error');
const TOO_LATE = fault('timeout', 'the deadline passed before the call could start');
/** In place of an entry's key: it cannot be said whose doing it was. */
const NOBODY = -1;
const OUTCOME_CODE = Object.fromEntries(OUTCOMES.map((name, code) => [name, code])) as Record<
  (typeof OUTCOMES)[number],
  number
>;

/** What `run` says: the slot is DONE (or was somebody else's), or its promise is pending. */
export const RAN = { DONE: 0, PENDING: 1 } as const;

export interface RunnerOptions {
  readonly board: JobBoard;
  /** Header of this thread on the board. */
  readonly worker: number;
  readonly port: RunnerPort;
  readonly host: EntryHost;
  readonly encoder: ResultEncoder;
  readonly codec: RequestStateCodec;
  readonly resultBytesMax: number;
  readonly jsonDepthMax: number;
}

export class JobRunner {
  /** Header of this thread on the board; a worker learns it with its first batch. */
  worker: number;
  /** Results of synchronous jobs that did not fit their slots, for the batch's own answer. */
  readonly overflow: { slot: number; sequence: number; bytes: Uint8Array }[] = [];
  readonly #board: JobBoard;
  readonly #port: RunnerPort;
  readonly #host: EntryHost;
  readonly #encoder: ResultEncoder;
  readonly #codec: RequestStateCodec;
  readonly #resultBytesMax: number;
  readonly #jsonDepthMax: number;
  #ran = 0;
  /** Contexts of pending jobs, by slot. */
  readonly #pending = new Map<number, CallContext>();
  /** The call whose first part runs now: on the front-end thread what it asks may be answered before that returns. */
  #calling: CallContext | null = null;

  constructor(options: RunnerOptions) {
    this.#board = options.board;
    this.worker = options.worker;
    this.#port = options.port;
    this.#host = options.host;
    this.#encoder = options.encoder;
    this.#codec = options.codec;
    this.#resultBytesMax = options.resultBytesMax;
    this.#jsonDepthMax = options.jsonDepthMax;
  }

  get pending(): number {
    return this.#pending.size;
  }

  /** `body` and `extrasJson` only for a job whose request did not fit its slot. */
  run(slot: number, sequence: number, body: Uint8Array | null, extrasJson: string): number {
    const board = this.#board;
    if (!board.claim(slot, sequence)) return RAN.DONE;
    board.markStarted(slot, foldedNow());
    const entry = this.#host.find(board.entryKey(slot));
    if (entry instanceof Promise) {
      this.#runLater(slot, entry, body, extrasJson);
      return RAN.PENDING;
    }
    return this.#begin(slot, entry, body, extrasJson);
  }

  #runLater(slot: number, loading: Promise<LoadedEntry | Error>, body: Uint8Array | null, extrasJson: string): void {
    const begin = (entry: LoadedEntry | Error): void => {
      if (this.#begin(slot, entry, body, extrasJson) === RAN.DONE) this.#announce(slot);
    };
    loading.then(begin, begin);
  }

  /** After a pending slot became DONE. */
  #announce(slot: number): void {
    const last = this.overflow.at(-1);
    const bytes = last !== undefined && last.slot === slot ? last.bytes : null;
    if (bytes !== null) this.overflow.pop();
    this.#port.settled(slot, this.#board.sequence(slot), bytes);
  }

  /** What is thrown here is a bug; it costs this call, not its neighbours in the batch. */
  #begin(slot: number, entry: LoadedEntry | Error, body: Uint8Array | null, extrasJson: string): number {
    try {
      return this.#open(slot, entry, body, extrasJson);
    } catch (error) {
      return this.#broke(slot, '', '', error);
    }
  }

  #open(slot: number, entry: LoadedEntry | Error, body: Uint8Array | null, extrasJson: string): number {
    const board = this.#board;
    const at = board.requestAt(slot);
    const bodyBytes = board.bodyBytes(slot);
    const bytes = body ?? board.bytes.subarray(at, at + bodyBytes);
    const parsed = parseJson(bytes, this.#jsonDepthMax);
    if (!parsed.ok) return this.#refuse(slot, '', fault('parse', parsed.reason));
    const message = parsed.value as Json;
    const idJson = idOf(message);
    // Here and not before: the answer needs the id, and loading the entry may have taken the rest of its time.
    if (board.cancelled(slot) !== CANCEL.NONE || foldedSince(board.deadlineAt(slot), foldedNow()) >= 0)
      return this.#refuse(slot, idJson, TOO_LATE);
    if (entry instanceof Error) {
      this.#port.log('error', '', '', `${entry.message}: ${String(entry.cause ?? 'removed')}`);
      return this.#refuse(slot, idJson, fault('internal', entry.message));
    }
    let extras: JobExtras | null = null;
    const extrasBytes = board.extrasBytes(slot);
    if (extrasJson !== '') extras = JSON.parse(extrasJson);
    else if (extrasBytes > 0) extras = JSON.parse(board.bytes.utf8Slice(at + bodyBytes, at + bodyBytes + extrasBytes));
    const revision = REVISIONS[board.revisionIndex(slot)] as Revision;
    const refusal = revision.era === 'stateless' ? this.#checkEnvelope(slot, message, entry, extras) : null;
    if (refusal !== null) return this.#refuse(slot, idJson, refusal);
    const params = (message['params'] as Json | undefined) ?? NO_PARAMS;
    const context = new CallContext(board, this.#port, slot, revision, entry, idJson, params, extras);
    context.largeBody = body;
    return this.#call(context);
  }

  #checkEnvelope(slot: number, message: Json, entry: LoadedEntry, extras: JobExtras | null): Fault | null {
    if ((this.#board.flags(slot) & JOB_FLAG.CHECK_HEADERS) === 0) return checkStatelessEnvelope(message, null);
    const named = extras?.name;
    const headers =
      named === undefined
        ? entry.headers
        : { protocolVersion: entry.headers.protocolVersion, method: entry.method, name: named };
    const refusal = checkStatelessEnvelope(message, headers);
    if (refusal !== null || entry.paramHeaders.length === 0) return refusal;
    const args = (message['params'] as Json)['arguments'];
    return checkParamHeaders(entry.paramHeaders, extras?.paramHeaders ?? {}, args);
  }

  #call(context: CallContext): number {
    // What changed while others waited was not this call's doing.
    if (this.#pending.size > 0) this.#checkIntrinsics(NOBODY);
    this.#board.setCurrent(this.worker, context.slot);
    this.#board.noteEntry(this.worker, context.entry.key);
    let value: unknown;
    let failed = false;
    try {
      const refusal = restoreRounds(context, this.#codec);
      if (refusal !== null) {
        this.#board.setCurrent(this.worker, -1);
        return this.#refuse(context.slot, context.idJson, refusal);
      }
      this.#calling = context;
      value = callTarget(context);
      if (isThenable(value)) value = Promise.resolve(value);
    } catch (error) {
      value = error;
      failed = true;
    }
    this.#calling = null;
    context.entry.lastRan = ++this.#ran;
    this.#checkIntrinsics(context.entry.key);
    if (!failed && value instanceof Promise) {
      this.#board.setCurrent(this.worker, -1);
      this.#follow(context, value, performance.now() - context.calledAtMs);
      return RAN.PENDING;
    }
    this.#answer(context, value, failed, context.calledAtMs);
    return RAN.DONE;
  }

  /** What an asynchronous handler does between its awaits is not seen: only its first part and the encoding count. */
  #follow(context: CallContext, promise: Promise<unknown>, blockingMs: number): void {
    this.#pending.set(context.slot, context);
    const settle = (value: unknown, failed: boolean): void => {
      this.#pending.delete(context.slot);
      this.#board.noteEntry(this.worker, context.entry.key);
      this.#checkIntrinsics(this.#pending.size === 0 ? context.entry.key : NOBODY);
      this.#answer(context, value, failed, performance.now() - blockingMs);
      this.#announce(context.slot);
    };
    promise.then(
      (value) => settle(value, false),
      (error: unknown) => settle(error, true),
    );
  }

  #checkIntrinsics(entryKey: number): void {
    const changed = intrinsicsChanged();
    if (changed !== '') this.#port.stray(entryKey, 'pollution', changed);
  }

  /** The ending of a call that was made. `busySinceMs`: from when on the thread's time is charged to it. */
  #answer(context: CallContext, value: unknown, failed: boolean, busySinceMs: number): void {
    const board = this.#board;
    board.setCurrent(this.worker, context.slot);
    try {
      context.end();
      if (context.questions !== null) this.#askAgain(context, busySinceMs);
      else if (failed) this.#fail(context, value, busySinceMs);
      else this.#succeed(context, value, busySinceMs);
    } catch (error) {
      this.#broke(context.slot, context.idJson, context.entry.name, error);
    }
    board.setCurrent(this.worker, -1);
  }

  #succeed(context: CallContext, value: unknown, busySinceMs: number): void {
    let answer: TargetAnswer;
    try {
      answer = encodeAnswer(this.#encoder, context, value);
    } catch (error) {
      this.#fail(context, error, busySinceMs);
      return;
    }
    if (answer.ran) this.#spent(context, busySinceMs);
    if (answer.fault !== null) this.#refuse(context.slot, context.idJson, answer.fault);
    else this.#finish(context, answer.isError ? OUTCOME_CODE['tool-error'] : OUTCOME_CODE.ok, answer.text);
  }

  #fail(context: CallContext, error: unknown, busySinceMs: number): void {
    const answer = failureAnswer(this.#encoder, context, error, this.#port);
    this.#spent(context, busySinceMs);
    if (answer.text !== '') this.#finish(context, OUTCOME_CODE['tool-error'], answer.text);
    else this.#refuse(context.slot, context.idJson, answer.fault ?? INTERNAL);
  }

  #askAgain(context: CallContext, busySinceMs: number): void {
    const answer = inputRequiredAnswer(this.#encoder, context, this.#codec);
    this.#spent(context, busySinceMs);
    if (typeof answer === 'string') this.#finish(context, OUTCOME_CODE['input-required'], answer);
    else {
      this.#port.log('error', context.entry.name, context.correlationId, answer.message);
      this.#refuse(context.slot, context.idJson, answer);
    }
  }

  /** Something that no answer could be made of, or a bug: the cause is for the log. */
  #broke(slot: number, idJson: string, name: string, error: unknown): number {
    this.#port.log('error', name, '', describeError(error));
    return this.#refuse(slot, idJson, INTERNAL);
  }

  #spent(context: CallContext, busySinceMs: number): void {
    const nowMs = performance.now();
    this.#board.spent(context.slot, toUs(nowMs - busySinceMs), toUs(nowMs - context.calledAtMs));
  }

  #refuse(slot: number, idJson: string, f: Fault): number {
    const outcome =
      f.name === 'timeout'
        ? OUTCOME_CODE.timeout
        : f.name === 'internal'
          ? OUTCOME_CODE.internal
          : OUTCOME_CODE.invalid;
    this.#write(slot, FAULTS[f.name].status, outcome, encodeFault(idJson, f));
    return RAN.DONE;
  }

  #finish(context: CallContext, outcome: number, text: string): void {
    if (text.length <= this.#resultBytesMax) {
      this.#write(context.slot, 200, outcome, text);
      return;
    }
    const message = `the result has more than ${this.#resultBytesMax} bytes, the largest this server sends`;
    this.#refuse(context.slot, context.idJson, fault('resultTooLarge', message));
  }

  #write(slot: number, status: number, outcome: number, text: string): void {
    const board = this.#board;
    if (text.length <= RESULT_BYTES) {
      const written = board.bytes.utf8Write(text, board.resultAt(slot), RESULT_BYTES);
      if (text.length * 3 <= RESULT_BYTES || written === Buffer.byteLength(text)) {
        board.finish(slot, status, outcome, written);
        return;
      }
    }
    this.overflow.push({ slot, sequence: board.sequence(slot), bytes: new Uint8Array(Buffer.from(text)) });
    board.finish(slot, status, outcome, -1);
  }

  #find(slot: number, sequence: number): CallContext | undefined {
    const calling = this.#calling;
    const context = calling !== null && calling.slot === slot ? calling : this.#pending.get(slot);
    return context?.sequence === sequence ? context : undefined;
  }

  /** From the front end: the job's client is gone, or its deadline passed. */
  cancel(slot: number, sequence: number, reason: string): void {
    this.#find(slot, sequence)?.abort(reason);
  }

  answer(slot: number, sequence: number, askId: number, resultJson: string | null, error: RpcError | null): void {
    this.#find(slot, sequence)?.answer(askId, resultJson, error);
  }

  taskStarted(slot: number, sequence: number, taskId: string): void {
    this.#find(slot, sequence)?.taskStarted(taskId);
  }
}

function idOf(message: Json): string {
  const id = typeof message === 'object' && message !== null ? message['id'] : undefined;
  if (typeof id === 'number' && Number.isInteger(id)) return String(id);
  return typeof id === 'string' ? JSON.stringify(id) : '';
}

function toUs(ms: number): number {
  return Math.min(0x7fffffff, Math.round(ms * 1000));
}

/** Promises of other libraries too: query builders and the like have only `then`. */
function isThenable(value: unknown): boolean {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';
}

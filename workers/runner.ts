// HOT PATH
/**
 * Runs one slot of the job board: parse, check, validate, call, encode.
 *
 * Role: everything of a request that may cost time happens here, on whichever thread holds the runner: a worker, or
 * the front-end thread for inline tools and caller-runs. The order is the order of the file.
 * Invariants: a slot whose READY state this thread won is always brought to DONE, now or when its promise settles;
 * the answer is complete in shared memory (or in an overflow buffer) before DONE is stored.
 */
import { Buffer } from 'node:buffer';
import { JOB_FLAG, type JobExtras } from '../src/dispatch/job.ts';
import {
  CANCEL,
  foldedNow,
  foldedSince,
  type JobBoard,
  OUTCOMES,
  RESULT_BYTES,
  STATE,
} from '../src/dispatch/job-board.ts';
import { checkParamHeaders, checkStatelessEnvelope } from '../src/protocol/envelope-check.ts';
import { encodeFault, FAULTS, type Fault, fault } from '../src/protocol/faults.ts';
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
import { intrinsicsChanged } from './thread-guard.ts';

type Json = Record<string, unknown>;

const NO_PARAMS: Json = Object.freeze({});
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
  readonly overflow: { slot: number; bytes: Uint8Array }[] = [];
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
  run(slot: number, body: Uint8Array | null, extrasJson: string): number {
    const board = this.#board;
    if (!board.swapState(slot, STATE.READY, STATE.RUNNING)) return RAN.DONE;
    const started = foldedNow();
    board.markStarted(slot, started);
    if (foldedSince(board.deadlineAt(slot), started) >= 0 || board.cancelled(slot) !== CANCEL.NONE) {
      return this.#refuse(slot, '', fault('timeout', 'the deadline passed before the call could start'), 0);
    }
    const entry = this.#host.find(board.entryKey(slot));
    if (entry instanceof Promise) {
      this.#runLater(slot, entry, body, extrasJson);
      return RAN.PENDING;
    }
    return this.#begin(slot, entry, body, extrasJson);
  }

  #runLater(slot: number, loading: Promise<LoadedEntry | Error>, body: Uint8Array | null, extrasJson: string): void {
    loading.then(
      (entry) => {
        if (this.#begin(slot, entry, body, extrasJson) === RAN.DONE) this.#announce(slot);
      },
      (error: Error) => {
        this.#begin(slot, error, body, extrasJson);
        this.#announce(slot);
      },
    );
  }

  /** After a pending slot became DONE. */
  #announce(slot: number): void {
    const last = this.overflow.at(-1);
    const bytes = last !== undefined && last.slot === slot ? last.bytes : null;
    if (bytes !== null) this.overflow.pop();
    this.#port.settled(slot, bytes);
  }

  #begin(slot: number, entry: LoadedEntry | Error, body: Uint8Array | null, extrasJson: string): number {
    const board = this.#board;
    const at = board.requestAt(slot);
    const bodyBytes = board.bodyBytes(slot);
    const bytes = body ?? board.bytes.subarray(at, at + bodyBytes);
    const parsed = parseJson(bytes, this.#jsonDepthMax);
    if (!parsed.ok) return this.#refuse(slot, '', fault('parse', parsed.reason), 0);
    const message = parsed.value as Json;
    const idJson = idOf(message);
    if (entry instanceof Error) {
      this.#port.log('error', '', '', `${entry.message}: ${String(entry.cause ?? 'removed')}`);
      return this.#refuse(slot, idJson, fault('internal', entry.message), 0);
    }
    let extras: JobExtras | null = null;
    const extrasBytes = board.extrasBytes(slot);
    if (extrasJson !== '') extras = JSON.parse(extrasJson);
    else if (extrasBytes > 0) extras = JSON.parse(board.bytes.utf8Slice(at + bodyBytes, at + bodyBytes + extrasBytes));
    const revision = REVISIONS[board.revisionIndex(slot)] as Revision;
    const refusal = revision.era === 'stateless' ? this.#checkEnvelope(slot, message, entry, extras) : null;
    if (refusal !== null) return this.#refuse(slot, idJson, refusal, 0);
    return this.#call(slot, idJson, entry, message, revision, extras);
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

  #call(
    slot: number,
    idJson: string,
    entry: LoadedEntry,
    message: Json,
    revision: Revision,
    extras: JobExtras | null,
  ): number {
    const params = (message['params'] as Json | undefined) ?? NO_PARAMS;
    const context = new CallContext(this.#board, this.#port, slot, revision, entry, idJson, params, extras);
    const begun = performance.now();
    this.#board.setCurrent(this.worker, slot);
    let value: unknown;
    try {
      const refusal = restoreRounds(context, this.#codec);
      if (refusal !== null) return this.#refuse(slot, idJson, refusal, 0);
      value = callTarget(context);
    } catch (error) {
      return this.#fail(context, error, begun);
    } finally {
      this.#board.setCurrent(this.worker, -1);
      this.#checkIntrinsics(entry);
    }
    if (!(value instanceof Promise)) return this.#succeed(context, value, begun);
    this.#follow(context, value, performance.now() - begun);
    return RAN.PENDING;
  }

  /** What an asynchronous handler does between its awaits is not seen: only its first part and the encoding count. */
  #follow(context: CallContext, promise: Promise<unknown>, blockingMs: number): void {
    this.#pending.set(context.slot, context);
    promise.then(
      (value) => {
        this.#pending.delete(context.slot);
        this.#checkIntrinsics(context.entry);
        this.#succeed(context, value, performance.now() - blockingMs);
        this.#announce(context.slot);
      },
      (error: unknown) => {
        this.#pending.delete(context.slot);
        this.#fail(context, error, performance.now() - blockingMs);
        this.#announce(context.slot);
      },
    );
  }

  #checkIntrinsics(entry: LoadedEntry): void {
    entry.lastRan = ++this.#ran;
    const changed = intrinsicsChanged();
    if (changed !== '') this.#port.stray(entry.key, 'pollution', changed);
  }

  #succeed(context: CallContext, value: unknown, begun: number): number {
    if (context.questions !== null) return this.#askAgain(context, begun);
    context.end();
    let answer: TargetAnswer;
    try {
      answer = encodeAnswer(this.#encoder, context, value);
    } catch (error) {
      return this.#fail(context, error, begun);
    }
    if (answer.fault !== null) return this.#refuse(context.slot, context.idJson, answer.fault, elapsedUs(begun));
    return this.#finish(context, answer.isError ? OUTCOME_CODE['tool-error'] : OUTCOME_CODE.ok, answer.text, begun);
  }

  #fail(context: CallContext, error: unknown, begun: number): number {
    if (context.questions !== null) return this.#askAgain(context, begun);
    context.end();
    const answer = failureAnswer(this.#encoder, context, error, this.#port);
    if (answer.fault !== null) return this.#refuse(context.slot, context.idJson, answer.fault, elapsedUs(begun));
    if (answer.text === '')
      return this.#refuse(context.slot, context.idJson, fault('internal', 'internal error'), elapsedUs(begun));
    return this.#finish(context, OUTCOME_CODE['tool-error'], answer.text, begun);
  }

  #askAgain(context: CallContext, begun: number): number {
    context.end();
    return this.#finish(
      context,
      OUTCOME_CODE['input-required'],
      inputRequiredAnswer(this.#encoder, context, this.#codec),
      begun,
    );
  }

  #refuse(slot: number, idJson: string, f: Fault, blockingUs: number): number {
    const outcome =
      f.name === 'timeout'
        ? OUTCOME_CODE.timeout
        : f.name === 'internal'
          ? OUTCOME_CODE.internal
          : OUTCOME_CODE.invalid;
    this.#write(slot, FAULTS[f.name].status, outcome, encodeFault(idJson, f), blockingUs);
    return RAN.DONE;
  }

  #finish(context: CallContext, outcome: number, text: string, begun: number): number {
    if (text.length > this.#resultBytesMax) {
      const f = fault(
        'resultTooLarge',
        `the result has more than ${this.#resultBytesMax} bytes, the largest this server sends`,
      );
      return this.#refuse(context.slot, context.idJson, f, elapsedUs(begun));
    }
    this.#write(context.slot, 200, outcome, text, elapsedUs(begun));
    return RAN.DONE;
  }

  #write(slot: number, status: number, outcome: number, text: string, blockingUs: number): void {
    const board = this.#board;
    if (text.length <= RESULT_BYTES) {
      const written = board.bytes.utf8Write(text, board.resultAt(slot), RESULT_BYTES);
      if (text.length * 3 <= RESULT_BYTES || written === Buffer.byteLength(text)) {
        board.finish(slot, status, outcome, written, blockingUs);
        return;
      }
    }
    this.overflow.push({ slot, bytes: new Uint8Array(Buffer.from(text)) });
    board.finish(slot, status, outcome, -1, blockingUs);
  }

  /** From the front end: the job's client is gone, or its deadline passed. */
  cancel(slot: number, sequence: number, reason: string): void {
    const context = this.#pending.get(slot);
    if (context?.sequence === sequence) context.abort(reason);
  }

  answer(
    slot: number,
    sequence: number,
    askId: number,
    resultJson: string | null,
    error: { code: number; message: string } | null,
  ): void {
    const context = this.#pending.get(slot);
    if (context?.sequence === sequence) context.answer(askId, resultJson, error);
  }

  taskStarted(slot: number, sequence: number, taskId: string): void {
    const context = this.#pending.get(slot);
    if (context?.sequence === sequence) context.taskStarted(taskId);
  }
}

function idOf(message: Json): string {
  const id = typeof message === 'object' && message !== null ? message['id'] : undefined;
  return typeof id === 'string' || (typeof id === 'number' && Number.isInteger(id)) ? JSON.stringify(id) : '';
}

function elapsedUs(begun: number): number {
  return Math.min(0x7fffffff, Math.round((performance.now() - begun) * 1000));
}

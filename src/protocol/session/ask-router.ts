/**
 * Questions to the client of one session or connection, and the way their answers take back.
 *
 * Role: gives every question of a running tool (`elicitation/create`, `sampling/createMessage`, `roots/list`) a request
 * id of its own and, when the client posts a response with that id, hands it to the job that asked. Whether the client
 * can be asked at all is decided by the tool's side. Where several nodes serve the session, ids begin with the tag of the
 * node that asks, and an answer that comes to another one is told from one that answers nothing.
 * Invariants: ids are unique for the life of the session; at most `asksMax` questions wait, one more is answered with
 * an error at once; the questions of a job end with it, those of a session
 * with its jobs. A response is untrusted: it reaches only this session's jobs.
 */
import type { Ask, Dispatcher, Job, RpcError } from '../../dispatch/job.ts';
import type { AskRouter, JsonObject } from '../channel.ts';
import { FAULTS } from '../faults.ts';

const ELSEWHERE = -1;
const DEAF = { code: FAULTS.internal.code, message: 'the client has ended its input: it can answer no question' };

interface Waiting {
  readonly job: Job;
  readonly askId: number;
}

/**
 * `answered`: reached its job. `late`: asked here once, no longer waiting. `unknown`: never asked here. `elsewhere`: if
 * it was asked, then by the node of `askingNode`.
 */
export type AnswerOutcome = 'answered' | 'late' | 'unknown' | 'elsewhere';

/** Longest id given out: a tag, a dot, a number. */
const ID_CHARS_MAX = 32;
const ID_SHAPE = /^([0-9a-z]+)\.([1-9]\d*)$/;

export class SessionAsks implements AskRouter {
  readonly #dispatcher: Pick<Dispatcher, 'answer'>;
  readonly #asksMax: number;
  /** `''`: no other node asks this client, and ids are numbers. */
  readonly #tag: string;
  #nextId = 1;
  #closed = false;
  /** Made on first use: most sessions are never asked. */
  #waiting: Map<number, Waiting> | null = null;

  constructor(dispatcher: Pick<Dispatcher, 'answer'>, asksMax: number, tag: string) {
    this.#dispatcher = dispatcher;
    this.#asksMax = asksMax;
    this.#tag = tag;
  }

  /** The request to send, or `''` when too many questions wait: the job has then been told. */
  open(job: Job, ask: Ask): string {
    this.#waiting ??= new Map();
    if (this.#closed || this.#waiting.size >= this.#asksMax) {
      const why = this.#closed ? DEAF : tooMany(this.#asksMax);
      // Not in this call: the job's sink is in the middle of telling us.
      queueMicrotask(() => this.#dispatcher.answer(job, ask.askId, null, why));
      return '';
    }
    const id = this.#nextId++;
    this.#waiting.set(id, { job, askId: ask.askId });
    const params = ask.paramsJson === '' ? '' : `,"params":${ask.paramsJson}`;
    const idJson = this.#tag === '' ? id : `"${this.#tag}.${id}"`;
    return `{"jsonrpc":"2.0","id":${idJson},"method":${JSON.stringify(ask.method)}${params}}`;
  }

  forget(job: Job): void {
    if (this.#waiting === null || this.#waiting.size === 0) return;
    for (const [id, waiting] of this.#waiting) if (waiting.job === job) this.#waiting.delete(id);
  }

  /** The client can send no answer any more: those who wait for one are told so, and whoever asks from now on. */
  close(): void {
    this.#closed = true;
    for (const { job, askId } of this.#waiting?.values() ?? []) this.#dispatcher.answer(job, askId, null, DEAF);
    this.#waiting = null;
  }

  /** A JSON-RPC response the client posted. */
  answer(response: JsonObject): AnswerOutcome {
    const id = this.#numberOf(response['id']);
    if (this.#tag !== '' && id === ELSEWHERE) return 'elsewhere';
    if (!Number.isInteger(id) || id < 1 || id >= this.#nextId) return 'unknown';
    const waiting = this.#waiting?.get(id);
    if (waiting === undefined) return 'late';
    this.#waiting?.delete(id);
    const result = response['result'];
    if (result === undefined) this.#dispatcher.answer(waiting.job, waiting.askId, null, errorOf(response['error']));
    else this.#dispatcher.answer(waiting.job, waiting.askId, JSON.stringify(result), null);
    return 'answered';
  }

  /** The number of a question of this node, or `ELSEWHERE`; NaN for what is none. */
  #numberOf(id: unknown): number {
    if (this.#tag === '') return typeof id === 'number' ? id : Number.NaN;
    const parts = splitId(id);
    if (parts === null) return Number.NaN;
    return parts[1] === this.#tag ? Number(parts[2]) : ELSEWHERE;
  }
}

/** The node that asked what `response` answers, if one did. */
export function askingNode(response: JsonObject): string {
  return splitId(response['id'])?.[1] ?? '';
}

function splitId(id: unknown): RegExpExecArray | null {
  return typeof id === 'string' && id.length <= ID_CHARS_MAX ? ID_SHAPE.exec(id) : null;
}

function tooMany(asksMax: number): RpcError {
  return { code: FAULTS.limitReached.code, message: `more than ${asksMax} questions to this client are open` };
}

function errorOf(error: unknown): RpcError {
  if (typeof error === 'object' && error !== null && 'code' in error && 'message' in error) {
    const { code, message } = error;
    if (typeof code === 'number' && typeof message === 'string') return { code, message };
  }
  return { code: FAULTS.internal.code, message: 'the client answered with an error it did not describe' };
}

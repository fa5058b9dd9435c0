/**
 * The dead letters of a stream on a running server: read page by page, replayed or dropped by id.
 *
 * Role: the client of `/streams/{stream}/dead-letters`. A refusal is a value that says whether a server of ours answered
 * at all. What a server lists is checked for shape here; it is shown elsewhere.
 */
import { isJsonObject } from '../protocol/message-shape.ts';
import type { DeadLetterFacts } from '../streams/engine/port.ts';
import { type Answer, ask, count } from './ask-server.ts';

/** Letters a page has at most, and ids an order may name: the server's bounds. */
export const PAGE_LETTERS_MAX = 100;
/** Letters read for one command: twice what a server keeps of a stream, as more come in meanwhile. */
export const LETTERS_READ_MAX = 20_000;
const ANSWER_MS_MAX = 60_000;
/** A page of large events, escaped. */
const ANSWER_BYTES_MAX = 256 * 1024 * 1024;

export type Letter = Omit<DeadLetterFacts, 'index' | 'seq' | 'stream'>;

/** Why there is no answer. */
export interface Refused {
  readonly kind: 'refused';
  /** False: nobody, or somebody else, answers there. */
  readonly answered: boolean;
  readonly message: string;
}

/** Outcomes of replayed letters, and how many were dropped. */
export interface Tally {
  /** Letters that were there. One may have the events of a whole batch. */
  readonly letters: number;
  readonly accepted: number;
  readonly rejected: number;
  /** Accepted, and too late for a window. */
  readonly late: number;
  readonly dropped: number;
}

export type Action = 'replay' | 'drop';

export class DeadLetters {
  readonly #url: URL;
  readonly #token: string;

  constructor(server: URL, stream: string, token: string) {
    this.#url = new URL(`/streams/${stream}/dead-letters`, server);
    this.#token = token;
  }

  /** The oldest after a letter, or the oldest of all for `''`. */
  async page(after: string): Promise<readonly Letter[] | Refused> {
    const url = new URL(this.#url);
    if (after !== '') url.searchParams.set('after', after);
    const body = await this.#ask(url);
    if (isRefused(body)) return body;
    const letters = isJsonObject(body) && Array.isArray(body['letters']) ? body['letters'].map(asLetter) : [null];
    return letters.includes(null) ? NOT_MILLRACE : (letters as Letter[]);
  }

  /** Every letter, given to `take` page by page. Resolves with whether that was all. */
  async each(take: (letters: readonly Letter[]) => void): Promise<boolean | Refused> {
    let after = '';
    for (let read = 0; read < LETTERS_READ_MAX; ) {
      const letters = await this.page(after);
      if (isRefused(letters)) return letters;
      // A page of large letters is a short one.
      if (letters.length === 0) return true;
      take(letters);
      read += letters.length;
      after = letters.at(-1)?.id ?? '';
    }
    return false;
  }

  /** Whether none comes after these. */
  async areAll(letters: readonly Letter[]): Promise<boolean | Refused> {
    const last = letters.at(-1);
    if (last === undefined) return true;
    const next = await this.page(last.id);
    return isRefused(next) ? next : next.length === 0;
  }

  /** At most `PAGE_LETTERS_MAX` ids. Ids that are not there count nowhere. */
  async order(action: Action, ids: readonly string[]): Promise<Tally | Refused> {
    const body = await this.#ask(this.#url, { action, ids });
    if (isRefused(body)) return body;
    const counted = action === 'drop' ? ['dropped'] : ['letters', 'accepted', 'rejected', 'late'];
    if (!isJsonObject(body) || counted.some((name) => typeof body[name] !== 'number')) return NOT_MILLRACE;
    return {
      letters: count(body[action === 'drop' ? 'dropped' : 'letters']),
      accepted: count(body['accepted']),
      rejected: count(body['rejected']),
      late: count(body['late']),
      dropped: count(body['dropped']),
    };
  }

  async #ask(url: URL, order?: object): Promise<unknown> {
    const limits = { answerMsMax: ANSWER_MS_MAX, answerBytesMax: ANSWER_BYTES_MAX };
    const answer = await ask({ url, ...limits, expects: () => true, token: this.#token, ...(order && { order }) });
    if (typeof answer === 'string') return { kind: 'refused', answered: false, message: answer };
    return answer.status === 200 ? answer.body : this.#refusal(answer);
  }

  #refusal({ body, status }: Answer): Refused {
    const said = messageIn(body);
    const message = said === '' ? `answers ${status}` : `answers ${status}: ${said}`;
    if (status === 401) {
      const what = this.#token === '' ? 'pass one with --token' : 'the one given with --token is not accepted';
      return { kind: 'refused', answered: true, message: `wants a token (${what}); it ${message}` };
    }
    return { kind: 'refused', answered: true, message };
  }
}

export const isRefused = (value: unknown): value is Refused => isJsonObject(value) && value['kind'] === 'refused';

const NOT_MILLRACE: Refused = { kind: 'refused', answered: false, message: 'answers, but not as millrace does' };

/** `{"error":"…"}` of the streams, `{"error":{"message":"…"}}` of the gate in front of them. */
function messageIn(body: unknown): string {
  const error = isJsonObject(body) ? body['error'] : '';
  const message = isJsonObject(error) ? error['message'] : error;
  return typeof message === 'string' ? message : '';
}

function asLetter(value: unknown): Letter | null {
  if (!isJsonObject(value) || typeof value['id'] !== 'string' || value['id'] === '') return null;
  const text = (name: string): string => (typeof value[name] === 'string' ? value[name] : '');
  return {
    id: value['id'],
    source: text('source'),
    partition: text('partition'),
    reason: text('reason'),
    arrivalMs: count(value['arrivalMs']),
    text: text('text'),
    base64: value['base64'] === true,
  };
}

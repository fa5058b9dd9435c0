/**
 * An open-loop load of stateless calls that writes down what became of every one of them.
 *
 * Role: the history that the checkers of rolling restarts and of kills read. Every call carries a text of its own, so an
 * answer that belongs to another call counts as a failure. Nothing is sent twice here.
 */
import { Agent, request } from 'node:http';
import { callHeaders, callText } from '../../faults/post.ts';

/** Calls are started at most this often; several at once where the rate asks for it. */
const TICK_MS = 2;
const SOCKETS_MAX = 256;
/** A call that has no answer then is a failed one. */
const ANSWER_MS_MAX = 20_000;

export interface CallRecord {
  readonly number: number;
  readonly startedMs: number;
  readonly endedMs: number;
  /** 0: there was no answer. */
  readonly status: number;
  /** `''`: answered with what was asked for. */
  readonly problem: string;
}

export class RecordedLoad {
  readonly #url: URL;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: SOCKETS_MAX });
  readonly #pending = new Set<Promise<void>>();
  readonly #history: CallRecord[] = [];
  #timer: NodeJS.Timeout | undefined;
  #count = 0;

  constructor(url: string) {
    this.#url = new URL(url);
  }

  /** What has ended so far. */
  get history(): readonly CallRecord[] {
    return this.#history;
  }

  start(perSecond: number): void {
    const begunMs = performance.now();
    this.#timer = setInterval(() => {
      const due = Math.floor(((performance.now() - begunMs) * perSecond) / 1000);
      while (this.#count < due) void this.echo();
    }, TICK_MS);
  }

  /** No new calls; resolves with all of them when the last one has ended. */
  async stop(): Promise<readonly CallRecord[]> {
    clearInterval(this.#timer);
    await Promise.all(this.#pending);
    this.#agent.destroy();
    return this.#history;
  }

  echo(): Promise<CallRecord> {
    const text = `text ${this.#count}`;
    return this.#record('echo', JSON.stringify({ text }), `"text":"${text}"`);
  }

  /** One of `effects`, of which the balancer is told nothing: it lasts until there is a file `gate`. */
  held(file: string, gate: string): Promise<CallRecord> {
    const line = `held ${this.#count}`;
    return this.#record('effect-once', JSON.stringify({ file, line, gate }), '"text":"');
  }

  sleep(ms: number): Promise<CallRecord> {
    return this.#record('sleep', JSON.stringify({ ms }), `slept ${ms} ms`);
  }

  #record(tool: string, argumentsText: string, expected: string): Promise<CallRecord> {
    const number = this.#count++;
    const startedMs = performance.now();
    const recorded = this.#call(tool, argumentsText, expected).then((answer) => {
      const record = { number, startedMs, endedMs: performance.now(), ...answer };
      this.#history.push(record);
      return record;
    });
    const settled = recorded.then(() => void this.#pending.delete(settled));
    this.#pending.add(settled);
    return recorded;
  }

  #call(tool: string, argumentsText: string, expected: string): Promise<{ status: number; problem: string }> {
    const body = callText(tool, argumentsText);
    const headers = { ...callHeaders(tool), 'content-length': String(Buffer.byteLength(body)) };
    return new Promise((resolve) => {
      const options = { method: 'POST', agent: this.#agent, headers, timeout: ANSWER_MS_MAX };
      const call = request(this.#url, options, (response) => {
        const status = response.statusCode ?? 0;
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (part: string) => {
          text += part;
        });
        response.on('error', (error) => resolve({ status, problem: `broken off: ${error.message}` }));
        response.on('end', () => {
          const good = status === 200 && text.includes(expected);
          resolve({ status, problem: good ? '' : `${status} ${text.slice(0, 300)}` });
        });
      });
      call.on('timeout', () => call.destroy(new Error(`no answer within ${ANSWER_MS_MAX} ms`)));
      call.on('error', (error) => resolve({ status: 0, problem: error.message }));
      call.end(body);
    });
  }
}

export const failedOf = (history: readonly CallRecord[]): readonly CallRecord[] =>
  history.filter(({ problem }) => problem !== '');
